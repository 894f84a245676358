"""Undoable, checked edits of a label tree: what the Tree panel does, without any widget.

Every edit makes a new tree and either becomes part of the history or is refused with the reason (an InputError), and
then nothing has changed. An edit that leaves label values without a leaf (merge, delete, another value) also says
where these values went, so that the voxels of a displayed segmentation can follow.
"""

from collections.abc import Iterable

from slicer.i18n import tr as _

from softseg.errors import InputError
from softseg.tree import Node
from SoftSegSlicerLib.Panels.Tree.NodeDefaults import blend, colorFor, freeValue, shades, uniqueId, uniqueName
from SoftSegSlicerLib.Panels.Tree.TreeChecks import (
    checkedName,
    refuseBackground,
    refuseEmptied,
    refuseRoot,
    refuseTwin,
    topmost,
)
from SoftSegSlicerLib.Panels.Tree.TreeHistory import TreeHistory

__all__ = ["TreeEditor"]


class TreeEditor(TreeHistory):
    """The edits of a label tree; each returns whether anything changed, or the id of the new node."""

    def renameTree(self, name: str) -> bool:
        """Give the tree another name (may be empty)."""
        return self._take(self.tree.with_name(name.strip()), _("Rename the tree"), self.state.selection)

    def add(self, selected: str | None = None, name: str | None = None) -> str:
        """Add a leaf: under a selected group, after a selected leaf, else under the root; returns its id."""
        tree = self.tree
        anchor = tree.root if selected is None else tree.node(selected)
        isGroup = not tree.is_leaf(anchor.id) or anchor.parent is None
        parent = anchor.id if isGroup else anchor.parent
        siblings = [child.id for child in tree.children(parent)]
        index = None if isGroup else siblings.index(anchor.id) + 1
        name = uniqueName(tree, parent, _("new structure")) if name is None else checkedName(self.tree, name, parent)
        node = Node(uniqueId(tree, name), name, parent, color=colorFor(tree, parent), value=freeValue(tree))
        self._take(tree.add(node, index), _("Add '{name}'").format(name=name), [node.id])
        return node.id

    def rename(self, id_: str, name: str) -> bool:
        """Give a node another name; a node that was never saved gets an id to match."""
        tree = self.tree
        node = tree.node(id_)
        if name.strip() == node.name:
            return False
        name = checkedName(self.tree, name, node.parent, node)
        newId = id_ if id_ in self._saved else uniqueId(tree, name, besides=id_)
        description = _("Rename '{old}' to '{new}'").format(old=node.name, new=name)
        return self._take(tree.rename(id_, name, newId), description, [newId])

    def changeId(self, id_: str, newId: str) -> bool:
        """Give a node another id: the one that files and segments carry."""
        node = self.tree.node(id_)
        newId = newId.strip()
        if not newId:
            raise InputError(_("an id cannot be empty"), field=f"node '{id_}'")
        description = _("Change the id of '{name}'").format(name=node.name)
        return self._take(self.tree.rename(id_, node.name, newId), description, [newId])

    def group(self, ids: Iterable[str], name: str | None = None) -> str:
        """Put siblings under a new node in their place; returns its id."""
        ids = topmost(self.tree, ids)
        tree = self.tree
        refuseRoot(self.tree, ids, _("put into a group"))
        refuseBackground(self.tree, ids, _("be put into a group"))
        parent = tree.node(ids[0]).parent
        name = uniqueName(tree, parent, _("new group")) if name is None else checkedName(self.tree, name, parent)
        node = Node(uniqueId(tree, name), name, parent, color=blend(tree.node(id_).color for id_ in ids))
        grouped = tree.group(ids, node)
        self._take(grouped, _("Group {what}").format(what=self._what(ids)), [node.id])
        return node.id

    def ungroup(self, id_: str) -> bool:
        """Remove a group and keep its parts in its place."""
        tree = self.tree
        node = tree.node(id_)
        if tree.is_leaf(id_):
            raise InputError(_("'{name}' has no children to keep").format(name=node.name))
        refuseRoot(self.tree, [id_], _("removed"))
        description = _("Ungroup '{name}'").format(name=node.name)
        return self._take(tree.remove(id_, keep_children=True), description, [c.id for c in tree.children(id_)])

    def move(self, ids: Iterable[str], parent: str, index: int | None = None) -> bool:
        """Move nodes under another parent: before its child number ``index``, else to the end."""
        tree = self.tree
        ids = topmost(self.tree, ids)
        refuseRoot(self.tree, ids, _("moved"))
        target = tree.node(parent)
        for id_ in ids:
            if any(node.id == parent for node in tree.branch(id_)):
                raise InputError(
                    _("'{name}' cannot be moved into its own descendant '{target}'").format(
                        name=tree.node(id_).name, target=target.name
                    )
                )
        if tree.background is not None and target.id == tree.background.id:
            raise InputError(_("'{name}' is the background and cannot have children").format(name=target.name))
        if parent != tree.root.id:
            refuseBackground(self.tree, ids, _("be moved out of '{root}'").format(root=tree.root.name))
        refuseEmptied(self.tree, ids, parent)
        after = [] if index is None else [c.id for c in tree.children(parent)[index:] if c.id not in ids]
        for id_ in ids:
            siblings = [child.id for child in tree.children(parent) if child.id != id_]
            refuseTwin(tree, tree.node(id_).name, parent, id_)
            tree = tree.move(id_, parent, siblings.index(after[0]) if after else None)
        return self._take(tree, _("Move {what}").format(what=self._what(ids)), ids)

    def merge(self, ids: Iterable[str]) -> bool:
        """Make one leaf out of siblings, or out of all parts of one group."""
        tree = self.tree
        ids = topmost(self.tree, ids)
        refuseRoot(self.tree, ids, _("merged"))
        refuseBackground(self.tree, ids, _("be merged with a structure"))
        if len(ids) == 1 and tree.is_leaf(ids[0]):
            raise InputError(_("select two or more structures, or a group, to merge"))
        merged = tree.merge(ids)
        value = merged.node(ids[0]).value
        gone = [leaf.value for id_ in ids for leaf in tree.leaves_under(id_) if leaf.value != value]
        description = _("Merge {what}").format(what=self._what(ids))
        return self._take(merged, description, ids[:1], self._follow(dict.fromkeys(gone, value)))

    def split(self, id_: str, names: Iterable[str] = ()) -> bool:
        """Give a leaf parts: two by default, named after it."""
        tree = self.tree
        node = tree.node(id_)
        if not tree.is_leaf(id_):
            raise InputError(_("'{name}' already has children; use Add").format(name=node.name))
        if node.value == 0:
            raise InputError(_("the background cannot be split"))
        names = [name.strip() for name in names] or [f"{node.name} 1", f"{node.name} 2"]
        parts: list[Node] = []
        for name, color in zip(names, shades(node.color, len(names)), strict=True):
            partId = uniqueId(tree, name, taken=[part.id for part in parts])
            parts.append(Node(partId, name, id_, color=color))
        ids = [part.id for part in parts]
        return self._take(tree.split(id_, parts), _("Split '{name}'").format(name=node.name), ids)

    def delete(self, ids: Iterable[str]) -> bool:
        """Delete nodes with all below them; what was labelled with them counts as background from then on."""
        tree = self.tree
        ids = topmost(self.tree, ids)
        refuseRoot(self.tree, ids, _("deleted"))
        gone = [leaf.value for id_ in ids for leaf in tree.leaves_under(id_)]
        if tree.background is not None and 0 in gone:
            raise InputError(_("the background (value 0) cannot be deleted"))
        refuseEmptied(self.tree, ids)
        parent = tree.node(ids[0]).parent
        for id_ in ids:
            tree = tree.remove(id_)
        became = self._follow(dict.fromkeys(gone, 0)) if tree.background is not None else None
        return self._take(tree, _("Delete {what}").format(what=self._what(ids)), [parent or tree.root.id], became)

    def recolor(self, ids: Iterable[str], color: tuple[int, int, int] | None) -> bool:
        """Give nodes another colour (0..255 each), or none."""
        return self._each(ids, _("Colour of {what}"), lambda tree, id_: tree.recolor(id_, color))

    def reweight(self, ids: Iterable[str], weight: float) -> bool:
        """Give the edges above nodes another length, > 0."""
        refuseRoot(self.tree, list(ids), _("given a weight"))
        return self._each(ids, _("Weight of {what}"), lambda tree, id_: tree.reweight(id_, weight))

    def setTerminology(self, ids: Iterable[str], terminology) -> bool:
        """Give nodes other DICOM codes (softseg.tree.Terminology), or none."""
        return self._each(ids, _("Terminology of {what}"), lambda tree, id_: tree.with_terminology(id_, terminology))

    def setValue(self, id_: str, value: int | None) -> bool:
        """Give a node another label value; a group may have none."""
        tree = self.tree
        node = tree.node(id_)
        if value is None and tree.is_leaf(id_):
            raise InputError(_("'{name}' is a leaf and needs a label value").format(name=node.name))
        if tree.is_leaf(id_) and node.value == 0 and value != 0:
            raise InputError(_("the background keeps label value 0"))
        changed = tree.with_value(id_, value)
        became = self._follow({node.value: value}) if tree.is_leaf(id_) and node.value is not None else None
        return self._take(changed, _("Value of '{name}'").format(name=node.name), [id_], became)

    def _each(self, ids: Iterable[str], description: str, edit) -> bool:
        ids = list(ids)
        tree = self.tree
        for id_ in ids:
            tree = edit(tree, id_)
        return self._take(tree, description.format(what=self._what(ids)), ids)

    def _what(self, ids: list[str]) -> str:
        names = [self.tree.node(id_).name for id_ in ids if id_ in self.tree]
        return f"'{names[0]}'" if len(names) == 1 else _("{count} structures").format(count=len(names))
