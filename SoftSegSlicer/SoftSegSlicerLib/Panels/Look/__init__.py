"""The tab Look: folding, heat maps, certainty, corrections."""
