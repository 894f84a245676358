"""docs/command-line.md and docs/events.md say what the program does."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from softseg.errors import SoftSegError
from softseg.events import Events, ListSink

DOCS = Path(__file__).resolve().parents[3] / "docs"
COMMANDS = (
    "doctor", "demo", "train", "predict", "ensemble", "collapse", "correct", "import-soft", "export-seg", "statistics",
    "evaluate", "calibrate", "outliers fit", "tree check", "tree show", "tree convert",
    "tree diff", "data check", "data import", "data fuse", "study", "data scribbles", "data coarsen",
    "data false-colour", "data raters", "data export", "nnunet trainers",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_documented(cli: Callable, command: str) -> None:
    text = (DOCS / "command-line.md").read_text(encoding="utf-8")
    assert f"softseg {command}" in text
    options = set(re.findall(r"^ +(--[a-z-]+)", cli(*command.split(), "--help").out, re.MULTILINE)) - {"--help"}
    assert options <= set(re.findall(r"--[a-z-]+", text))


def test_every_event_is_documented() -> None:
    sink = ListSink()
    events = Events(sink)
    events.stage("a", 2)
    events.progress(1, 2)
    events.metrics({"loss": 1.0})
    events.log("text")
    events.warning("text")
    events.estimate("text", memory=1)
    events.result("model", "run/model")
    events.error(SoftSegError("wrong"))
    events.done()
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*)\|", (DOCS / "events.md").read_text(encoding="utf-8"), re.MULTILINE))
    rows.pop("event")  # the table's head
    assert {event["event"] for event in sink.events} == set(rows)
    for event in sink.events:
        assert set(event) - {"event"} == set(re.findall(r"`(\w+)`", rows[event["event"]]))


def test_links_lead_somewhere() -> None:
    root = DOCS.parent
    for page in (*root.glob("*.md"), *DOCS.glob("*.md")):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
