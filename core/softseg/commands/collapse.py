"""``softseg collapse``: from a stored soft parcellation to a label map or to one node's soft map."""

from __future__ import annotations

from softseg.commands.asked import command_of
from softseg.events import Events
from softseg.requests.predict import CollapseRequest


def _run(request: CollapseRequest, events: Events) -> None:
    """Collapse a soft parcellation: labels at a cut or of the deepest sure node, or a node's probability."""
    from softseg.prediction.collapsing import run_collapse

    run_collapse(request, events)


collapse = command_of(CollapseRequest, _run)
