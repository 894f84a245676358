"""A study made tiny: what STUDY.yaml has under ``smoke`` laid over the rest, to see in seconds that all of it works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from softseg.errors import InputError

MARK = "# A smoke run: this study made tiny by its key `smoke`. Its numbers mean nothing."
"""First line of ``DIR/study.yaml`` of such a run."""


def smoke_values(values: dict[str, Any], file: Path) -> dict[str, Any]:
    """Return a study's keys with those below ``smoke`` laid over them.

    Raises
    ------
    InputError: there is no such key, or it is not a mapping.
    """
    over = values.get("smoke")
    if not isinstance(over, dict) or not over:
        raise InputError(
            "this study has no tiny form of itself",
            file=file,
            field="smoke",
            hint="add the key smoke: with the keys that make it small (docs/studies.md)",
        )
    return lay_over({key: value for key, value in values.items() if key != "smoke"}, over)


def lay_over(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` changed by ``over``: mappings key by key at any depth, anything else replaced."""
    merged = dict(base)
    for key, value in over.items():
        below = base.get(key)
        merged[key] = lay_over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def smoke_text(values: dict[str, Any]) -> str:
    """Return the file that asks for the tiny study outright, marked as such."""
    return f"{MARK}\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}"


def keep_apart(out: Path, smoke: bool) -> None:
    """Refuse to replace a study's finished trainings with tiny ones, or the other way round.

    Raises
    ------
    InputError: ``out`` holds finished trainings of the other kind.
    """
    file = out / "study.yaml"
    if not file.is_file() or not any(out.glob("jobs/*/job.json")):
        return
    if file.read_text(encoding="utf-8").startswith(MARK) != smoke:
        there, asked = ("a full study", "a smoke run") if smoke else ("a smoke run", "the full study")
        raise InputError(f"holds {there}, which {asked} would replace", file=out, hint="choose another folder")
