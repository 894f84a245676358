"""Run the benchmark suites beside this file: one table, one JSON file, plots.

    python dev.py bench [--suite NAME]... [--quick] [--out FOLDER] [--threads N]

A suite is a file ``bench_NAME.py`` with ``run(quick) -> list[Line]`` and, if it draws growth, ``curves(quick) ->
list[Curve]``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from measure import Curve, Line

HERE = Path(__file__).resolve().parent
SUITE_PROCESS = HERE / "suite_process.py"
ROOT = HERE.parents[1]
FOLDERS = [str(ROOT / "core"), str(HERE)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen suites; return 1 when one of them failed, 2 for a wrong option. A missed target is no failure."""
    sys.path[:0] = [folder for folder in FOLDERS if folder not in sys.path]
    options = _parser().parse_args(arguments)
    _prepare_process(options.threads)
    from report import machine_facts, screen_table, to_json
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 160)
    lines: list[Line] = []
    curves: list[Curve] = []
    failed = []
    names = sorted(set(options.suite)) or suites()
    for name in names:
        console.print(f"== {name}", highlight=False)
        start = time.perf_counter()
        answer = _run_suite(name, options.quick)
        if answer is None:
            failed.append(name)
        else:
            lines += answer[0]
            curves += answer[1]
        console.print(f"   {time.perf_counter() - start:.0f} s", highlight=False)
    console.print(screen_table(lines))
    folder = options.out or (None if options.quick else ROOT / "docs")
    if folder is not None and lines:
        document = to_json(lines, curves, quick=options.quick, machine=machine_facts(options.threads))
        _write(document, folder, [name for name in names if name not in failed])
        console.print(f"written: {folder / 'benchmarks.json'}", highlight=False)
    missed = [f"{line.suite}: {line.name}" for line in lines if line.met is False]
    console.print(f"{len(lines)} lines, {len(missed)} above their target", highlight=False)
    for entry in missed:
        console.print(f"  {entry}", highlight=False)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _run_suite(name: str, quick: bool) -> tuple[list[Line], list[Curve]] | None:
    """Run one suite in a process of its own, so that none sees what another has loaded; None when it failed."""
    from report import curves_of, lines_of

    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        command = [sys.executable, str(SUITE_PROCESS), str(HERE / f"bench_{name}.py"), str(results)]
        if quick:
            command.append("--quick")
        if subprocess.run(command, check=False).returncode:
            return None
        document = json.loads(results.read_text(encoding="utf-8"))
    return lines_of(document), curves_of(document)


def suites() -> list[str]:
    """Return the names of all suites."""
    return sorted(file.stem.removeprefix("bench_") for file in HERE.glob("bench_*.py"))


def _parser() -> argparse.ArgumentParser:
    from softseg.system import cores

    parser = argparse.ArgumentParser(prog="dev.py bench", description="Measure against what people would use instead.")
    parser.add_argument("--suite", action="append", default=[], choices=suites(), help="only this one; may be repeated")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs; writes nothing")
    parser.add_argument(
        "--out", type=Path, help="folder for benchmarks.json and images/ (default: docs, none if quick)"
    )
    parser.add_argument("--threads", type=int, default=cores(), help="threads of every side (default: %(default)s)")
    return parser


def _prepare_process(threads: int) -> None:
    """Give this process and its children the same number of threads, and let these find engine and benchmarks."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ["PYTHONPATH"] = os.pathsep.join(FOLDERS)


def _write(document: dict[str, object], folder: Path, names: Sequence[str]) -> None:
    """Write JSON, table and pictures; suites that were not run now keep what they have."""
    from plots import draw
    from report import curves_of, merged, read_results, write_results

    folder.mkdir(parents=True, exist_ok=True)
    write_results(merged(document, read_results(folder), names), folder)
    for curve in curves_of(document):
        draw(curve, folder / "images")


if __name__ == "__main__":
    sys.exit(main())
