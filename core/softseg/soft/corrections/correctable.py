"""Saying what voxels are: corrections of a soft parcellation, made, listed and taken back."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from softseg.soft.corrections.apply import predicted, with_added, without
from softseg.soft.corrections.correction import Correction
from softseg.soft.corrections.runs import Runs
from softseg.soft.views import ParcellationViews
from softseg.types import BoolArray

if TYPE_CHECKING:
    from typing_extensions import Self


class Correctable(ParcellationViews):
    """A distribution that people may correct. A correction conditions it; nothing of what the model said is lost."""

    @property
    def corrections(self) -> tuple[Correction, ...]:
        """What was said about voxels, the oldest first."""
        return () if self.layer is None else self.layer.corrections

    @property
    def predicted(self) -> Self:
        """The model's own distribution, without any correction; itself where there is none."""
        return predicted(self)

    @property
    def corrected_voxels(self) -> BoolArray:
        """Where anything was said: bool ``(k, j, i)``."""
        out = np.zeros(self.geometry.shape, bool)
        if self.layer is not None:
            out.reshape(-1)[self.layer.rows.voxels] = True
        return out

    def corrected(
        self,
        node_id: str,
        voxels: BoolArray,
        *,
        is_node: bool = True,
        author: str = "",
        time: datetime | str | None = None,
    ) -> Self:
        """Return the parcellation in which some voxels are known to be a node, or not to be it.

        The distribution is conditioned: given the node N a leaf of it has ``p(leaf) / p(N)`` and any other nothing, so
        N has probability 1 and the ratios within it stay. Where earlier corrections have left nothing of N, what the
        model itself said is conditioned; where the model had nothing of it either, the nearest voxel (in mm; the first
        in C order of equally near ones) that has any answers; where no voxel has, all leaves of N are equally likely.
        "Is not N" conditions on the other leaves in the same way; where no voxel has any of these, it is background
        (in a tree without, all of them are equally likely). The returned :attr:`corrections` say how many voxels were
        answered in which way.

        Parameters
        ----------
        node_id: any node of the tree, the background too.
        voxels: bool ``(k, j, i)`` on :attr:`geometry`; without any, the parcellation itself is returned.
        is_node: False: the voxels are not the node.
        author: who says so.
        time: when, in UTC where it has no zone; now by default.

        Raises
        ------
        InputError: no such node, "is not" is said of all leaves, or ``time`` is not in ISO 8601.
        ValueError: ``voxels`` has another shape or type.
        """
        if voxels.shape != self.geometry.shape or voxels.dtype != np.bool_:
            raise ValueError(f"expected a bool array of shape {self.geometry.shape}, got {voxels.dtype} {voxels.shape}")
        self.tree.node(node_id)
        correction = Correction.new(node_id, Runs.of_mask(voxels), is_node, author, time)
        return with_added(self, [correction]) if correction.voxel_count else self

    def without(self, correction: Correction | str) -> Self:
        """Return the parcellation as it would be without a correction; the others are answered anew, in their order.

        Parameters
        ----------
        correction: one of :attr:`corrections`, or its id.

        Raises
        ------
        InputError: there is no such correction.
        """
        return without(self, correction if isinstance(correction, str) else correction.id)
