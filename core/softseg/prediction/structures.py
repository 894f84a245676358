"""Some structures alone: which nodes are kept, and label maps in which all else is background."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.tree import Node

if TYPE_CHECKING:
    from softseg.tree import Cut, LabelTree


def node_named(tree: LabelTree, name: str, option: str) -> Node:
    """Return the node of an id or name that an option names.

    Raises
    ------
    InputError: there is none, or several; it names the option.
    """
    try:
        return tree.find(name)
    except InputError as error:
        raise InputError(error.message, file=error.file, field=option, hint=error.hint) from error


def kept_below(tree: LabelTree, names: Sequence[str]) -> frozenset[str] | None:
    """Return the ids of nodes that are named and of all below them; None where none is named.

    Parameters
    ----------
    tree: the label tree.
    names: ids or names.

    Raises
    ------
    InputError: there is no such node, or it is the background.
    """
    if not names:
        return None
    kept: set[str] = set()
    for name in names:
        named = node_named(tree, name, "--structures")
        if tree.background is not None and named.id == tree.background.id:
            raise InputError("the background is what is left over", field="--structures")
        kept |= {node.id for node in tree.nodes if named.id in {above.id for above in tree.path(node.id)}}
    return frozenset(kept)


def require_finer_cut(cut: Cut, kept: Collection[str], name: str) -> None:
    """Refuse a cut in which a structure is a part of a node.

    Raises
    ------
    InputError: it is.
    """
    for node in cut.nodes:
        if node.id in kept:
            continue
        leaves = cut.tree.leaves[cut.tree.leaf_slice(node.id)]
        inside = next((leaf for leaf in leaves if leaf.id in kept), None)
        if inside is not None:
            raise InputError(
                f"'{inside.name}' is a part of '{node.name}' in the cut {name}",
                field="--structures",
                hint="take a finer cut, such as --cut leaves",
            )


def without_others(
    cut: Cut, labels: npt.NDArray[np.uint16], kept: Collection[str], marked: int = 0
) -> tuple[LabelTree, npt.NDArray[np.uint16]]:
    """Return a tree of the nodes that are kept of a cut, and the label map in which all others are 0.

    Parameters
    ----------
    cut: the cut.
    labels: its label map, ``(k, j, i)``.
    kept: ids.
    marked: a label value that stays though no node has it, such as that of outliers.
    """
    tree = cut.to_tree()
    values = {node.id: value for node, value in zip(cut.nodes, cut.values, strict=True) if node.id in kept}
    shown = np.isin(labels, [*values.values(), *([marked] if marked else [])])
    above = {node.id for id_ in values for node in tree.path(id_)}
    nodes = [node for node in tree.nodes if node.id in above]
    if 0 not in values.values():
        found = tree.background
        id_ = "background" if found is None else found.id
        while found is None and id_ in above:
            id_ += "-"
        empty = Node(id_, "background", tree.root.id) if found is None else replace(found, parent=tree.root.id)
        nodes.insert(1, replace(empty, value=0))
    return tree.with_nodes(nodes), np.where(shown, labels, np.uint16(0))
