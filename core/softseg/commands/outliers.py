"""``softseg outliers``: fit an outlier score to a model, and list a model's scores."""

from __future__ import annotations

from typing import Annotated

import typer

from softseg.commands.asked import command_of
from softseg.events import Events
from softseg.requests.train import FitOutliersRequest

app = typer.Typer(
    help="Outlier scores: detect voxels unlike the training data.", no_args_is_help=True, rich_markup_mode=None
)

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="A model folder, also an ensemble, or the name of a shipped model.")
]


def _fit(request: FitOutliersRequest, events: Events) -> None:
    """Fit an outlier score to a model or an ensemble: estimates on training cases, threshold on validation cases."""
    from softseg.data import Dataset
    from softseg.outliers import FitRequest
    from softseg.outliers.folder import fit_folder, options_of

    asked = FitRequest(
        request.score,
        most_loss=request.most_loss,
        tpr=request.tpr,
        threshold=request.threshold,
        held_out=request.held_out,
        threshold_cases=list(request.cases) or None,
        options=options_of(list(request.sets)),
    )
    dataset = Dataset.load(request.data)
    fit_folder(request.model, dataset, asked, out=request.out, device=request.device, events=events)


fit = app.command("fit")(command_of(FitOutliersRequest, _fit))


@app.command("show")
def show(model: ModelArgument) -> None:
    """Show a model's outlier score and the scores it can have."""
    from softseg.outliers.folder import described
    from softseg.prediction import load_models

    for line in described(load_models(model)):
        typer.echo(line)
