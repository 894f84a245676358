"""The parts of the module's logic, without widgets; each is made from those that it needs."""
