"""The arrays that a soft parcellation stores, checked for consistency; see :mod:`softseg.soft.parcellation`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

import softseg
from softseg.errors import InputError
from softseg.image import Geometry
from softseg.soft.corrections.box import StoredBox
from softseg.soft.corrections.layer import CorrectionLayer
from softseg.soft.encoding import NODE_ERROR, SCALE
from softseg.soft.node_sums import NodeSums
from softseg.soft.outliers import StoredOutliers
from softseg.tree import Cut, LabelTree

if TYPE_CHECKING:
    from typing_extensions import Self

_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True, eq=False)
class StoredDistribution:
    """Per voxel the most probable leaves of a tree with 8-bit probabilities.

    Attributes
    ----------
    tree: the label tree.
    geometry: the grid.
    start: first voxel ``(k, j, i)`` of the stored box; outside it all is background (or nothing, in a tree without).
    counts: uint8 ``(k, j, i)``: how many leaves each voxel of the box stores.
    leaves: uint8 or uint16, one per stored leaf: leaf index, voxel after voxel, increasing within a voxel.
    shares: uint8, one per stored leaf: probability times 255.
    model: what made it.
    software: version of this package that made it.
    k: leaves that a voxel stores unless they leave out more than 0.005.
    node_error: no node's probability is further than this from the distribution it was made from.
    outliers: outlier scores, if the model computed any; see :mod:`softseg.soft.outliers`.
    layer: people's corrections of voxels, already applied in ``counts``, ``leaves`` and ``shares``; ``None`` where
        nobody did.
    """

    tree: LabelTree
    geometry: Geometry
    start: tuple[int, int, int]
    counts: npt.NDArray[np.uint8]
    leaves: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    shares: npt.NDArray[np.uint8]
    model: str = ""
    software: str = field(default_factory=lambda: f"softseg {softseg.__version__}")
    k: int = 8
    node_error: float = NODE_ERROR
    outliers: StoredOutliers | None = None
    layer: CorrectionLayer | None = None

    def __post_init__(self) -> None:
        stop = [first + size for first, size in zip(self.start, self.counts.shape, strict=True)]
        if min(self.start) < 0 or any(last > size for last, size in zip(stop, self.geometry.shape, strict=True)):
            raise ValueError(f"expected a box inside {self.geometry.shape}, got {self.start} to {tuple(stop)}")
        stored = int(self.counts.sum(dtype=np.int64))
        if self.leaves.shape != (stored,) or self.shares.shape != (stored,):
            raise ValueError(
                f"expected {stored} leaves and probabilities, got {self.leaves.shape} and {self.shares.shape}"
            )
        if stored and int(self.leaves.max()) >= len(self.tree.leaves):
            raise ValueError(f"expected leaf indices below {len(self.tree.leaves)}, got {int(self.leaves.max())}")
        if self.outliers is not None and self.outliers.shape != self.geometry.shape:
            raise ValueError(f"expected outlier scores of shape {self.geometry.shape}, got {self.outliers.shape}")
        if self.layer is not None and self.layer.own.shape != self.geometry.shape:
            raise ValueError(f"expected corrections on a grid of {self.geometry.shape}, got {self.layer.own.shape}")
        known = None if self.layer is None else self.layer.rows.voxels  # a corrected voxel is no outlier
        if self.outliers is not None and self.outliers.known is not known:
            object.__setattr__(self, "outliers", replace(self.outliers, known=known))

    @cached_property
    def stored_box(self) -> StoredBox:
        """The stored arrays and what was made of them, as corrections read and replace them."""
        return StoredBox(
            self.geometry.shape,
            self.start,
            self.counts,
            self.leaves,
            self.shares,
            self.background,
            len(self.tree.leaves),
        )

    def with_stored_box(self, box: StoredBox) -> Self:
        """Return the distribution, which remembers its own arrays as a box and what was made of them."""
        vars(self)["stored_box"] = box
        return self

    @property
    def background(self) -> int | None:
        """Leaf index of the background, ``None`` in a tree without."""
        return None if self.tree.background is None else self.tree.leaf_index(self.tree.background.id)

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """The stored box (k, j, i)."""
        k, j, i = (slice(first, first + size) for first, size in zip(self.start, self.counts.shape, strict=True))
        return k, j, i

    @property
    def overflowing(self) -> int:
        """Number of voxels that store more than ``k`` leaves."""
        return int(np.count_nonzero(self.counts > self.k))

    @property
    def sums(self) -> NodeSums:
        """What is stored, sorted for quick sums; made at the first question and kept for the next ones."""
        return self.stored_box.sums

    def _stored_outliers(self) -> StoredOutliers:
        if self.outliers is None:
            raise InputError(
                "this soft parcellation holds no outlier score", field="outliers", hint="predict it with --outliers"
            )
        return self.outliers

    def _steps_of(self, node_id: str) -> tuple[npt.NDArray[np.uint8], np.uint8]:
        """Return a node's probability in steps of 1/255: in the voxels of the flattened box, and outside it."""
        leaves = self.tree.leaf_slice(node_id)
        inside = self.background is not None and leaves.start <= self.background < leaves.stop
        return self.sums.span(leaves), np.uint8(SCALE if inside else 0)

    def _in_grid(self, box: npt.NDArray[_Number], outside: int | np.generic) -> npt.NDArray[_Number]:
        """Return the volume ``(k, j, i)`` with the values of the flattened ``box`` in it."""
        out = np.full(self.geometry.shape, outside, box.dtype) if outside else np.zeros(self.geometry.shape, box.dtype)
        out[self.box] = box.reshape(self.counts.shape)
        return out

    def _own(self, cut: Cut | int) -> Cut:
        if isinstance(cut, Cut):
            if [node.id for node in cut.tree.leaves] != [node.id for node in self.tree.leaves]:
                raise InputError("the cut belongs to another tree", hint="cut the parcellation's own tree")
            return cut
        return self.tree.cut_at(cut)
