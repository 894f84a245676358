"""``softseg ensemble``: several models as one model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softseg.commands.common import CancelFileOption, EventsOption, QuietOption, long_work


def ensemble(
    context: typer.Context,
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Model folders or shipped models, two or more.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The model folder to write.")],
    name: Annotated[str | None, typer.Option("--name", help="Its name. [default: that of the folder]")] = None,
    description: Annotated[str | None, typer.Option("--description", help="For its card.")] = None,
    events: EventsOption = None,
    quiet: QuietOption = False,
    cancel_file: CancelFileOption = None,
) -> None:
    """Put several models into one folder that predicts the mean of what they say."""
    with long_work(context, events, quiet, cancel_file) as work:
        from softseg.prediction.ensemble_folder import save_ensemble

        given = {"name": name, "description": description}
        details = {key: value for key, value in given.items() if value is not None}
        work.result("model", save_ensemble(models, out, details))
