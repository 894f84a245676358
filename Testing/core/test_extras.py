"""The command that is named where a package is missing installs it for the Python that runs."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from softseg import extras

PROJECT = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")


def test_every_extra_brings_what_it_is_named_for() -> None:
    assert set(extras.EXTRA_OF.values()) == {"train", "report", "dicom", "demo", "nnunet", "openvino"}
    for package, extra in extras.EXTRA_OF.items():
        listed = re.search(rf"^{extra} = \[(.*?)\]$", PROJECT, re.MULTILINE | re.DOTALL)
        assert listed is not None
        names = {name.lower() for name in re.findall(r'"([A-Za-z0-9]+)', listed.group(1))}
        assert package in names or package == "jpeg_ls"  # what highdicom itself needs


def test_the_pip_beside_this_python_is_named_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    beside, elsewhere = str(Path(sys.executable).parent / "pip"), str(Path("/elsewhere/bin/pip"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(extras.shutil, "which", lambda _: beside)
    assert extras.command_for("torch") == 'pip install "softseg[train]"'
    assert extras.command_for("PIL") == "pip install pillow"
    monkeypatch.setattr(extras.shutil, "which", lambda _: elsewhere)
    assert extras.command_for("torch") == f'{sys.executable} -m pip install "softseg[train]"'
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert extras.command_for("onnxruntime") == f"uv pip install --python {sys.executable} onnxruntime"


@pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="no pip here")
def test_the_command_runs() -> None:
    words = shlex.split(extras.installing("softseg"))
    command = [sys.executable, "-m", "pip", *words[words.index("install") :], "--dry-run", "--no-index", "--no-deps"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
