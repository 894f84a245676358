"""``softseg export-seg``: a stored soft parcellation as a DICOM Segmentation."""

from __future__ import annotations

from softseg.commands.asked import command_of
from softseg.events import Events
from softseg.requests.export_seg import ExportSegRequest


def _run(request: ExportSegRequest, events: Events) -> None:
    """Write a soft parcellation as a DICOM Segmentation of the series that it was made from."""
    from softseg.dicom.export import run_export_seg

    run_export_seg(request, events)


export_seg = command_of(ExportSegRequest, _run)
