"""``softseg ensemble``: several models as one model folder."""

from __future__ import annotations

from softseg.commands.asked import command_of
from softseg.events import Events
from softseg.requests.train import EnsembleRequest


def _run(request: EnsembleRequest, events: Events) -> None:
    """Combine several models into one folder that predicts their mean."""
    from softseg.prediction.ensemble_folder import save_ensemble

    given = {"name": request.name, "description": request.description}
    details = {key: value for key, value in given.items() if value is not None}
    events.result("model", save_ensemble(request.models, request.out, details))


ensemble = command_of(EnsembleRequest, _run)
