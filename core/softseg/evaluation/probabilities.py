"""Sparse probabilities of classes on a voxel grid, slice by slice: of soft labels, and of a soft parcellation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.image import Geometry
from softseg.soft.encoding import SCALE
from softseg.soft.labels import SoftLabels
from softseg.soft.parcellation import SoftParcellation
from softseg.tree.matching import match_trees
from softseg.types import FloatArray, IntArray

if TYPE_CHECKING:
    from softseg.tree import LabelTree


class NodeProbabilities(Protocol):
    """Sparse probabilities of classes on a voxel grid."""

    @property
    def geometry(self) -> Geometry:
        """Return the grid."""

    @property
    def soft(self) -> bool:
        """Whether there are probabilities other than 0 and 1."""

    def slice(self, k: int) -> tuple[IntArray, FloatArray]:
        """Return class indices ``[K, j * i]`` and their probabilities of slice ``k``."""


@dataclass(frozen=True, eq=False)
class LabelProbabilities:
    """Probabilities of soft labels on a grid.

    Attributes
    ----------
    labels: ``(K, k, j, i)``.
    geometry: their grid.
    """

    labels: SoftLabels
    geometry: Geometry

    @property
    def soft(self) -> bool:
        """Whether there are probabilities other than 0 and 1."""
        return self.labels.slots > 1 or bool(((self.labels.probabilities > 0) & (self.labels.probabilities < 1)).any())

    def slice(self, k: int) -> tuple[IntArray, FloatArray]:
        """Return class indices ``[K, j * i]`` and their probabilities of slice ``k``."""
        slots = self.labels.slots
        return self.labels.indices[:, k].reshape(slots, -1), self.labels.probabilities[:, k].reshape(slots, -1)


class ParcellationProbabilities:
    """Probabilities of a soft parcellation, in class indices of a tree that has its leaves' values.

    Parameters
    ----------
    parcellation: what was predicted.
    tree: the tree that is evaluated by; the parcellation's leaves are found in it (:mod:`softseg.tree.matching`).
    file: what messages name.

    Raises
    ------
    InputError: the tree lacks a leaf of the parcellation, or calls its value something else.
    """

    def __init__(self, parcellation: SoftParcellation, tree: LabelTree, file: Path) -> None:
        self._parcellation = parcellation
        self.geometry = parcellation.geometry
        self.soft = bool((parcellation.shares < SCALE).any())
        self.classes = _classes_of(parcellation.tree, tree, file)
        inner = [tree.inner_nodes[index - len(tree.leaves)] for index in self.classes if index >= len(tree.leaves)]
        self.deepest = min((tree.depth_of(node.id) for node in inner), default=None)
        per_slice = parcellation.counts.sum(axis=(1, 2), dtype=np.int64)
        self._begin = np.concatenate([[0], np.cumsum(per_slice)])
        self._outside = parcellation.background

    def slice(self, k: int) -> tuple[IntArray, FloatArray]:
        """Return class indices ``[K, j * i]`` of slice ``k`` and their probabilities; K is as large as needed."""
        stored = self._parcellation
        row = k - stored.start[0]
        rows, columns = self.geometry.shape[1:]
        if not 0 <= row < len(stored.counts):
            counts = np.zeros((0, 0), np.intp)
            leaves, probabilities = stored.leaves[:0], stored.shares[:0]
        else:
            counts = stored.counts[row].astype(np.intp)
            part = slice(self._begin[row], self._begin[row + 1])
            leaves, probabilities = stored.leaves[part], stored.shares[part]
        slots = max(1, int(counts.max(initial=0)))
        found = np.zeros((slots, rows, columns), np.uint16)
        probability = np.zeros((slots, rows, columns), np.float32)
        if self._outside is not None:
            found[0], probability[0] = self.classes[self._outside], 1.0
        if counts.size:
            box = (slice(None), *stored.box[1:])
            flat = counts.ravel()
            voxel = np.repeat(np.arange(flat.size), flat)
            slot = np.arange(voxel.size) - np.repeat(np.cumsum(flat) - flat, flat)
            inside, stored_values = np.zeros((slots, flat.size), np.uint16), np.zeros((slots, flat.size), np.float32)
            inside[slot, voxel] = self.classes[leaves]
            stored_values[slot, voxel] = probabilities / np.float32(SCALE)
            found[box], probability[box] = (
                inside.reshape(slots, *counts.shape),
                stored_values.reshape(slots, *counts.shape),
            )
        return found.reshape(slots, -1), probability.reshape(slots, -1)


def _classes_of(own: LabelTree, tree: LabelTree, file: Path) -> npt.NDArray[np.uint16]:
    """Return the class index in ``tree`` of each leaf of a parcellation."""
    if own.nodes == tree.nodes:
        return np.arange(len(tree.leaves), dtype=np.uint16)
    found = match_trees(own, tree)
    wanted = {leaf.value for leaf in own.leaves}
    try:
        found.only(wanted).require("give the tree that the model was trained with, or an edited version of it")
    except InputError as error:
        raise InputError(error.message, file=file, hint=error.hint) from error
    return np.array([tree.class_index(found.nodes[leaf.value].id) for leaf in own.leaves], np.uint16)
