"""Trees of variants: the study's own, without what is held out, flat, or with the leaves dealt at random."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from softseg.errors import InputError
from softseg.files import is_file
from softseg.tree import LabelTree


def without(tree: LabelTree, nodes: Collection[str]) -> LabelTree:
    """Return the tree without these nodes, all below them, and inner nodes that then have no leaf left.

    Raises
    ------
    InputError: nothing would be left.
    """
    gone = {leaf.id for node in nodes for leaf in tree.leaves_under(node)}
    kept = {node.id for leaf in tree.leaves if leaf.id not in gone for node in tree.path(leaf.id)}
    if len(tree.leaves) - len(gone) < 2:
        raise InputError("fewer than two classes are left to train on", field="inner", hint="hold out less")
    return LabelTree([node for node in tree.nodes if node.id in kept], name=tree.name)


def variant_tree(tree: LabelTree, wanted: str | None, folder: Path) -> LabelTree:
    """Return the tree that a variant trains with.

    Parameters
    ----------
    tree: the study's.
    wanted: a file (relative to ``folder``), a shipped tree's name, ``flat``, ``random:SEED``, or None.
    folder: of the study's file.

    Raises
    ------
    InputError: there is no such tree, or its leaves are not those of the study's tree.
    """
    if wanted is None:
        return tree
    if wanted == "flat":
        root = tree.root
        leaves = [replace(leaf, parent=root.id, weight=1.0) for leaf in tree.leaves]
        return LabelTree([root, *leaves], name=f"{tree.name}, flat")
    if wanted.startswith("random:"):
        return _dealt_anew(tree, wanted.partition(":")[2])
    from softseg.resources import label_tree_path, list_label_trees

    file = folder / wanted
    if not is_file(file) and wanted in list_label_trees():
        file = label_tree_path(wanted)
    other = LabelTree.load(file)
    if tree.background is None and other.background is not None:
        other = other.remove(other.background.id)
    missing = {leaf.id for leaf in tree.leaves} ^ {leaf.id for leaf in other.leaves}
    if missing:
        raise InputError(
            f"has other leaves than the study's tree, e.g. {min(missing)!r}", file=file, hint="leaves go by their ids"
        )
    return other


def _dealt_anew(tree: LabelTree, seed: str) -> LabelTree:
    """Return the same shape with the leaves (background excepted) at places drawn at random."""
    if not seed.isdigit():
        raise InputError(f"expected random:SEED, got {f'random:{seed}'!r}", field="tree")
    leaves = [leaf for leaf in tree.leaves if leaf is not tree.background]
    order = np.random.default_rng(int(seed)).permutation(len(leaves))
    place = {leaves[at].id: leaves[new] for at, new in enumerate(order)}
    nodes = [
        replace(place[node.id], parent=node.parent, weight=node.weight) if node.id in place else node
        for node in tree.nodes
    ]
    return LabelTree(nodes, name=f"{tree.name}, leaves at random ({seed})")


def held_out_groups(tree: LabelTree, inner: int | Sequence[Sequence[str]]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the groups of nodes that are held out in turn, each with a name.

    A number deals the leaves (background excepted) in tree order, so that siblings come into different groups: what is
    held out then has close relatives among the trained classes, the harder case.

    Raises
    ------
    InputError: there are more groups than leaves, or a node is unknown, the root or the background.
    """
    leaves = [leaf for leaf in tree.leaves if leaf is not tree.background]
    if isinstance(inner, int):
        if inner > len(leaves) // 2:
            raise InputError(
                f"{len(leaves)} classes cannot be dealt into {inner} groups", field="inner", hint="use fewer groups"
            )
        return [(f"group-{n}", tuple(leaf.id for leaf in leaves[n::inner])) for n in range(inner)]
    groups = []
    for number, wanted in enumerate(inner):
        nodes = [tree.find(name) for name in wanted]
        for node in nodes:
            if node is tree.root or node is tree.background:
                raise InputError(f"{node.id!r} cannot be held out", field=f"inner[{number}]")
        name = "+".join(node.id for node in nodes)
        groups.append((name if len(name) <= 40 else f"group-{number}", tuple(node.id for node in nodes)))
    return groups
