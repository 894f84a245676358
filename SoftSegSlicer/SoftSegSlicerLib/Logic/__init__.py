"""The module without its widgets, in three layers: results, looking at them, segmenting."""
