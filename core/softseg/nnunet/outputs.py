"""What the output channels of a model of nnU-Net mean on a label tree; numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from softseg.data.importers.description import described_tree, label_values
from softseg.errors import InputError
from softseg.exchange.assignment import assign, flat_assignment, flat_tree
from softseg.exchange.source import NamedMaps, ProbabilityMap
from softseg.nnunet.regions import Regions
from softseg.nnunet.training_labels import TREE_FILE
from softseg.tree import LabelTree
from softseg.types import FloatArray


@dataclass(frozen=True)
class TreeChannels:
    """Channels on a tree.

    Attributes
    ----------
    tree: the label tree.
    leaves: leaf index of each part (channel, or part of regions); None where it is a coarse label.
    coarse: for each coarse part, its position and the leaves among which its probability is divided, as they are
        probable.
    regions: where the channels are regions.
    """

    tree: LabelTree
    leaves: tuple[int | None, ...]
    coarse: tuple[tuple[int, slice], ...] = ()
    regions: Regions | None = None

    @staticmethod
    def of(description: Mapping[str, Any], file: Path, name: str, asked: LabelTree | None = None) -> TreeChannels:
        """Return what the channels mean.

        The tree is ``asked``, whose leaves are found by name and value as for imported probabilities; else that of the
        training (``softseg_tree.json`` beside ``dataset.json``, or ``softseg_tree`` in it), found by value; else a flat
        one, or for regions one in which they nest.

        Parameters
        ----------
        description: the contents of ``dataset.json``.
        file: the file.
        name: of a tree that is made.
        asked: a tree that a person names.

        Raises
        ------
        InputError: the labels are not valid, are not those of the tree, or regions overlap without nesting.
        """
        labels = {key: value for key, value in label_values(description, file).items() if key != "ignore"}
        regions = None
        if any(not isinstance(value, int) for value in labels.values()):
            inner = {key: value for key, value in labels.items() if value != 0}
            regions = Regions.of(inner, description.get("regions_class_order"), file)
            parts: Sequence[ProbabilityMap] = regions.parts
        else:
            ordered = sorted((int(value), key) for key, value in labels.items() if isinstance(value, int))
            if [value for value, _key in ordered] != list(range(len(ordered))):
                raise InputError("expected the values 0, 1, 2 ... without gaps", file=file, field="labels")
            parts = [ProbabilityMap(key, value) for value, key in ordered]
        named = NamedMaps(file, tuple(parts))
        if asked is not None:
            return TreeChannels(asked, _by_name(asked, named), regions=regions)
        own = file.with_name(TREE_FILE)
        tree = LabelTree.load(own) if own.is_file() else described_tree(description, file)
        if tree is not None:
            return _by_value(tree, named, regions)
        if regions is None:
            return TreeChannels(flat_tree(named, name), tuple(flat_assignment(named)))
        tree = regions.tree(name)
        by_name = {leaf.name: tree.leaf_index(leaf.id) for leaf in tree.leaves}
        return TreeChannels(tree, tuple(by_name[one.name] for one in parts), regions=regions)

    def to_leaves(self, probabilities: FloatArray) -> tuple[FloatArray, float]:
        """Return the probabilities of the leaves ``[leaves, ...]`` of ``[channels, ...]``, float32.

        The second is by how much regions contradicted each other at most, 0 where channels are no regions.
        """
        most = 0.0
        if self.regions is not None:
            probabilities, most = self.regions.split(probabilities)
        found = np.zeros((len(self.tree.leaves), *probabilities.shape[1:]), np.float32)
        for position, leaf in enumerate(self.leaves):
            if leaf is not None:
                found[leaf] += probabilities[position]
        for position, below in self.coarse:
            found[below] += _divided(found[below], probabilities[position])
        return found, most


def _divided(among: FloatArray, what: FloatArray) -> FloatArray:
    """Return what each of some leaves gets of a coarse probability: as they are probable, evenly where none is."""
    total = among.sum(axis=0)
    empty = total <= 0
    return np.asarray(np.where(empty, 1 / len(among), among / np.where(empty, 1, total)) * what, np.float32)


def _by_name(tree: LabelTree, named: NamedMaps) -> tuple[int | None, ...]:
    try:
        return tuple(assign(named, tree, {}))
    except InputError as error:
        hint = "name a tree whose leaves are these labels, or leave --tree out"
        raise InputError(error.message, file=named.file, field="labels", hint=hint) from error


def _by_value(tree: LabelTree, named: NamedMaps, regions: Regions | None) -> TreeChannels:
    nodes = {node.value: node for node in tree.nodes if node.value is not None and node is not tree.root}
    leaves: list[int | None] = []
    coarse = []
    for position, part in enumerate(named.maps):
        node = nodes.get(-1 if part.value is None else part.value)
        if node is None:
            raise InputError(
                f"the tree {tree.name!r} has no node of the value {part.value}",
                file=named.file,
                field=f"labels.{part.name}",
                hint="name another tree with --tree",
            )
        leaf = tree.is_leaf(node.id)
        leaves.append(tree.leaf_index(node.id) if leaf else None)
        if not leaf:
            coarse.append((position, tree.leaf_slice(node.id)))
    return TreeChannels(tree, tuple(leaves), tuple(coarse), regions)
