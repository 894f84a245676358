"""Cancelling by signal and by file: exit code 130, one line, nothing half-written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from softseg.events import CancelToken

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


def _wait_for(process: subprocess.Popen[str], event: str, **fields: object) -> None:
    """Read the process's events until one like this."""
    for line in process.stdout:
        found = json.loads(line)
        if found["event"] == event and all(found[key] == value for key, value in fields.items()):
            return
    raise AssertionError(f"ended without {event} {fields}: {process.stderr.read()}")


def _train(start: Callable, world: Path, quick_training: list[str], *more: object) -> subprocess.Popen[str]:
    settings = [*quick_training, "--set", "steps=100000", "--set", "validation.every=50000", *more]
    command = ("train", world / "DATA.json", "--recipe", "soft-tree", "--out", world / "run", "--device", "cpu")
    return start(*command, "--events", "json", *settings)


def _assert_cancelled(process: subprocess.Popen[str], world: Path) -> None:
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors in ("softseg: cancelled on request\n", "")
    if output.strip() and errors:
        last = json.loads(output.splitlines()[-1])
        assert (last["event"], last["kind"], last["exit_code"]) == ("error", "cancelled", 130)
    assert not list(world.rglob(".unfinished-*"))


def test_signal_ends_training(start: Callable, world: Path, quick_training: list[str]) -> None:
    process = _train(start, world, quick_training)
    _wait_for(process, "progress", stage="train")
    process.send_signal(signal.SIGTERM)
    _assert_cancelled(process, world)
    assert not (world / "run" / "model").exists()
    log = (world / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert any(json.loads(line).get("step", 0) >= 1 for line in log)


def test_file_ends_training(start: Callable, world: Path, quick_training: list[str]) -> None:
    process = _train(start, world, quick_training, "--cancel-file", world / "stop")
    _wait_for(process, "progress", stage="train")
    (world / "stop").touch()
    _assert_cancelled(process, world)
    assert not (world / "run" / "model").exists()


def test_signal_ends_prediction(start: Callable, world: Path, model: Path) -> None:
    arguments = ("predict", model, world / "scan0.nii.gz", "--out", world / "out", "--uncertainty", "tta:1000")
    process = start(*arguments, "--device", "cpu", "--events", "json")
    _wait_for(process, "progress")
    process.send_signal(signal.SIGINT)
    _assert_cancelled(process, world)
    assert not list((world / "out").iterdir())


def test_a_file_that_is_there_already_ends_at_once(cli: Callable, world: Path, model: Path) -> None:
    (world / "stop").touch()
    answer = cli("predict", model, world / "scan0.nii.gz", "--out", world / "out", "--cancel-file", world / "stop")
    assert answer.code == 130
    assert answer.err == "softseg: cancelled on request\n"
    assert not (world / "out").exists()


def test_a_signal_ends_work_that_never_looks(tmp_path: Path) -> None:
    """One long library call: the request is honoured from outside, and what is half-written goes away."""
    script = f"""
import threading
from softseg.events import CancelToken
from softseg.files import write_beside
import numpy as np
CancelToken().install()
with write_beside({str(tmp_path / "result.txt")!r}) as temporary:
    temporary.write_text("half")
    print("ready", flush=True)
    matrix = np.random.default_rng(0).random((6000, 6000))
    np.linalg.svd(matrix)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    assert list(tmp_path.glob(".unfinished-*"))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert not list(tmp_path.iterdir())


def test_a_token_remembers_the_file(tmp_path: Path) -> None:
    token = CancelToken(tmp_path / "stop")
    assert not token.requested
    (tmp_path / "stop").touch()
    token._looked = 0.0
    assert token.requested
    (tmp_path / "stop").unlink()
    assert token.requested


def test_pytorch_leaves_no_folder_of_its_compiler(tmp_path: Path) -> None:
    """Optimizers load it; it made an empty folder among the temporary files, which nobody removed."""
    code = (
        "import sys\nfrom softseg.commands.application import run\nassert run(['--version']) == 0\n"
        "import torch\nweights = torch.nn.Parameter(torch.ones(2))\ntorch.optim.AdamW([weights])\n"
        "assert 'torch._dynamo' in sys.modules"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    environment.pop("TORCHINDUCTOR_CACHE_DIR", None)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)
    assert not list(tmp_path.iterdir())
