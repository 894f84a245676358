"""Selectors whose entries carry a value beside their text."""

__all__ = ["chosen"]


def chosen(selector):
    """Return the value of the chosen entry of a QComboBox; None where nothing is chosen."""
    return selector.itemData(selector.currentIndex) if selector.currentIndex >= 0 else None
