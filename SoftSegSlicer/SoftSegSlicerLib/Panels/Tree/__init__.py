"""The tab Tree: the editor of label trees."""
