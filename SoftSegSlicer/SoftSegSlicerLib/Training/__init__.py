"""Training from Slicer: a dataset from the scene, a run in a process of its own, its curves."""
