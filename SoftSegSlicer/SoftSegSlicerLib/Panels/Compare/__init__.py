"""The tab Compare: a result judged by a reference."""
