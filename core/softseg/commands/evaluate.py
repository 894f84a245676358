"""``softseg evaluate``: compare predictions with references, per leaf, node and level."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softseg.commands.common import CancelFileOption, EventsOption, QuietOption, long_work
from softseg.errors import InputError


def evaluate(
    context: typer.Context,
    tree: Annotated[str, typer.Option("--tree", help="A tree file or the name of a shipped tree.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the tables and report.html.")],
    prediction: Annotated[
        list[Path] | None,
        typer.Option("--prediction", metavar="P...", help="Files, folders of predicted cases, or folders of files."),
    ] = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option("--reference", metavar="R...", help="References of the same names, a folder, or a DATA.json."),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", metavar="TABLE", help="Instead of both: a table that says what belongs together."),
    ] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option("--image", metavar="I...", help="Scans for the pictures, of the same names."),
    ] = None,
    prediction_tree: Annotated[
        str | None,
        typer.Option("--prediction-tree", metavar="TREE", help="Tree or colour table of the predictions' label maps."),
    ] = None,
    reference_tree: Annotated[
        str | None,
        typer.Option("--reference-tree", metavar="TREE", help="Tree or colour table of the references' label maps."),
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

        if pairs is None:
            for option, given in (("--prediction", prediction), ("--reference", reference)):
                if not given:
                    raise InputError(f"missing option '{option}'", hint="give both sides, or --pairs TABLE")
        run_evaluation(
            prediction or [],
            reference or [],
            load_tree(tree),
            out,
            work,
            pairs=pairs,
            images=image or [],
            prediction_tree=None if prediction_tree is None else load_tree(prediction_tree),
            reference_tree=None if reference_tree is None else load_tree(reference_tree),
            tolerance_mm=tolerance,
            labelled_only=labelled_only,
        )
