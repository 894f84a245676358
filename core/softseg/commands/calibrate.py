"""``softseg calibrate``: calibrate a model's probabilities."""

from __future__ import annotations

from softseg.commands.asked import command_of
from softseg.events import Events
from softseg.requests.train import CalibrateRequest


def _run(request: CalibrateRequest, events: Events) -> None:
    """Find a temperature for each level of the tree on validation cases, and store them in MODEL."""
    from softseg.calibration import calibrate as run_calibration
    from softseg.data import Dataset

    run_calibration(
        request.model,
        Dataset.load(request.data),
        split=request.split,  # type: ignore[arg-type] # one of the choices
        test_split=request.test_split,  # type: ignore[arg-type]
        out=request.out,
        voxels=request.voxels,
        device=request.device,
        seed=request.seed,
        events=events,
    )


calibrate = command_of(CalibrateRequest, _run)
