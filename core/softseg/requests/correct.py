"""What ``softseg correct`` is asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from softseg.errors import InputError
from softseg.requests.request import Request, argument, option

_ONE = "give one of --node with --voxels, --labels with --cut, --undo and --list"


@dataclass(frozen=True)
class CorrectRequest(Request):
    """Correct voxels of a stored soft parcellation; list the corrections, or undo them.

    Attributes
    ----------
    soft: a ``.soft.npz`` file.
    out: the corrected ``.soft.npz``, which may be the same file; not with ``listed``.
    node: id or name of the node that the voxels are, with ``voxels``.
    voxels: a mask on the grid of the parcellation.
    is_not: the voxels are not the node.
    labels: an edited label map of ``cut``: what differs from the parcellation's own is said.
    cut: a level, ``"leaves"`` or a file of node ids.
    author: who says so.
    undo: ids of corrections, or ``last``, or ``all``, to be taken back.
    listed: print the corrections, the oldest first.
    """

    COMMAND: ClassVar[tuple[str, ...]] = ("correct",)

    soft: Path = argument("SOFT", "A soft parcellation (.soft.npz).", kind=Path)
    out: Path | None = option(
        "--out", "The corrected soft parcellation; may be SOFT itself.", metavar="SOFT", kind=Path, default=None
    )
    node: str | None = option("--node", "The voxels are this node of the tree.", metavar="ID", default=None)
    voxels: Path | None = option(
        "--voxels", "Which voxels: a mask on the same grid.", metavar="MASK", kind=Path, default=None
    )
    is_not: bool = option("--not", "The voxels are not the node.", kind=bool, default=False)
    labels: Path | None = option(
        "--labels",
        "Instead: an edited label map; every changed voxel is corrected.",
        metavar="EDITED",
        kind=Path,
        default=None,
    )
    cut: str | None = option("--cut", "The cut of the edited label map.", metavar="LEVEL|FILE", default=None)
    author: str = option("--author", "Author of the correction.", metavar="NAME", default="")
    undo: tuple[str, ...] = option(
        "--undo", "Undo this correction; may be repeated.", metavar="ID|last|all", several=True, listed=True, default=()
    )
    listed: bool = option("--list", "Print the corrections, the oldest first.", kind=bool, default=False)

    def check(self) -> None:
        """Exactly one action is given, with its options."""
        asked = (self.node is not None, self.labels is not None, bool(self.undo), self.listed)
        if sum(asked) != 1:
            raise InputError(_ONE, field="--node/--labels/--undo/--list")
        for flag, given, other, wanted in (
            ("--voxels", self.voxels, "--node", self.node),
            ("--cut", self.cut, "--labels", self.labels),
        ):
            if (given is None) != (wanted is None):
                raise InputError(f"{other} and {flag} belong together", field=f"{other}/{flag}")
        if self.is_not and self.node is None:
            raise InputError("--not belongs to --node", field="--not")
        if (self.out is None) != self.listed:
            raise InputError(
                "nothing is written with --list" if self.listed else "missing option '--out'", field="--out"
            )
