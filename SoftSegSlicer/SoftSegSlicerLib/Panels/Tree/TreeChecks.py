"""Edits of a label tree that are refused, with the reason in words that people use."""

from collections.abc import Iterable

from slicer.i18n import tr as _

from softseg.errors import InputError
from softseg.tree import LabelTree, Node

__all__ = ["checkedName", "refuseBackground", "refuseEmptied", "refuseRoot", "refuseTwin", "topmost"]


def topmost(tree: LabelTree, ids: Iterable[str]) -> list[str]:
    """Return the ids in tree order without those that lie below another of them."""
    chosen = {tree.node(id_).id for id_ in ids}
    if not chosen:
        raise InputError(_("select a structure first"))
    return [
        node.id
        for node in tree.nodes
        if node.id in chosen and not any(above.id in chosen for above in tree.path(node.id)[:-1])
    ]


def refuseRoot(tree: LabelTree, ids: Iterable[str], what: str) -> None:
    """Refuse an edit of the root; ``what`` cannot be done ("moved")."""
    if tree.root.id in ids:
        raise InputError(
            _("'{name}' is the root of the tree and cannot be {what}").format(name=tree.root.name, what=what)
        )


def refuseBackground(tree: LabelTree, ids: Iterable[str], what: str) -> None:
    """Refuse an edit of the background; ``what`` it cannot do ("be moved")."""
    background = tree.background
    if background is not None and background.id in ids:
        raise InputError(_("the background '{name}' cannot {what}").format(name=background.name, what=what))


def refuseEmptied(tree: LabelTree, ids: list[str], parent: str | None = None) -> None:
    """Refuse to take the last part out of a group that has no label value of its own."""
    for node in tree.inner_nodes:
        left = [child for child in tree.children(node.id) if child.id not in ids]
        inside = any(above.id in ids for above in tree.path(node.id))
        if left or inside or node.id == parent or node.value is not None:
            continue
        raise InputError(
            _("'{name}' would be left without children, and it has no label value").format(name=node.name),
            hint=_("a tree needs at least one structure")
            if node.parent is None
            else _("delete or ungroup '{name}' instead").format(name=node.name),
        )


def refuseTwin(tree: LabelTree, name: str, parent: str | None, besides: str | None = None) -> None:
    """Refuse a second child of this name (upper and lower case alike); ``besides`` is the node that takes it."""
    if parent is None:
        return
    for sibling in tree.children(parent):
        if sibling.id != besides and sibling.name.casefold() == name.casefold():
            raise InputError(
                _("there is already a '{name}' in '{parent}'").format(name=sibling.name, parent=tree.node(parent).name),
                hint=_("choose another name"),
            )


def checkedName(tree: LabelTree, name: str, parent: str | None, node: Node | None = None) -> str:
    """Return a name without blanks around it; refuse an empty one, several lines, and that of a sibling."""
    name = name.strip()
    if not name:
        raise InputError(
            _("a name cannot be empty")
            if node is None
            else _("a name cannot be empty; '{name}' keeps its name").format(name=node.name)
        )
    if not name.isprintable():
        raise InputError(_("a name is text on one line"))
    refuseTwin(tree, name, parent, None if node is None else node.id)
    return name
