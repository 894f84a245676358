"""What a run of the benchmarks leaves behind: the JSON file, the table on screen and the table in the documentation."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from measure import Curve, Line
from rich.table import Table

from softseg import system

SCHEMA = 1
TABLE_START, TABLE_STOP = "<!-- table: written by python dev.py bench -->", "<!-- end of table -->"


def machine_facts(threads: int) -> dict[str, Any]:
    """Return what a reader must know about the machine to judge the numbers."""
    return {
        "cpu": _cpu_model(),
        "cores": system.cores(),
        "threads": threads,
        "memory_gb": round(system.memory().total / 1e9),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": version("torch"),
    }


def to_json(lines: Sequence[Line], curves: Sequence[Curve], *, quick: bool, machine: dict[str, Any]) -> dict[str, Any]:
    """Return everything measured as JSON values; ratios and verdicts are written out for readers without this code."""
    return {
        "schema": SCHEMA,
        "date": date.today().isoformat(),
        "quick": quick,
        "machine": machine,
        "lines": [asdict(line) | {"ratio": line.ratio, "met": line.met} for line in lines],
        "curves": [asdict(curve) for curve in curves],
    }


def merged(new: dict[str, Any], old: dict[str, Any] | None, suites: Iterable[str]) -> dict[str, Any]:
    """Return ``new`` with the lines and curves of those suites of ``old`` that were not run now.

    Only results of the same machine are kept: a table must not mix two.
    """
    if old is None or old["schema"] != SCHEMA or old["machine"] != new["machine"] or old["quick"] != new["quick"]:
        return new
    ran = set(suites)
    kept = {key: [entry for entry in old[key] if entry["suite"] not in ran] for key in ("lines", "curves")}
    joined = {key: sorted(kept[key] + new[key], key=lambda entry: entry["suite"]) for key in kept}
    return new | joined


def lines_of(document: dict[str, Any]) -> list[Line]:
    """Return the lines of a JSON document."""
    return [
        Line(**{key: value for key, value in entry.items() if key not in ("ratio", "met")})
        for entry in document["lines"]
    ]


def curves_of(document: dict[str, Any]) -> list[Curve]:
    """Return the curves of a JSON document."""
    return [Curve(**entry) for entry in document["curves"]]


def screen_table(lines: Sequence[Line]) -> Table:
    """Return the table for a terminal."""
    table = Table(title="Against what people would use instead (smaller is better)", title_justify="left")
    for heading in ("suite", "what", "ours", "peer", "peer's name", "ratio", "target", ""):
        table.add_column(heading, justify="right" if heading in ("ours", "peer", "ratio", "target") else "left")
    for line in lines:
        colour = {None: "", True: "[green]", False: "[red]"}[line.met]
        ratio, target, verdict = _judged(line)
        table.add_row(
            line.suite,
            line.name,
            *_amounts(line),
            line.peer_name,
            f"{colour}{ratio}",
            target,
            f"{colour}{verdict}",
        )
    return table


def markdown_table(document: dict[str, Any]) -> str:
    """Return machine, tables and pictures of a JSON document for the documentation, suite by suite."""
    machine = document["machine"]
    parts = [
        f"Measured on {document['date']}: {machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads,"
        f" {machine['memory_gb']} GB, {machine['system']}, Python {machine['python']}, PyTorch {machine['torch']}."
    ]
    lines, curves = lines_of(document), curves_of(document)
    for suite in dict.fromkeys(line.suite for line in lines):
        rows = ["| what | ours | peer | peer's name | ratio | target | |", "|---|--:|--:|---|--:|--:|---|"]
        for line in lines:
            if line.suite == suite:
                ratio, target, verdict = _judged(line)
                what = f"{line.name} ({line.note})" if line.note else line.name
                cells = (what, *_amounts(line), line.peer_name, ratio, target, verdict)
                rows.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
        parts.append(f"### {suite}\n\n" + "\n".join(rows))
        parts += [
            f"![{curve.title}](images/bench_{suite}_{curve.name}.png)" for curve in curves if curve.suite == suite
        ]
    return "\n\n".join(parts)


def write_results(document: dict[str, Any], folder: Path) -> None:
    """Write ``benchmarks.json`` and, where ``benchmarks.md`` stands beside it, the table in it."""
    (folder / "benchmarks.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    page = folder / "benchmarks.md"
    if page.exists():
        before, rest = page.read_text(encoding="utf-8").split(TABLE_START)
        after = rest.split(TABLE_STOP)[1]
        text = f"{before}{TABLE_START}\n{markdown_table(document)}\n{TABLE_STOP}{after}"
        page.write_text(text, encoding="utf-8")


def read_results(folder: Path) -> dict[str, Any] | None:
    """Return the JSON document of an earlier run; None where there is none."""
    try:
        return dict(json.loads((folder / "benchmarks.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def _judged(line: Line) -> tuple[str, str, str]:
    target = "" if line.target is None else f"{line.target:.3g}"
    ratio = f"{line.ratio:.2f}" if line.ratio >= 0.1 else f"{line.ratio:.2g}"
    return ratio, target, {None: "", True: "met", False: "missed"}[line.met]


def _amounts(line: Line) -> tuple[str, str]:
    return _amount(line.ours, line.unit), _amount(line.peer, line.unit)


def _amount(value: float, unit: str) -> str:
    """Return a number with three digits that count, and its unit."""
    size = math.floor(math.log10(abs(value))) if value else 0
    number = f"{value:.1e}" if size < -3 else f"{value:.{max(0, 2 - size)}f}"
    return f"{number} {unit}".strip()


def _cpu_model() -> str:
    try:
        for row in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if row.startswith("model name"):
                return row.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
