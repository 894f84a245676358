"""Saying what voxels are: corrections of a soft parcellation, made, listed and taken back."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from softseg.soft.correcting.apply import predicted, with_added, without
from softseg.soft.correcting.choosing import Suggestion, region, suggestions
from softseg.soft.correcting.edited import corrected_by_labels
from softseg.soft.corrections.constraints import Constraints, correction_map
from softseg.soft.corrections.correction import Correction
from softseg.soft.corrections.runs import Runs
from softseg.soft.views import ParcellationViews
from softseg.tree import Cut
from softseg.types import BoolArray

if TYPE_CHECKING:
    from typing_extensions import Self


class Correctable(ParcellationViews):
    """A distribution that people may correct. A correction conditions it; the model's prediction is kept."""

    @property
    def corrections(self) -> tuple[Correction, ...]:
        """The corrections of voxels, the oldest first."""
        return () if self.layer is None else self.layer.corrections

    @property
    def predicted(self) -> Self:
        """The model's own distribution, without any correction; itself where there is none."""
        return predicted(self)

    @property
    def corrected_voxels(self) -> BoolArray:
        """Where anything was corrected: bool ``(k, j, i)``."""
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
        N has probability 1 and the ratios within it stay. Where earlier corrections have left nothing of N, the
        model's prediction is conditioned; where the model had nothing of it either, the nearest voxel (in mm; the first
        in C order of equally near ones) that has any is used; where no voxel has, all leaves of N are equally likely.
        "Is not N" conditions on the other leaves in the same way; where no voxel has any of these, it is background
        (in a tree without, all of them are equally likely). Earlier corrections still hold where they can: after
        "cortex", "is not left" means the other leaves of the cortex. Where they cannot, the later one wins. The
        returned :attr:`corrections` count how many voxels were set in which way.

        Parameters
        ----------
        node_id: any node of the tree, the background too.
        voxels: bool ``(k, j, i)`` on :attr:`geometry`; without any, the parcellation itself is returned.
        is_node: False: the voxels are not the node.
        author: of the correction.
        time: when, in UTC where it has no zone; now by default.

        Raises
        ------
        InputError: no such node, "is not" would exclude all leaves, or ``time`` is not in ISO 8601.
        ValueError: ``voxels`` has another shape or type.
        """
        if voxels.shape != self.geometry.shape or voxels.dtype != np.bool_:
            raise ValueError(f"expected a bool array of shape {self.geometry.shape}, got {voxels.dtype} {voxels.shape}")
        self.tree.node(node_id)
        correction = Correction.new(node_id, Runs.of_mask(voxels), is_node, author, time)
        return with_added(self, [correction]) if correction.voxel_count else self

    def corrected_by_labels(
        self,
        cut: Cut | int,
        labels: npt.ArrayLike,
        *,
        box: tuple[slice, slice, slice] | None = None,
        author: str = "",
        time: datetime | str | None = None,
    ) -> Self:
        """Return the parcellation corrected where an edited label map differs from :meth:`labels` of the cut.

        One correction for each node: where the value became that of a node of the cut, the voxels are this node. What
        was erased (0) is background; in a tree without, it is not the node that it was.

        Parameters
        ----------
        cut: a cut of this tree, or a level.
        labels: integers (or whole floats) ``(k, j, i)``: the edited map. Where :attr:`outliers` are stored it may be
            that of ``labels(cut, outliers=True)``: voxels that keep their value are not corrected.
        box: slices ``(k, j, i)`` of the grid that ``labels`` covers; all of it by default.
        author, time: as for :meth:`corrected`.

        Returns
        -------
        The parcellation itself where nothing was changed.

        Raises
        ------
        InputError: a changed voxel has a value that no node of the cut has (it is named).
        ValueError: ``labels`` has another shape.
        """
        return corrected_by_labels(self, self._own(cut), labels, box, author, time)

    def correction_map(self) -> npt.NDArray[np.uint16]:
        """Return the corrections as a label map of mixed depth: uint16 ``(k, j, i)``.

        Values are those of :meth:`LabelTree.node_values`; 0 where nothing was corrected. As 0 is the value of a
        background, too, :attr:`corrected_voxels` tells where anything was. The node is the deepest that holds all
        leaves
        left possible: after "cortex" and "is not left" it is the right cortex; "is not left" alone may be no more
        than the root. Where two corrections exclude each other, the later one counts. The node has probability 1 there.
        """
        constraints = Constraints.none() if self.layer is None else self.layer.constraints
        return correction_map(constraints, self.tree, self.geometry.shape)

    def region(self, cut: Cut | int, voxel: tuple[int, int, int]) -> BoolArray:
        """Return the voxels connected to one (by 6 neighbours) with the same label at a cut: bool ``(k, j, i)``.

        Parameters
        ----------
        cut: a cut of this tree, or a level.
        voxel: ``(k, j, i)``.

        Raises
        ------
        ValueError: the voxel is outside the grid.
        """
        return region(self, cut, voxel)

    def suggestions(self, cut: Cut | int, voxel: tuple[int, int, int]) -> tuple[Suggestion, ...]:
        """Return which other nodes of a cut a voxel could be, the most probable first.

        These are all siblings of the node that is shown there, and whatever the model itself gave a probability (also
        where a correction has taken it).

        Parameters
        ----------
        cut: a cut of this tree, or a level.
        voxel: ``(k, j, i)``.

        Raises
        ------
        ValueError: the voxel is outside the grid.
        """
        return suggestions(self, self.predicted, self._own(cut), voxel)

    def without(self, correction: Correction | str) -> Self:
        """Return the parcellation as it would be without a correction; the others are applied again, in their order.

        Parameters
        ----------
        correction: one of :attr:`corrections`, or its id.

        Raises
        ------
        InputError: there is no such correction.
        """
        return without(self, correction if isinstance(correction, str) else correction.id)
