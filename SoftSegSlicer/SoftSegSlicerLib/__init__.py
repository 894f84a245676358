"""The parts of the module SoftSegSlicer: panels, scene, processes. The entry file holds registration only."""
