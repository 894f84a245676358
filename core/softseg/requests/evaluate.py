"""What ``softseg evaluate`` and ``softseg data false-colour`` are asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from softseg.errors import InputError
from softseg.requests.request import Request, argument, option, out_option


@dataclass(frozen=True)
class EvaluateRequest(Request):
    """Score predictions against references, with a report.

    Attributes
    ----------
    tree: a tree file or the name of a shipped tree.
    out: folder for the tables and report.html.
    prediction: files, folders of predicted cases, or folders of files.
    reference: references of the same names, a folder, or a DATA.json.
    pairs: instead of both: a table that says what belongs together.
    image: scans for the pictures, of the same names.
    prediction_tree, reference_tree: tree or colour table of the label maps of one side, where it is another.
    tolerance_mm: distance that the surface Dice forgives.
    labelled_only: evaluate labelled voxels alone: what is not painted is not background.
    corrected: whether the corrections of soft parcellations are evaluated too; else what the model itself said.
    report: whether report.html is written beside the tables.
    """

    COMMAND: ClassVar[tuple[str, ...]] = ("evaluate",)

    tree: str = option("--tree", "A tree file or the name of a shipped tree.")
    out: Path = out_option("Folder for the tables and report.html.")
    prediction: tuple[Path, ...] = option(
        "--prediction",
        "Files, folders of predicted cases, or folders of files.",
        metavar="P...",
        kind=Path,
        several=True,
        default=(),
    )
    reference: tuple[Path, ...] = option(
        "--reference",
        "References of the same names, a folder, or a DATA.json.",
        metavar="R...",
        kind=Path,
        several=True,
        default=(),
    )
    pairs: Path | None = option(
        "--pairs",
        "Instead of both: a table of pairs.",
        metavar="TABLE",
        kind=Path,
        default=None,
    )
    image: tuple[Path, ...] = option(
        "--image", "Scans for the pictures, of the same names.", metavar="I...", kind=Path, several=True, default=()
    )
    prediction_tree: str | None = option(
        "--prediction-tree", "Tree or colour table of the predictions' label maps.", metavar="TREE", default=None
    )
    reference_tree: str | None = option(
        "--reference-tree", "Tree or colour table of the references' label maps.", metavar="TREE", default=None
    )
    tolerance_mm: float = option(
        "--tolerance", "Tolerance of the surface Dice.", metavar="MM", kind=float, low=0, default=1.0
    )
    labelled_only: bool = option(
        "--labelled-only",
        "Score labelled voxels only: unlabelled voxels are not background.",
        kind=bool,
        default=False,
    )
    corrected: bool = option(
        "--without-corrections",
        "Score the model's prediction without corrections.",
        kind=bool,
        negated=True,
        default=True,
    )
    report: bool = option(
        "--without-report", "Write only the tables, no report.html.", kind=bool, negated=True, default=True
    )

    def check(self) -> None:
        """Both sides are given, or the table."""
        if self.pairs is None:
            for flag, given in (("--prediction", self.prediction), ("--reference", self.reference)):
                if not given:
                    raise InputError(f"missing option '{flag}'", hint="give both sides, or --pairs TABLE")


@dataclass(frozen=True)
class FalseColourRequest(Request):
    """Write three bands of a cube as red, green and blue, to look at.

    Attributes
    ----------
    cube: a file, or ``FILE.npz:NAME``.
    out: the picture or volume to write.
    bands: three, counted from 0, for red, green and blue; those nearest 650, 550 and 450 nm by default.
    percent: percentiles that become black and full colour.
    """

    COMMAND: ClassVar[tuple[str, ...]] = ("data", "false-colour")

    cube: str = argument("CUBE", "A cube of bands: a file, or FILE.npz:NAME.")
    out: Path = out_option("The picture or volume to write.", "PNG|NRRD")
    bands: str | None = option(
        "--bands",
        "Bands for red, green and blue, counted from 0. [default: those nearest 650, 550 and 450 nm]",
        metavar="R,G,B",
        default=None,
    )
    percent: str = option(
        "--percent", "Percentiles that become black and full colour.", metavar="LOW,HIGH", default="2,98"
    )
