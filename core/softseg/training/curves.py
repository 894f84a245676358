"""What happened at every step: loss, learning rate and validation scores, as CSV, JSON lines, picture, TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from softseg.files import write_beside
from softseg.spreadsheets import write_cells
from softseg.texts import parse_json


@dataclass
class Curve:
    """The course of a training.

    Attributes
    ----------
    losses, rates: one number per step, the first is that of step 1.
    scores: validation scores by step.
    """

    losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    scores: dict[int, dict[str, float]] = field(default_factory=dict)

    def add(self, loss: float, rate: float) -> None:
        """Add one step."""
        self.losses.append(loss)
        self.rates.append(rate)

    def smooth(self, width: int | None = None) -> list[float]:
        """Return the running mean of the loss over ``width`` steps (a fiftieth of all by default)."""
        width = max(1, len(self.losses) // 50) if width is None else width
        means, total = [], 0.0
        for step, loss in enumerate(self.losses):
            total += loss - (self.losses[step - width] if step >= width else 0.0)
            means.append(total / min(step + 1, width))
        return means

    def state(self) -> dict[str, Any]:
        """Return plain values for a checkpoint."""
        return {"losses": list(self.losses), "rates": list(self.rates), "scores": dict(self.scores)}

    @staticmethod
    def from_state(state: Mapping[str, Any]) -> Curve:
        """Return the curve that :meth:`state` described.

        Raises
        ------
        KeyError, TypeError, ValueError, AttributeError: this is no state of a curve.
        """
        losses, rates = ([float(value) for value in state[name]] for name in ("losses", "rates"))
        if len(losses) != len(rates):
            raise ValueError("expected a learning rate for every loss")
        scores = {int(step): {str(k): float(v) for k, v in found.items()} for step, found in state["scores"].items()}
        return Curve(losses, rates, scores)

    def write_csv(self, path: Path) -> None:
        """Write one row per step: step, loss, learning rate, and the scores where there was a validation."""
        names = sorted({name for scores in self.scores.values() for name in scores}, key=_natural)
        with write_beside(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            write_cells(file, [["step", "loss", "learning_rate", *names]], "\n")
            write_cells(file, (self._row(step, names) for step in range(1, len(self.losses) + 1)), "\n")

    def _row(self, step: int, names: Sequence[str]) -> list[Any]:
        scores = self.scores.get(step, {})
        numbers = (repr(self.losses[step - 1]), repr(self.rates[step - 1]))
        return [step, *numbers, *(_cell(scores.get(name)) for name in names)]

    def write_picture(self, path: Path, title: str) -> None:
        """Draw loss, Dice per level and learning rate as PNG."""
        from softseg.training.picture import draw_curve

        with write_beside(path) as temporary:
            draw_curve(self, temporary, title)


class Log:
    """``log.jsonl``: one JSON object per line, written at once, cut back to the checkpoint when a run is resumed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, kind: str, **values: Any) -> None:
        """Append one line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": kind, **values}, ensure_ascii=False) + "\n")

    def cut(self, step: int) -> None:
        """Drop everything later than ``step``, and a last line that was cut off."""
        if not self.path.is_file():
            return
        kept = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = parse_json(line)
            except ValueError:
                continue
            at = entry.get("step", 0) if isinstance(entry, dict) else None
            if isinstance(at, (int, float)) and at <= step:
                kept.append(line + "\n")
        with write_beside(self.path) as temporary:
            temporary.write_text("".join(kept), encoding="utf-8")


def _cell(value: float | None) -> str:
    return "" if value is None else repr(value)


def _natural(name: str) -> tuple[str, int, str]:
    kind, _, place = name.partition("/")
    number = "".join(sign for sign in place if sign.isdigit())
    return kind, int(number) if number else 10_000, place
