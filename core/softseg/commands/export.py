"""``softseg export``: a model's network in a form that other software runs."""

from __future__ import annotations

from softseg.commands.asked import command_of
from softseg.events import Events
from softseg.requests.export import ExportRequest


def _run(request: ExportRequest, events: Events) -> None:
    """Write a model's network in a form that other software runs, into its folder."""
    from softseg.prediction.exporting import export_onnx

    for file in export_onnx(request.model, events):
        events.result("onnx", file)


export = command_of(ExportRequest, _run)
