"""``softseg import-soft``: other tools' probabilities as a soft parcellation."""

from __future__ import annotations

from softseg.commands.asked import command_of
from softseg.events import Events
from softseg.requests.import_soft import ImportSoftRequest


def _run(request: ImportSoftRequest, events: Events) -> None:
    """Make a soft parcellation of other tools' probabilities: nnU-Net's .npz, a 4D image, a folder of maps."""
    from softseg.exchange.importing import run_import_soft

    run_import_soft(request, events)


import_soft = command_of(ImportSoftRequest, _run)
