"""``softseg statistics``: numbers of the structures of a stored soft parcellation."""

from __future__ import annotations

from softseg.commands.asked import command_of
from softseg.events import Events
from softseg.requests.statistics import StatisticsRequest


def _run(request: StatisticsRequest, events: Events) -> None:
    """Measure structures: soft and hard volume, certainty, and intensities weighted by probability."""
    from softseg.soft.statistics import run_statistics

    run_statistics(request, events)


statistics = command_of(StatisticsRequest, _run)
