"""The tab Train: cases, recipe, runs and their curves."""
