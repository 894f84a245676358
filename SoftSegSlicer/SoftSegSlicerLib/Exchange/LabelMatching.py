"""Which node of a label tree each segment or label value of the scene is; the rule is softseg.tree.matching."""

from softseg.errors import InputError
from softseg.tree import LabelTree, Node
from softseg.tree.matching import LEAVE_OUT, Item, match_items
from softseg.tree.names import is_background, plain_name

RENAME = "rename these segments, choose another label tree, or map each one to a node"


def matchSegments(names, tree):
    """Return the label value of each segment.

    Parameters
    ----------
    names: name by segment id.
    tree: what the values are taken from. A segment called "Background" is the tree's background leaf.

    Raises
    ------
    InputError: no node of the tree is meant by a segment, or two segments mean the same one.
    """
    found = match_items([Item(key, name, key) for key, name in names.items()], tree, numbered=True)
    found.require(RENAME)
    return found.values


def matchValues(present, names, tree):
    """Return the tree's value of each label value of a label map.

    Parameters
    ----------
    present: label values that occur; 0 is background or unlabelled and left as it is.
    names: what the label map's colour table calls them, by value; may lack some.
    tree: its own values are taken where no name contradicts.

    Raises
    ------
    InputError: a label belongs to no node of the tree, or it is not clear to which.
    """
    items = [Item(value, names.get(value, ""), value=value) for value in present if value]
    found = match_items(items, tree)
    found.require("choose the tree of these labels, or map each one to a node")
    return found.values


def chosenOf(mapping, items, tree):
    """Return what a mapping says in the form that softseg.tree.matching takes.

    Parameters
    ----------
    mapping: by segment id, label value or name: the id or name of a node, None to leave it out, ``ADD``, or
        ``LEAVE_OUT``.
    items: what may be meant.
    tree: where the nodes are.

    Raises
    ------
    InputError: there is no such segment or label, or no such node.
    """
    keys = {item.key for item in items}
    byName = {}
    for item in items:
        byName.setdefault(item.name, []).append(item.key)
    chosen = {}
    for key, choice in (mapping or {}).items():
        meant = [key] if key in keys else byName.get(key, [])
        if len(meant) != 1:
            what = "no segment or label" if not meant else "more than one segment"
            raise InputError(f"there is {what} {key!r}", field="mapping", hint="give ids of segments, or label values")
        if choice is None:
            choice = LEAVE_OUT
        chosen[meant[0]] = tree.find(choice).id if isinstance(choice, str) else choice
    return chosen


def treeOfSegments(names, colors=None, name="", values=None):
    """Return a tree of one level: a background leaf and one leaf for each name.

    Parameters
    ----------
    names: names of segments; repeated ones (those of several scans) count once.
    colors: ``(red, green, blue)``, 0..255, by name.
    name: what the tree is called.
    values: label values by name, of label maps; others get 1, 2, ...

    Raises
    ------
    InputError: there is nothing but background.
    """
    unique = {}
    for text in names:
        unique.setdefault(plain_name(text), text)
    structures = [text for text in unique.values() if not is_background(text)]
    if not structures:
        raise InputError("there is no segment to learn", hint="paint at least one structure")
    root = _fresh("structures", structures)
    nodes = [Node(root, root, None), Node("background", "background", root, value=0)]
    numbers = _numbers(structures, values or {})
    nodes += [Node(text, text, root, value=numbers[text], color=(colors or {}).get(text)) for text in structures]
    return LabelTree(nodes, name=name or root)


def backgroundAmong(names):
    """Return the first name that means the background, None where none does."""
    return next((name for name in names if is_background(name)), None)


def _numbers(structures, values):
    """Return a label value of its own for each structure: the given one where no other has it."""
    numbers, taken = {}, set()
    for text in structures:
        if values.get(text) and values[text] not in taken:
            numbers[text] = values[text]
            taken.add(values[text])
    free = (number for number in range(1, len(structures) + len(taken) + 1) if number not in taken)
    return {text: numbers[text] if text in numbers else next(free) for text in structures}


def _fresh(wanted, taken):
    while wanted in taken or is_background(wanted):
        wanted += "_"
    return wanted
