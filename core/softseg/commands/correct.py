"""``softseg correct``: correct voxels of a stored result, list or undo corrections."""

from __future__ import annotations

import typer

from softseg.commands.asked import command_of
from softseg.events import Events
from softseg.requests.correct import CorrectRequest


def _run(request: CorrectRequest, events: Events) -> None:
    """Correct a soft parcellation, list its corrections, or undo them."""
    from softseg.prediction.correcting import run_correct

    run_correct(request, events, typer.echo)


correct = command_of(CorrectRequest, _run)
