"""Which node of a label tree each segment or label value of the scene is: by id, name or value."""

from softseg.errors import InputError
from softseg.tree import LabelTree, Node

_BACKGROUND = ("background", "unlabeled background", "outside")
_SHOWN = 6


def matchSegments(names, tree):
    """Return the label value of each segment.

    Parameters
    ----------
    names: name by segment id.
    tree: what the values are taken from. A segment is the node with its id, else with its name; case, underscores and
        hyphens do not matter. A segment called "Background" is the tree's background leaf.

    Raises
    ------
    InputError: no node of the tree is meant by a segment, or two segments mean the same one.
    """
    finder = NodeFinder(tree)
    found = {segmentId: finder.find(segmentId, name) for segmentId, name in names.items()}
    missing = [names[segmentId] for segmentId, node in found.items() if node is None]
    if missing:
        raise InputError(
            f"the label tree '{tree.name}' has no node for {listed(missing)}",
            hint="rename these segments, or choose another label tree",
        )
    return {segmentId: tree.value_of(node.id) for segmentId, node in found.items()}


def matchValues(present, names, tree):
    """Return the tree's value of each label value of a label map.

    Parameters
    ----------
    present: label values that occur; 0 is background or unlabelled and left as it is.
    names: what the label map's colour table calls them, by value; may lack some.
    tree: its own values are taken where the names do not all mean nodes of it.

    Raises
    ------
    InputError: neither names nor values belong to the tree.
    """
    values = [value for value in present if value]
    finder = NodeFinder(tree)
    byName = {value: finder.find("", names.get(value, "")) for value in values}
    if values and all(byName.values()):
        return {value: tree.value_of(node.id) for value, node in byName.items()}
    missing = [value for value in values if not tree.has_value(value)]
    if not missing:
        return {value: value for value in values}
    called = [
        str(value) if names.get(value, str(value)) == str(value) else f"{value} ({names[value]})" for value in missing
    ]
    raise InputError(
        f"the label tree '{tree.name}' has no node for the label values {listed(called)}",
        hint="choose the tree that these labels belong to",
    )


def treeOfSegments(names, colors=None, name=""):
    """Return a tree of one level: a background leaf and one leaf for each name, with the values 1, 2, ...

    Parameters
    ----------
    names: names of segments; repeated ones (those of several scans) count once.
    colors: ``(red, green, blue)``, 0..255, by name.
    name: what the tree is called.

    Raises
    ------
    InputError: there is nothing but background.
    """
    unique = {}
    for text in names:
        unique.setdefault(plainName(text), text)
    structures = [text for plain, text in unique.items() if plain not in _BACKGROUND]
    if not structures:
        raise InputError("there is no segment to learn", hint="paint at least one structure")
    root = _fresh("structures", structures)
    nodes = [Node(root, root, None), Node("background", "background", root, value=0)]
    nodes += [
        Node(text, text, root, value=value, color=(colors or {}).get(text))
        for value, text in enumerate(structures, start=1)
    ]
    return LabelTree(nodes, name=name or root)


def backgroundAmong(names):
    """Return the first name that means the background, None where none does."""
    return next((name for name in names if plainName(name) in _BACKGROUND), None)


class NodeFinder:
    """Finds the node that people mean.

    Parameters
    ----------
    tree: where.
    """

    def __init__(self, tree):
        self._tree = tree
        self._ids = {node.id for node in tree.nodes}
        self._byName = {}
        for node in tree.nodes:
            self._byName.setdefault(plainName(node.name), []).append(node)
            if plainName(node.id) != plainName(node.name):
                self._byName.setdefault(plainName(node.id), []).append(node)

    def find(self, nodeId, name):
        """Return the node with that id, else the only one with that name, else None."""
        if nodeId in self._ids:
            return self._tree.node(nodeId)
        exact = [node for node in self._tree.nodes if node.name == name]
        candidates = exact if len(exact) == 1 else self._byName.get(plainName(name), [])
        if len(candidates) == 1:
            return candidates[0]
        if plainName(name) in _BACKGROUND:
            return self._tree.background
        return None


def plainName(text):
    """Return a name without case, and with spaces for underscores and hyphens."""
    return " ".join(str(text).replace("_", " ").replace("-", " ").casefold().split())


def listed(names):
    """Return names for a sentence, the first few of many."""
    shown = ", ".join(str(name) for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


def _fresh(wanted, taken):
    while wanted in taken or plainName(wanted) in _BACKGROUND:
        wanted += "_"
    return wanted
