"""``softseg predict``: segment scans with a model folder."""

from __future__ import annotations

from softseg.commands.asked import command_of
from softseg.events import Events
from softseg.requests.predict import PredictRequest


def _run(request: PredictRequest, events: Events) -> None:
    """Segment scans softly: soft parcellation, label maps, soft maps and volumes."""
    from softseg.prediction.batch import run

    run(request, events)


predict = command_of(PredictRequest, _run)
