"""Which rows of a label tree are shown: at first, and during a search."""

from softseg.tree import LabelTree, Node

__all__ = ["RowFilter", "firstExpanded"]

ROWS_AT_FIRST = 40
"""Rows that a tree shows at most when it is first shown."""


class RowFilter:
    """Hides rows that do not match, and remembers which branches were open before.

    Parameters
    ----------
    widget: the LabelTreeWidget.
    """

    def __init__(self, widget):
        self._widget = widget
        self._openBefore = None

    @property
    def isOn(self) -> bool:
        """Whether rows are hidden."""
        return self._openBefore is not None

    def forget(self) -> set[str]:
        """End the search where the rows are about to go; returns which branches were open before it."""
        before, self._openBefore = self._openBefore or set(), None
        self._widget.itemsExpandable = True
        return before

    def apply(self, text: str) -> list[str]:
        """Show the rows that match every word, and the branches above them; returns the ids that match."""
        tree, words = self._widget.labelTree, text.casefold().split()
        if not words:
            self._end()
            return []
        if self._openBefore is None:
            self._openBefore = self._widget.expandedIds()
            # what is open shows where the matches are now, so it cannot be changed
            self._widget.itemsExpandable = False
        matches = [node.id for node in tree.nodes if _matches(node, words)]
        shown = {node.id for id_ in matches for node in tree.path(id_)}
        for node in tree.nodes:
            item = self._widget.itemOf(node.id)
            item.setHidden(node.id not in shown)
            if tree.children(node.id):
                item.setExpanded(node.id in shown)
        return matches

    def _end(self) -> None:
        if self._openBefore is None:
            return
        tree, before = self._widget.labelTree, self.forget()
        for node in tree.nodes:
            item = self._widget.itemOf(node.id)
            item.setHidden(False)
            if tree.children(node.id):
                item.setExpanded(node.id in before)


def _matches(node: Node, words: list[str]) -> bool:
    text = f"{node.name} {node.id} {'' if node.value is None else node.value}".casefold()
    return all(word in text for word in words)


def firstExpanded(tree: LabelTree) -> set[str]:
    """Return the branches to open when a tree is first shown: whole levels, as many as can be overlooked."""
    opened: set[str] = set()
    for level in range(tree.depth):
        more = {node.id for node in tree.inner_nodes if tree.depth_of(node.id) == level}
        rows = 1 + sum(len(tree.children(id_)) for id_ in opened | more)
        if opened and rows > ROWS_AT_FIRST:
            break
        opened |= more
    return opened
