"""The fuzzers of ``Testing/reliability`` on a few fixed seeds, and every input that once broke something."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[2] / "reliability"
KEPT = HERE / "kept"


@pytest.mark.skipif(sys.platform == "win32", reason="trials are forked")
def test_commands_refuse_damaged_files(good: Path, tmp_path: Path) -> None:
    tool = [sys.executable, str(HERE / "fuzz.py"), "--trials", "40", "--seconds", "600", "--seed", "3"]
    run = subprocess.run(
        [*tool, "--world", str(good), "--keep", str(tmp_path / "kept")], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout
    assert "40 trials" in run.stdout


def test_readers_refuse_damaged_files(good: Path) -> None:
    tool = [sys.executable, str(HERE / "readers.py"), "--trials", "300", "--seed", "4", "--world", str(good)]
    run = subprocess.run(tool, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert "300 trials, 0 faults" in run.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="trials are forked")
def test_inputs_that_broke_something_are_refused(good: Path, tmp_path: Path) -> None:
    """Each folder of ``kept`` has one damaged file of the world and says which command broke on it."""
    sys.path.insert(0, str(HERE))
    try:
        import trials
    finally:
        sys.path.remove(str(HERE))
    trials.preload()
    found = []
    for facts_file in sorted(KEPT.glob("*/trial.json")):
        facts = json.loads(facts_file.read_text(encoding="utf-8"))
        folder = tmp_path / facts_file.parent.name
        folder.mkdir()
        for name in facts["needs"]:
            (shutil.copytree if (good / name).is_dir() else shutil.copy2)(good / name, folder / name)
        shutil.copy(facts_file.with_name(Path(facts["file"]).name), folder / facts["file"])
        ending = trials.run_forked(facts["arguments"], folder)
        if ending.code not in facts["codes"] or facts["says"] not in ending.text or "Traceback" in ending.text:
            found.append(f"{folder.name}: {ending.code}: {ending.text[-300:]}")
    assert not found, "\n".join(found)
