"""Results against references: handing both to the engine, its tables, plots, and the way to a structure."""
