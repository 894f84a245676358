"""``softseg guarantee``: bound a model's wrong labels on a new person."""

from __future__ import annotations

from softseg.commands.asked import command_of
from softseg.events import Events
from softseg.requests.train import GuaranteeRequest


def _run(request: GuaranteeRequest, events: Events) -> None:
    """Find the probability a label must have so that few are wrong on a new person, and store it in MODEL."""
    from softseg.calibration.guarantee import find_guarantee
    from softseg.data import Dataset
    from softseg.errors import InputError
    from softseg.soft.guarantee import CONFIDENCE

    found = find_guarantee(
        request.model,
        Dataset.load(request.data),
        split=request.split,  # type: ignore[arg-type] # one of the choices
        predictions=request.predictions,
        device=request.device,
        events=events,
    )
    confidence = min(CONFIDENCE, len(found.people) / (len(found.people) + 1))
    for alpha in (0.01, 0.02, 0.05, 0.1):
        try:
            level = f"level {found.level(alpha, confidence):.2f}"
        except InputError as error:
            level = error.message
        events.log(f"at most {alpha:g} wrong labels on a new person, confidence {confidence:.3g}: {level}")


guarantee = command_of(GuaranteeRequest, _run)
