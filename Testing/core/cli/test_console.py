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


def test_a_long_stage_in_a_file_gets_a_line_a_tenth_or_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    sink = ConsoleSink(out)

    def step(seconds: float, done: int, left: float | None) -> None:
        now[0] = seconds
        sink.write({"event": "progress", "stage": "predict", "done": done, "total": 100, "seconds_left": left})

    sink.write({"event": "stage", "stage": "predict", "total": 100})
    for seconds, done, left in ((9, 12, 90), (10, 13, 89.2), (30, 22, 80), (31, 23, 100), (90, 24, 101)):
        step(seconds, done, left)
    step(200, 70, None)
    step(300, 100, 0)
    assert out.getvalue().splitlines() == [
        "predict",
        "predict: 13%, 90 s left",
        "predict: 23%, 2 min left",
        "predict: 70%",
    ]


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
