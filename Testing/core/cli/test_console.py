"""What people see: bars on a terminal, lines elsewhere, nothing with --quiet."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from softseg.commands import console
from softseg.commands.console import ConsoleSink
from softseg.events import Events


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _work(events: Events) -> None:
    events.stage("train", total=2)
    events.progress(1, 2)
    events.metrics({"loss": 0.5})
    events.metrics({"loss": 0.25})
    events.metrics({"dice/leaves": 0.75, "step": 2})
    events.log("a [plain] text")
    events.warning("careful")
    events.result("model", "run/model")
    events.done()


def test_lines_in_a_file() -> None:
    out, warnings = io.StringIO(), io.StringIO()
    _work(Events(ConsoleSink(out, warnings)))
    assert out.getvalue().splitlines() == [
        "train",
        "loss 0.5",
        "dice/leaves 0.75  step 2",
        "a [plain] text",
        "model: run/model",
    ]
    assert warnings.getvalue() == "warning: careful\n"


def test_numbers_of_every_step_come_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 40, 4))
    monkeypatch.setattr(console.time, "monotonic", lambda: float(next(now)))
    out = io.StringIO()
    sink = ConsoleSink(out)
    for step in range(8):
        sink.write({"event": "metrics", "values": {"step": step}})
    assert out.getvalue().split() == ["step", "0", "step", "3", "step", "6"]


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = _Terminal()
    _work(Events(ConsoleSink(out, io.StringIO())))
    assert "train" in out.getvalue()
    assert "1/2" in out.getvalue()
    assert "\x1b[" in out.getvalue()


def test_quiet_prints_nothing(cli: Callable, world: Path) -> None:
    answer = cli("data", "check", world / "DATA.json", "--quiet")
    assert (answer.code, answer.out, answer.err) == (0, "", "")
