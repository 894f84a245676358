"""``softseg outliers``: fit an outlier score to a model, and say what a model has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softseg.commands.common import CancelFileOption, DeviceOption, EventsOption, QuietOption, long_work

app = typer.Typer(
    help="Outlier scores: how strange a voxel is to a model.", no_args_is_help=True, rich_markup_mode=None
)

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="A model folder or the name of a shipped model.")]


@app.command("fit")
def fit(
    context: typer.Context,
    model: ModelArgument,
    data: Annotated[Path, typer.Argument(metavar="DATA.json", help="The dataset that it was trained on.")],
    score: Annotated[
        str,
        typer.Option("--score", metavar="NAME", help="max-softmax, energy, entropy, odin, mahalanobis or godin."),
    ],
    most_loss: Annotated[
        float,
        typer.Option("--most-loss", metavar="SHARE", help="Accuracy on known voxels that it may cost, 0..1."),
    ] = 0.005,
    tpr: Annotated[
        float | None,
        typer.Option("--tpr", metavar="SHARE", help="Instead: share of known voxels that stays below the threshold."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="The threshold itself, in units of the score, instead.")
    ] = None,
    held_out: Annotated[
        str | None,
        typer.Option("--held-out", metavar="ID,ID", help="Branches that the model was not trained on: not known."),
    ] = None,
    cases: Annotated[
        str | None,
        typer.Option("--cases", metavar="ID,ID", help="Choose the threshold on these. [default: validation cases]"),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option of the score, such as temperature=2."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="MODEL2", help="Write a copy of the model. [default: in place]")
    ] = None,
    device: DeviceOption = "auto",
    events: EventsOption = None,
    quiet: QuietOption = False,
    cancel_file: CancelFileOption = None,
) -> None:
    """Fit an outlier score to a model: estimates on training cases, threshold on validation cases."""
    with long_work(context, events, quiet, cancel_file) as work:
        from softseg.data import Dataset
        from softseg.outliers.folder import fit_folder, options_of

        options = options_of(sets or [])
        fit_folder(
            model,
            Dataset.load(data),
            score,
            out=out,
            most_loss=most_loss,
            tpr=tpr,
            threshold=threshold,
            held_out=_listed(held_out),
            threshold_cases=None if cases is None else _listed(cases),
            options=options,
            device=device,
            events=work,
        )


@app.command("show")
def show(model: ModelArgument) -> None:
    """Say which outlier score a model has, and which ones it can have."""
    from softseg.outliers.folder import described
    from softseg.prediction import load_model

    for line in described(load_model(model)):
        typer.echo(line)


def _listed(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]
