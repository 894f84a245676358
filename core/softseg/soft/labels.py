"""Soft labels: per voxel a few classes with their probabilities, what training reads instead of a crisp label map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.types import IGNORE_INDEX, FloatArray

_CHUNK = 1 << 18  # voxels worked on at a time, so that little memory is needed beside the result


@dataclass(frozen=True, eq=False)
class SoftLabels:
    """A distribution over classes in every voxel, in at most ``K`` slots.

    Only shapes and types are checked on construction, so that memory-mapped arrays stay unread; :meth:`check` looks at
    the values. Slots need not be sorted; a slot with probability 0 is empty, whatever its index.

    Attributes
    ----------
    indices: uint16 ``(K, *spatial)``, usually ``(K, k, j, i)``: class indices (leaves, then inner nodes of the tree).
    probabilities: float32, same shape, each in 0..1; their sum over ``K`` is at most 1, and 0 where there is no label.
    classes: number of class indices there are (leaves + inner nodes).
    """

    indices: npt.NDArray[np.uint16]
    probabilities: FloatArray
    classes: int

    def __post_init__(self) -> None:
        if self.indices.ndim < 2 or self.indices.shape != self.probabilities.shape:
            raise ValueError(
                f"expected indices and probabilities of one shape (K, *spatial), got {self.indices.shape} "
                f"and {self.probabilities.shape}"
            )
        if self.indices.dtype != np.uint16 or self.probabilities.dtype != np.float32:
            raise ValueError(
                f"expected uint16 indices and float32 probabilities, "
                f"got {self.indices.dtype} and {self.probabilities.dtype}"
            )
        if not 0 < self.classes <= 0xFFFF:
            raise ValueError(f"expected 1 to 65535 classes, got {self.classes}")

    @property
    def slots(self) -> int:
        """Classes that a voxel can hold (``K``)."""
        return int(self.indices.shape[0])

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape, usually ``(k, j, i)``."""
        return tuple(self.indices.shape[1:])

    @staticmethod
    def from_class_indices(array: npt.NDArray[Any], classes: int) -> SoftLabels:
        """Return the crisp labels of an integer map: one slot, probability 1, or 0 where ``array`` is ``IGNORE_INDEX``.

        Parameters
        ----------
        array: integer class indices ``(*spatial)`` in ``0..classes - 1``, or ``IGNORE_INDEX`` (-1).
        classes: number of class indices there are.

        Raises
        ------
        ValueError: the array does not hold integers, or one of them is out of range.
        """
        if not np.issubdtype(array.dtype, np.integer):
            raise ValueError(f"expected integer class indices, got {array.dtype}")
        if array.size and (int(array.min()) < IGNORE_INDEX or int(array.max()) >= classes):
            raise ValueError(
                f"expected class indices in 0..{classes - 1} or {IGNORE_INDEX}, got {array.min()}..{array.max()}"
            )
        labelled = array != IGNORE_INDEX
        indices = np.where(labelled, array, 0).astype(np.uint16)
        return SoftLabels(indices[None], labelled.astype(np.float32)[None], classes)

    @staticmethod
    def from_dense(dense: npt.NDArray[Any], classes: int | None = None, k: int = 8) -> SoftLabels:
        """Keep the ``k`` largest probabilities of every voxel of a dense distribution, largest first.

        What is smaller is left out and *not* given to the others. Only as many slots are made as are in use.

        Parameters
        ----------
        dense: ``(C, *spatial)``, probabilities in 0..1 that sum to at most 1.
        classes: number of class indices there are; ``C`` by default.
        k: most slots (our default: 8).
        """
        count, shape = dense.shape[0], dense.shape[1:]
        slots = min(k, count)
        flat = dense.reshape(count, -1)
        indices = np.zeros((slots, flat.shape[1]), np.uint16)
        probabilities = np.zeros((slots, flat.shape[1]), np.float32)
        for start in range(0, flat.shape[1], _CHUNK):
            part = np.asarray(flat[:, start : start + _CHUNK], np.float32)
            if slots < count:
                best = np.argpartition(part, count - slots, axis=0)[count - slots :]
            else:
                best = np.broadcast_to(np.arange(count)[:, None], part.shape)
            value = np.take_along_axis(part, best, axis=0)
            order = np.argsort(-value, axis=0, kind="stable")
            value = np.take_along_axis(value, order, axis=0)
            probabilities[:, start : start + _CHUNK] = value
            indices[:, start : start + _CHUNK] = np.where(value > 0, np.take_along_axis(best, order, axis=0), 0)
        used = max(1, int(np.count_nonzero(probabilities.any(axis=1)))) if probabilities.size else 1
        return SoftLabels(
            np.ascontiguousarray(indices[:used]).reshape(used, *shape),
            np.ascontiguousarray(probabilities[:used]).reshape(used, *shape),
            count if classes is None else classes,
        )

    def dense(self, classes: int | None = None) -> FloatArray:
        """Return the probabilities of every class: float32 ``(C, *spatial)``.

        Parameters
        ----------
        classes: how many classes to give (the leaves alone, for instance); all by default.

        Raises
        ------
        ValueError: a voxel holds a class index that is not among them.
        """
        count = self.classes if classes is None else classes
        out = np.zeros((count, int(np.prod(self.shape))), np.float32)
        voxels = np.arange(out.shape[1])
        for index, probability in zip(self.indices, self.probabilities, strict=True):
            index, probability = index.reshape(-1), probability.reshape(-1)
            labelled = probability != 0
            if not labelled.any():
                continue
            if int(index[labelled].max()) >= count:
                raise ValueError(f"a voxel holds class {int(index[labelled].max())}, expected less than {count}")
            out[index[labelled], voxels[labelled]] += probability[labelled]
        return out.reshape(count, *self.shape)

    def largest(self) -> npt.NDArray[np.int16]:
        """Return the most probable class, ``IGNORE_INDEX`` where there is no label: int16 ``(*spatial)``.

        A view of the labels for pictures and hard scores; training never sees it.
        """
        slot = self.probabilities.argmax(axis=0)[None]
        index = np.take_along_axis(self.indices, slot, axis=0)[0].astype(np.int16)
        probability = np.take_along_axis(self.probabilities, slot, axis=0)[0]
        return np.asarray(np.where(probability > 0, index, np.int16(IGNORE_INDEX)))

    def total(self) -> FloatArray:
        """Return the sum of the probabilities of each voxel: float32 ``(*spatial)``, 0 where there is no label."""
        return np.asarray(self.probabilities.sum(axis=0), np.float32)

    def volumes(self) -> npt.NDArray[np.float64]:
        """Return the summed probabilities of each class index in voxels: float64 ``(classes,)``."""
        out = np.zeros(self.classes)
        for index, probability in zip(self.indices, self.probabilities, strict=True):
            out += np.bincount(index.reshape(-1), probability.reshape(-1).astype(np.float64), self.classes)[
                : self.classes
            ]
        return out

    def cropped(self, slices: tuple[slice, ...]) -> SoftLabels:
        """Return the labels inside ``slices``, one per spatial axis; a view, nothing is copied."""
        window = (slice(None), *slices)
        return SoftLabels(self.indices[window], self.probabilities[window], self.classes)

    def check(self, tolerance: float = 1e-4) -> None:
        """Look at all values.

        Raises
        ------
        ValueError: a probability is not in 0..1, a voxel's probabilities sum to more than 1, or a class index is out of
            range.
        """
        probabilities = self.probabilities
        if (
            not np.isfinite(probabilities).all()
            or probabilities.min(initial=0) < 0
            or probabilities.max(initial=0) > 1 + tolerance
        ):
            raise ValueError("expected probabilities in 0..1")
        if self.total().max(initial=0) > 1 + tolerance:
            raise ValueError("expected the probabilities of a voxel to sum to at most 1")
        if (self.indices[probabilities > 0] >= self.classes).any():
            raise ValueError(f"expected class indices less than {self.classes}")
