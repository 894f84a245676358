"""From bytes of standard output to events, one JSON object a line."""

from __future__ import annotations

import json


class EventStream:
    """Takes bytes as they come, gives whole events; lines that are no events are passed over."""

    def __init__(self):
        self._rest = b""

    def feed(self, data):
        """Return the events that ``data`` (bytes) completes, as dictionaries with the key ``event``."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [event for event in map(_event, lines) if event is not None]

    def close(self):
        """Return what a last line without its end holds."""
        return self.feed(b"\n")


def _event(line):
    try:
        value = json.loads(line.decode("utf-8", "replace"))
    except ValueError:
        return None
    return value if isinstance(value, dict) and "event" in value else None
