"""Run one suite and write its results: ``python suite_process.py BENCH_FILE RESULTS [--quick]``."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from measure import load_file


def main(file: str, results: str, *options: str) -> None:
    """Write lines and curves of the suite in ``file`` to ``results``."""
    quick = "--quick" in options
    suite = load_file(Path(file))
    lines = suite.run(quick)
    curves = suite.curves(quick) if hasattr(suite, "curves") else []
    found = {"lines": [asdict(line) for line in lines], "curves": [asdict(curve) for curve in curves]}
    Path(results).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)  # Qt and VTK may crash while a process ends: the results are written by then
