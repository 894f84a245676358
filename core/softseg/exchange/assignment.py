"""Which leaf of a tree each map is, and a flat tree where none is given."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from softseg.errors import InputError
from softseg.exchange.source import NamedMaps, ProbabilityMap, Source
from softseg.resources import label_tree_path, list_label_trees
from softseg.tree import LabelTree, Node
from softseg.tree.colors import node_colors
from softseg.tree.matching import LEAVE_OUT, Chosen, Item, match_items
from softseg.tree.names import is_background, plain_name
from softseg.tree.ranking import rank_trees

_SHOWN = 6
_FEW = 2
"""So few maps without names fit many trees: none is offered for them."""


def named_by(maps: Sequence[ProbabilityMap], table: LabelTree, file: Path) -> tuple[ProbabilityMap, ...]:
    """Return the maps with the names and values of a table, in the order of its values.

    Raises
    ------
    InputError: the table has another number of labels.
    """
    labels = sorted((node for node in table.leaves if node.value is not None), key=lambda node: node.value or 0)
    background = [node for node in labels if node.value == 0]
    if len(labels) == len(maps) + 1 and background:
        labels = labels[1:]
    if len(labels) != len(maps):
        raise InputError(f"has {len(labels)} labels, but there are {len(maps)} maps", file=file)
    return tuple(ProbabilityMap(node.name, node.value, one.step) for one, node in zip(maps, labels, strict=True))


def assign(source: Source | NamedMaps, tree: LabelTree, chosen: Mapping[str, str]) -> list[int | None]:
    """Return the leaf index of each map, None where it is left out.

    Maps are found by what ``chosen`` says, else by their names and values as :mod:`softseg.tree.matching` does; where
    no map has a name or a value, they are the leaves in the order of their label values.

    Parameters
    ----------
    source: whose maps.
    tree: the tree.
    chosen: from the name or number (from 0) of a map to a node, or ``-`` to leave it out.

    Raises
    ------
    InputError: a map belongs to no leaf, or two to one.
    """
    maps = source.maps
    if not chosen and all(not one.name and one.value is None for one in maps):
        maps = _in_order_of_values(source, tree)
    choices: dict[int, object] = {}
    for said, node in chosen.items():
        number = _number(said, maps, source.file)
        choices[number] = LEAVE_OUT if node == "-" else tree.find(node).id
    background = None if tree.background is None else tree.background.id
    for number, one in enumerate(maps):
        if number not in choices and background is not None and (one.value == 0 or is_background(one.name)):
            choices[number] = background
    items = [Item(number, one.name, value=one.value) for number, one in enumerate(maps)]
    typed: Chosen = choices  # type: ignore[assignment]
    matching = match_items(items, tree, typed)
    if matching.open:
        open_ = [f"{match.item.shown!r}{f' ({match.reason})' if match.reason else ''}" for match in matching.open]
        more = f" and {len(open_) - _SHOWN} more" if len(open_) > _SHOWN else ""
        raise InputError(
            f"maps that no node of the tree '{tree.name}' is: {', '.join(open_[:_SHOWN])}{more}",
            file=source.file,
            hint="say it with --as MAP=NODE (MAP=- leaves it out), or use another tree",
        )
    found: list[int | None] = []
    leaves = {leaf.id for leaf in tree.leaves}
    for match in matching.matches:
        if match.node is None:
            found.append(None)
            continue
        if match.node.id not in leaves:
            raise InputError(
                f"{match.item.shown!r} is '{match.node.name}' of the tree '{tree.name}', which has parts: "
                "a soft parcellation stores leaves",
                file=source.file,
                hint="use a tree in which it is a leaf, or none: a flat one is made of the names",
            )
        found.append(tree.leaf_index(match.node.id))
    twice = [number for number in found if number is not None and found.count(number) > 1]
    if twice:
        raise InputError(f"two maps are '{tree.leaves[twice[0]].name}'", file=source.file, hint="use --as MAP=NODE")
    return found


def flat_tree(source: Source | NamedMaps, name: str) -> LabelTree:
    """Return a tree of one level whose leaves are the maps, with a background."""
    nodes, taken, used = [Node("all", "all", None), Node("background", "background", "all", value=0)], {"all"}, {0}
    taken.add("background")
    for number, one in enumerate(source.maps):
        if one.value == 0 or is_background(one.name):
            continue
        title = one.name or f"class {number if one.value is None else one.value}"
        id_ = _free(re.sub(r"[^a-z0-9]+", "-", plain_name(title)).strip("-") or f"class-{number}", taken)
        value = one.value if one.value is not None and one.value not in used else max(used) + 1
        used.add(value)
        nodes.append(Node(id_, title, "all", value=value))
    colours = node_colors(tree := LabelTree(nodes, name=name))
    return LabelTree(
        [Node(node.id, node.name, node.parent, color=colours[node.id], value=node.value) for node in tree.nodes],
        name=name,
    )


def flat_assignment(source: Source | NamedMaps) -> list[int | None]:
    """Return the leaf index of each map in the tree that :func:`flat_tree` made of them."""
    found: list[int | None] = []
    position = 1
    for one in source.maps:
        if one.value == 0 or is_background(one.name):
            found.append(0)
        else:
            found.append(position)
            position += 1
    if found.count(0) > 1:
        raise InputError("two maps are the background", file=source.file, hint="use --as MAP=-")
    return found


@dataclass(frozen=True)
class TreeOffer:
    """A shipped tree, and how many maps are leaves of it.

    Attributes
    ----------
    name: of the tree.
    fitting: maps that are a leaf of it, without the background.
    total: maps, without the background.
    """

    name: str
    fitting: int
    total: int


def offered_trees(source: Source) -> list[TreeOffer]:
    """Return the shipped trees in which maps are leaves, the one with the most of them first.

    Maps without names fit a tree that has as many leaves, with or without its background.
    """
    nameless = all(not one.name and one.value is None for one in source.maps)
    items = [Item(number, one.name, value=one.value) for number, one in enumerate(source.maps)]
    wanted = [item for item in items if item.value != 0 and not is_background(item.name)]
    offers = []
    for name in list_label_trees():
        tree = LabelTree.load(label_tree_path(name))
        if nameless:
            own = len(tree.leaves)
            fits = len(items) in (own, own - 1) if tree.background is not None else len(items) == own
            fitting = len(items) if fits and len(items) > _FEW else 0
        else:
            leaves = {leaf.id for leaf in tree.leaves}
            found = [match.node.id for match in match_items(wanted, tree).matches if match.node is not None]
            fitting = sum(id_ in leaves for id_ in found)
        if fitting:
            offers.append((TreeOffer(name, fitting, len(wanted)), len(tree.leaves)))
    return [offer for offer, _ in sorted(offers, key=lambda pair: (-pair[0].fitting, pair[1]))]


def left_out_by(source: Source, tree: LabelTree) -> list[int]:
    """Return the maps that are no leaf of a tree, which have to be left out if it is taken."""
    if all(not one.name and one.value is None for one in source.maps):
        return []
    items = [Item(number, one.name, value=one.value) for number, one in enumerate(source.maps)]
    wanted = [item for item in items if item.value != 0 and not is_background(item.name)]
    leaves = {leaf.id for leaf in tree.leaves}
    matches = match_items(wanted, tree).matches
    known = {match.item.key for match in matches if match.node is not None and match.node.id in leaves}
    return [int(str(item.key)) for item in wanted if item.key not in known]


def fitting_tree(source: Source) -> str:
    """Return the name of the shipped tree that has a leaf for all maps by name, the best first; empty: none has."""
    items = [Item(number, one.name, value=one.value) for number, one in enumerate(source.maps)]
    if not any(one.name for one in source.maps):
        return ""
    fits = rank_trees(items, [LabelTree.load(label_tree_path(name)) for name in list_label_trees()])
    for fit in fits:
        leaves = {leaf.id for leaf in fit.tree.leaves}
        known = match_items(items, fit.tree).nodes
        if fit.is_complete and fit.named == fit.total and all(node.id in leaves for node in known.values()):
            return fit.tree.name
    return ""


def _in_order_of_values(source: Source | NamedMaps, tree: LabelTree) -> tuple[ProbabilityMap, ...]:
    leaves = sorted(tree.leaves, key=lambda leaf: tree.value_of(leaf.id))
    if len(leaves) == len(source.maps) + 1 and tree.background is not None:
        leaves = [leaf for leaf in leaves if leaf is not tree.background]
    if len(leaves) != len(source.maps):
        raise InputError(
            f"holds {len(source.maps)} maps without names; the tree '{tree.name}' has {len(leaves)} leaves",
            file=source.file,
            hint="name them with --labels TABLE or --as NUMBER=NODE",
        )
    return tuple(
        ProbabilityMap(leaf.name, tree.value_of(leaf.id), one.step)
        for leaf, one in zip(leaves, source.maps, strict=True)
    )


def _number(said: str, maps: Sequence[ProbabilityMap], file: Path) -> int:
    named = [number for number, one in enumerate(maps) if one.name == said]
    if len(named) == 1:
        return named[0]
    if said.isdigit() and int(said) < len(maps):
        return int(said)
    there = ", ".join(one.name or str(number) for number, one in list(enumerate(maps))[:_SHOWN])
    raise InputError(f"no map is called {said!r}; there are {there}", file=file, field="--as")


def _free(id_: str, taken: set[str]) -> str:
    found, number = id_, 2
    while found in taken:
        found, number = f"{id_}-{number}", number + 1
    taken.add(found)
    return found
