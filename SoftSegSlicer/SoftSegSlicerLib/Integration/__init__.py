"""What Slicer's own places know of results: files, sample data, context menus, statistics, terminology."""
