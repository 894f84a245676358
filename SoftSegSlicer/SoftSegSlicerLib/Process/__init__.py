"""Long work in a process of its own: starting, listening, cancelling, ending."""
