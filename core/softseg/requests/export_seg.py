"""What ``softseg export-seg`` is asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from softseg.errors import InputError
from softseg.requests.request import Request, argument, option, out_option

SEG_TYPES = ("binary", "labelmap", "fractional")
"""How a DICOM segmentation holds its segments; the first by default."""


@dataclass(frozen=True)
class ExportSegRequest(Request):
    """Write a stored soft parcellation as a DICOM Segmentation of the series it was made from.

    Attributes
    ----------
    soft: a ``.soft.npz`` file.
    out: the DICOM file to write.
    source: the folder of the series, ``FOLDER:SERIES``, or its one file of many frames.
    series: number or UID of the series in the folder; the only one by default.
    cut: a level, ``"leaves"`` or a file of node ids: its nodes are the segments.
    type: ``"binary"`` (1 bit, a segment per node), ``"labelmap"`` (label values of the tree) or ``"fractional"``
        (probability, 0..255).
    corrected: whether corrections are seen, where there are any; else what the model itself said.
    """

    COMMAND: ClassVar[tuple[str, ...]] = ("export-seg",)

    soft: Path = argument("SOFT", "A soft parcellation (.soft.npz).", kind=Path)
    out: Path = out_option("The DICOM file to write.", "SEG.dcm")
    source: str = option("--source", "The DICOM series that it was made from.", metavar="FOLDER")
    series: str | None = option(
        "--series", "The series to read from a DICOM folder.", metavar="NUMBER|UID", default=None
    )
    cut: str = option("--cut", "Write the nodes of this cut as segments.", metavar="LEVEL|FILE", default="leaves")
    type: str = option("--type", "How segments are stored.", choices=SEG_TYPES, default=SEG_TYPES[0])
    corrected: bool = option("--without-corrections", "Leave out corrections.", kind=bool, negated=True, default=True)

    def check(self) -> None:
        """The name is no other format's."""
        if not self.out.name.lower().endswith(".dcm"):
            raise InputError("expected a name that ends in .dcm", file=self.out, field="--out")
