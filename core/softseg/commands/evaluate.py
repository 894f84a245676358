"""``softseg evaluate``: compare predictions with references, per leaf, node and level."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softseg.commands.common import CancelFileOption, EventsOption, QuietOption, long_work


def evaluate(
    context: typer.Context,
    prediction: Annotated[
        list[Path],
        typer.Option("--prediction", metavar="P...", help="Files, folders of predicted cases, or folders of files."),
    ],
    reference: Annotated[
        list[Path],
        typer.Option(
            "--reference", metavar="R...", help="References of the same names or order, a folder, or a DATA.json."
        ),
    ],
    tree: Annotated[str, typer.Option("--tree", help="A tree file or the name of a shipped tree.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the tables and report.html.")],
    image: Annotated[
        list[Path] | None,
        typer.Option("--image", metavar="I...", help="Scans for the pictures, of the same names or order."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", metavar="MM", min=0, help="Distance that the surface Dice forgives.")
    ] = 1.0,
    labelled_only: Annotated[
        bool,
        typer.Option("--labelled-only", help="Judge labelled voxels alone: what is not painted is not background."),
    ] = False,
    events: EventsOption = None,
    quiet: QuietOption = False,
    cancel_file: CancelFileOption = None,
) -> None:
    """Score predictions (soft parcellations or label maps) against references, with a report."""
    with long_work(context, events, quiet, cancel_file) as work:
        from softseg.commands.tree import load_tree
        from softseg.evaluation import evaluate as run_evaluation

        run_evaluation(
            prediction,
            reference,
            load_tree(tree),
            out,
            work,
            images=image or [],
            tolerance_mm=tolerance,
            labelled_only=labelled_only,
        )
