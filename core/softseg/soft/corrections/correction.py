"""One correction: the node that some voxels of a soft parcellation are, or are not."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone

import numpy as np

from softseg.errors import InputError
from softseg.soft.corrections.runs import Runs
from softseg.types import BoolArray


@dataclass(frozen=True)
class Correction:
    """Some voxels are a node of the tree, or are not.

    Two corrections are equal where their ``id`` is: it stays the same when the file is saved and loaded, and when the
    tree is edited.

    Attributes
    ----------
    id: made when the correction is.
    node_id: the node.
    is_node: whether the voxels are this node; else they are anything but it.
    author: may be empty.
    time: when, in UTC: ``2026-01-31T12:00:00Z``.
    runs: the voxels, kept compactly; :attr:`voxels` gives the mask.
    conditioned: in how many voxels its own distribution was conditioned.
    nearest: in how many it is that of the nearest voxel which has any of the node, for want of an own one.
    even: in how many all leaves of the node are equally likely (for "is not": it is background), as no voxel has any.
    """

    id: str
    node_id: str = field(compare=False)
    is_node: bool = field(compare=False)
    author: str = field(compare=False)
    time: str = field(compare=False)
    runs: Runs = field(compare=False, repr=False)
    conditioned: int = field(default=0, compare=False)
    nearest: int = field(default=0, compare=False)
    even: int = field(default=0, compare=False)

    @staticmethod
    def new(node_id: str, runs: Runs, is_node: bool, author: str, time: datetime | str | None) -> Correction:
        """Return a correction with a fresh id.

        Raises
        ------
        InputError: ``time`` is not a time in ISO 8601.
        """
        return Correction(uuid.uuid4().hex[:12], node_id, is_node, " ".join(author.split()), utc_text(time), runs)

    @property
    def voxels(self) -> BoolArray:
        """The corrected voxels: bool ``(k, j, i)``, a new array at each call."""
        return self.runs.mask()

    @property
    def voxel_count(self) -> int:
        """The number of corrected voxels."""
        return self.runs.count


def corrected_voxel_count(corrections: Iterable[Correction]) -> int:
    """Return the number of voxels that any of some corrections covers."""
    voxels = [correction.runs.voxels() for correction in corrections]
    return int(np.unique(np.concatenate(voxels)).size) if voxels else 0


def utc_text(time: datetime | str | None) -> str:
    """Return a time (now, where none is given; UTC, where no zone is) as text in UTC.

    Raises
    ------
    InputError: not a time in ISO 8601.
    """
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time[:-1] + "+00:00" if time.endswith(("Z", "z")) else time)
        except ValueError as error:
            raise InputError(
                f"expected a time such as 2026-01-31T12:00:00Z, got {time!r}", field="time of a correction"
            ) from error
    moment = datetime.now(timezone.utc) if time is None else time
    moment = moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)
    return moment.isoformat(timespec="seconds").removesuffix("+00:00") + "Z"
