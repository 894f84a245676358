"""Soft labels: per voxel a few classes with their shares, what training reads instead of a crisp label map."""

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
    the values. Slots need not be sorted; a slot with share 0 says nothing, whatever its index.

    Attributes
    ----------
    indices: uint16 ``(K, *spatial)``, usually ``(K, k, j, i)``: class indices (leaves, then inner nodes of the tree).
    shares: float32, same shape, each in 0..1; their sum over ``K`` is at most 1, and 0 where there is no label.
    classes: number of class indices there are (leaves + inner nodes).
    """

    indices: npt.NDArray[np.uint16]
    shares: FloatArray
    classes: int

    def __post_init__(self) -> None:
        if self.indices.ndim < 2 or self.indices.shape != self.shares.shape:
            raise ValueError(
                f"expected indices and shares of one shape (K, *spatial), got {self.indices.shape} "
                f"and {self.shares.shape}"
            )
        if self.indices.dtype != np.uint16 or self.shares.dtype != np.float32:
            raise ValueError(
                f"expected uint16 indices and float32 shares, got {self.indices.dtype} and {self.shares.dtype}"
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
        """Return the crisp labels of an integer map: one slot, share 1, or 0 where ``array`` is ``IGNORE_INDEX``.

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
        """Keep the ``k`` largest shares of every voxel of a dense distribution, largest first.

        What is smaller is left out and *not* given to the others. Only as many slots are made as are in use.

        Parameters
        ----------
        dense: ``(C, *spatial)``, shares in 0..1 that sum to at most 1.
        classes: number of class indices there are; ``C`` by default.
        k: most slots (our default: 8).
        """
        count, shape = dense.shape[0], dense.shape[1:]
        slots = min(k, count)
        flat = dense.reshape(count, -1)
        indices = np.zeros((slots, flat.shape[1]), np.uint16)
        shares = np.zeros((slots, flat.shape[1]), np.float32)
        for start in range(0, flat.shape[1], _CHUNK):
            part = np.asarray(flat[:, start : start + _CHUNK], np.float32)
            if slots < count:
                best = np.argpartition(part, count - slots, axis=0)[count - slots :]
            else:
                best = np.broadcast_to(np.arange(count)[:, None], part.shape)
            value = np.take_along_axis(part, best, axis=0)
            order = np.argsort(-value, axis=0, kind="stable")
            value = np.take_along_axis(value, order, axis=0)
            shares[:, start : start + _CHUNK] = value
            indices[:, start : start + _CHUNK] = np.where(value > 0, np.take_along_axis(best, order, axis=0), 0)
        used = max(1, int(np.count_nonzero(shares.any(axis=1)))) if shares.size else 1
        return SoftLabels(
            np.ascontiguousarray(indices[:used]).reshape(used, *shape),
            np.ascontiguousarray(shares[:used]).reshape(used, *shape),
            count if classes is None else classes,
        )

    def dense(self, classes: int | None = None) -> FloatArray:
        """Return the shares of every class: float32 ``(C, *spatial)``.

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
        for index, share in zip(self.indices, self.shares, strict=True):
            index, share = index.reshape(-1), share.reshape(-1)
            said = share != 0
            if not said.any():
                continue
            if int(index[said].max()) >= count:
                raise ValueError(f"a voxel holds class {int(index[said].max())}, expected less than {count}")
            out[index[said], voxels[said]] += share[said]
        return out.reshape(count, *self.shape)

    def largest(self) -> npt.NDArray[np.int16]:
        """Return the class with the largest share, ``IGNORE_INDEX`` where there is no label: int16 ``(*spatial)``.

        A view of the labels for pictures and hard scores; training never sees it.
        """
        slot = self.shares.argmax(axis=0)[None]
        index = np.take_along_axis(self.indices, slot, axis=0)[0].astype(np.int16)
        share = np.take_along_axis(self.shares, slot, axis=0)[0]
        return np.asarray(np.where(share > 0, index, np.int16(IGNORE_INDEX)))

    def total(self) -> FloatArray:
        """Return the sum of the shares of each voxel: float32 ``(*spatial)``, 0 where there is no label."""
        return np.asarray(self.shares.sum(axis=0), np.float32)

    def volumes(self) -> npt.NDArray[np.float64]:
        """Return the summed shares of each class index in voxels: float64 ``(classes,)``."""
        out = np.zeros(self.classes)
        for index, share in zip(self.indices, self.shares, strict=True):
            out += np.bincount(index.reshape(-1), share.reshape(-1).astype(np.float64), self.classes)[: self.classes]
        return out

    def cropped(self, slices: tuple[slice, ...]) -> SoftLabels:
        """Return the labels inside ``slices``, one per spatial axis; a view, nothing is copied."""
        window = (slice(None), *slices)
        return SoftLabels(self.indices[window], self.shares[window], self.classes)

    def check(self, tolerance: float = 1e-4) -> None:
        """Look at all values.

        Raises
        ------
        ValueError: a share is not in 0..1, a voxel's shares sum to more than 1, or a class index is out of range.
        """
        shares = self.shares
        if not np.isfinite(shares).all() or shares.min(initial=0) < 0 or shares.max(initial=0) > 1 + tolerance:
            raise ValueError("expected shares in 0..1")
        if self.total().max(initial=0) > 1 + tolerance:
            raise ValueError("expected the shares of a voxel to sum to at most 1")
        if (self.indices[shares > 0] >= self.classes).any():
            raise ValueError(f"expected class indices less than {self.classes}")
