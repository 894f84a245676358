"""What differs between two label trees, in words."""

from slicer.i18n import tr as _

from softseg.tree import Change, LabelTree, Terminology

__all__ = ["changeText", "summary"]

SIGNS = {"added": "+", "removed": "\N{MINUS SIGN}", "changed": "~", "order": "~", "tree": "~"}


def changeText(change: Change, old: LabelTree, new: LabelTree) -> str:
    """Return one difference as a line that begins with +, - or ~."""
    return f"{SIGNS[change.kind]} {_words(change, old, new)}"


def _words(change: Change, old: LabelTree, new: LabelTree) -> str:
    if change.kind == "tree":
        return _("Tree: renamed from '{before}' to '{after}'").format(before=change.before, after=change.after)
    name = (new if change.id in new else old).node(change.id).name
    if change.kind == "added":
        parent = new.node(change.after.parent).name if change.after.parent else ""
        return _("{name}: added to '{parent}'").format(name=name, parent=parent)
    if change.kind == "removed":
        parent = old.node(change.before.parent).name if change.before.parent else ""
        return _("{name}: removed from '{parent}'").format(name=name, parent=parent)
    if change.kind == "order":
        return _("{name}: children reordered").format(name=name)
    if change.field == "parent":
        before, after = (tree.node(id_).name for tree, id_ in ((old, change.before), (new, change.after)))
        return _("{name}: moved from '{before}' to '{after}'").format(name=name, before=before, after=after)
    if change.field == "name":
        return _("{before}: renamed to '{after}'").format(after=change.after, before=change.before)
    fields = {"weight": _("weight"), "color": _("color"), "value": _("label value"), "terminology": _("terminology")}
    before, after = _plain(change.before), _plain(change.after)
    return _("{name}: {field} {before} to {after}").format(
        name=name, field=fields[change.field], before=before, after=after
    )


def _plain(value) -> str:
    if value is None:
        return _("none")
    if isinstance(value, Terminology):
        return f"'{value.type.meaning}'"
    if isinstance(value, tuple):
        return "#{:02x}{:02x}{:02x}".format(*value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def summary(old: LabelTree, new: LabelTree) -> str:
    """Return what the differences mean for label maps and for training, in a sentence or two."""
    if old == new:
        return _("No unsaved changes.")
    sentences = []
    before, after = len(old.leaves), len(new.leaves)
    if before != after:
        sentences.append(_("{before} leaves become {after}.").format(before=before, after=after))
    gone = {leaf.value for leaf in old.leaves} - {leaf.value for leaf in new.leaves}
    if gone:
        sentences.append(
            _("{count} label values of existing label maps no longer belong to a leaf.").format(count=len(gone))
        )
    if [(leaf.id, leaf.value) for leaf in old.leaves] != [(leaf.id, leaf.value) for leaf in new.leaves]:
        sentences.append(_("A model trained on the saved tree does not fit this one."))
    return " ".join(sentences) or _("Leaves and label values are unchanged.")
