"""Passes warnings of single jobs on to the study's log, once each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from softseg.events import Events


class Relay:
    """Passes on warnings of jobs, each text once."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._said: set[str] = set()

    def for_job(self, name: str) -> Events:
        """Return what the job reports to; it stops when the study is asked to."""
        return Events(_NamedRelay(self, name), self._events.cancel)

    def warn(self, name: str, text: str) -> None:
        """Pass on a warning of a job unless another job gave the same."""
        if text not in self._said:
            self._said.add(text)
            self._events.warning(f"{name}: {text}")


class _NamedRelay:
    def __init__(self, relay: Relay, name: str) -> None:
        self._relay, self._name = relay, name

    def write(self, event: Mapping[str, Any]) -> None:
        """Take one event."""
        if event["event"] == "warning":
            self._relay.warn(self._name, str(event["text"]))
