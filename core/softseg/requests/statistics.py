"""What ``softseg statistics`` is asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from softseg.errors import InputError
from softseg.requests.request import Request, argument, option, out_option

ENDINGS = (".csv", ".tsv", ".json")


@dataclass(frozen=True)
class StatisticsRequest(Request):
    """Measure the structures of a stored soft parcellation.

    Attributes
    ----------
    soft: a ``.soft.npz`` file.
    out: the table: ``.csv``, ``.tsv`` or ``.json``.
    images: scans whose intensities are measured, ``NAME=IMAGE`` or a path; they may lie on other grids.
    cut: a level, ``"leaves"`` or a file of node ids; None for all nodes of the tree.
    nodes: ids or names of the only nodes to measure.
    corrected: whether corrections are seen, where there are any; else what the model itself said.
    """

    COMMAND: ClassVar[tuple[str, ...]] = ("statistics",)

    soft: Path = argument("SOFT", "A soft parcellation (.soft.npz).", kind=Path)
    out: Path = out_option("The table: .csv, .tsv or .json.", "TABLE")
    images: tuple[str, ...] = option(
        "--image", "Measure this scan's intensities; repeatable.", metavar="[NAME=]IMAGE", several=True, default=()
    )
    cut: str | None = option(
        "--cut", "Measure the nodes of this cut; all by default.", metavar="LEVEL|FILE", default=None
    )
    nodes: tuple[str, ...] = option(
        "--node", "Measure this node only; repeatable.", metavar="ID", several=True, default=()
    )
    corrected: bool = option("--without-corrections", "Leave out corrections.", kind=bool, negated=True, default=True)

    def check(self) -> None:
        """The table's name ends as one that can be written; at most one choice of nodes."""
        if not self.out.name.lower().endswith(ENDINGS):
            raise InputError(f"expected a name that ends in {', '.join(ENDINGS)}", file=self.out, field="--out")
        if self.cut is not None and self.nodes:
            raise InputError("give either --cut or --node", field="--cut/--node")
