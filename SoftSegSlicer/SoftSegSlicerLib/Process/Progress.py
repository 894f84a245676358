"""How far a prediction is, in one number and in words. Needs no Qt."""

from __future__ import annotations

from ..Translation import tr as _

_SPAN = {
    "start": (0.0, 0.04),
    "read": (0.04, 0.06),
    "mask": (0.06, 0.08),
    "predict": (0.08, 0.92),
    "average": (0.92, 0.92),
    "clean": (0.92, 0.94),
    "store": (0.94, 1.0),
}
"""Which part of the bar belongs to which stage of ``softseg predict``."""


class Progress:
    """Follows the events of one prediction.

    Attributes
    ----------
    share: of the work that is done, 0..1; never goes back.
    text: what is being done and how long it will take, for people.
    """

    def __init__(self):
        self.share = 0.0
        self._stage = "start"
        self._secondsLeft = None
        self._expected = None
        self._measured = False

    @property
    def busy(self):
        """Whether the present stage does not say how far it is, so that a bar can only show that it moves."""
        return not self._measured

    @property
    def text(self):
        """What is being done, and the time left where it is known."""
        names = {
            "start": _("Starting"),
            "read": _("Reading the scan"),
            "mask": _("Making the brain mask"),
            "predict": _("Segmenting"),
            "average": _("Averaging the models"),
            "clean": _("Cleaning"),
            "store": _("Storing the result"),
        }
        name = names.get(self._stage, self._stage)
        seconds = self._secondsLeft if self._secondsLeft is not None else self._expected
        if self._stage != "predict" or seconds is None:
            return f"{name} ..."
        return _("{stage}: {time} left").format(stage=name, time=duration(seconds))

    def take(self, event):
        """Take one event (a dictionary, see docs/events.md)."""
        if event["event"] == "stage":
            self._stage, self._secondsLeft, self._measured = event["stage"], None, False
            self._reach(0.0)
        elif event["event"] == "progress" and event.get("total"):
            self._secondsLeft, self._measured = event.get("seconds_left"), True
            self._reach(event["done"] / event["total"])
        elif event["event"] == "estimate" and event.get("seconds") is not None:
            self._expected = event["seconds"]

    def _reach(self, part):
        first, last = _SPAN.get(self._stage, (self.share, self.share))
        self.share = max(self.share, first + part * (last - first))


def duration(seconds):
    """Return a time for people: seconds below one and a half minutes, then minutes, then hours."""
    if seconds < 90:
        return _("{count} s").format(count=max(1, round(seconds)))
    if seconds < 5400:
        return _("{count} min").format(count=round(seconds / 60))
    return _("{count} h").format(count=round(seconds / 3600, 1))
