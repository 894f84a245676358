"""What ``softseg import-soft`` is asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from softseg.errors import InputError
from softseg.requests.request import Request, argument, option, out_option


@dataclass(frozen=True)
class ImportSoftRequest(Request):
    """Convert probabilities of other tools to a soft parcellation.

    Attributes
    ----------
    inputs: nnU-Net's ``.npz``, a stack, a folder of maps, several maps, or a fractional DICOM Segmentation.
    out: the ``.soft.npz``.
    tree: a tree file or the name of a shipped tree; None for a flat tree of the names.
    like: an image on whose grid the probabilities lie.
    labels: a table of labels that names the volumes, in the order of its values.
    chosen: ``MAP=NODE``: which node a map is, by its name or number (from 0); ``MAP=-`` leaves it out.
    scale: what stands for probability 1, or ``auto``.
    normalize: divide probabilities that sum to more than 1 by their sum.
    name: of the model that is stored with the result.
    """

    COMMAND: ClassVar[tuple[str, ...]] = ("import-soft",)

    inputs: tuple[Path, ...] = argument(
        "PROBABILITIES...",
        "nnU-Net's .npz, a 4D image, a folder of maps, maps, or a fractional DICOM SEG.",
        kind=Path,
        several=True,
    )
    out: Path = out_option("The soft parcellation (.soft.npz).", "SOFT")
    tree: str | None = option("--tree", "A tree file or a shipped tree.", metavar="TREE", default=None)
    like: Path | None = option("--like", "Image with the same voxel grid.", kind=Path, metavar="IMAGE", default=None)
    labels: Path | None = option(
        "--labels", "A table that names the volumes, in the order of its values.", kind=Path, metavar="TABLE",
        default=None,
    )  # fmt: skip
    chosen: tuple[str, ...] = option(
        "--as", "Node of a map; MAP=- leaves it out.", metavar="MAP=NODE", several=True, default=()
    )
    scale: str = option(
        "--scale", "Stored value of probability 1.", choices=("auto", "1", "100", "255"), default="auto"
    )
    normalize: bool = option(
        "--normalize", "Rescale voxels whose probabilities sum to more than 1.", kind=bool, default=False
    )
    name: str = option("--name", "Name to store with the result.", metavar="TEXT", default="")

    def check(self) -> None:
        """There is something to read, and the name of the output fits."""
        if not self.inputs:
            raise InputError("missing PROBABILITIES")
        if self.chosen and self.tree is None:
            raise InputError("--as names nodes of a tree: give --tree, too", field="--as")
        if not self.out.name.endswith(".soft.npz"):
            raise InputError("expected a name that ends in .soft.npz", file=self.out, field="--out")
