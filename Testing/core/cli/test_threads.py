"""How many threads compute, and that they sleep while they wait."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import SimpleITK as sitk
import torch

from softseg import thread_limits
from softseg.system import threads_each

CORE = Path(__file__).resolve().parents[3] / "core"


def bare() -> dict[str, str]:
    """Return this environment without anything about threads."""
    about = (*thread_limits.COUNTS, "OMP_WAIT_POLICY", "KMP_BLOCKTIME")
    return {name: value for name, value in os.environ.items() if name not in about} | {"PYTHONPATH": str(CORE)}


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["predict", "m", "--threads", "3"], "3"),
        (["predict", "--threads=5", "m"], "5"),
        (["predict", "--threads", "2", "m", "--threads", "4"], "4"),
        (["predict", "--threads", "none"], None),
        (["predict", "--threads", "0"], None),
        (["predict", "m", "--", "--threads", "3"], None),
        (["predict", "--threads"], None),
    ],
)
def test_the_number_is_in_the_environment_before_anything_is_loaded(
    arguments: list[str], count: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {})
    thread_limits.prepare(arguments)
    assert {os.environ.get(name) for name in thread_limits.COUNTS} == {count}
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"OMP_WAIT_POLICY": "ACTIVE", "OMP_NUM_THREADS": "7"})
    thread_limits.prepare(["predict"])
    assert (os.environ["OMP_WAIT_POLICY"], os.environ["OMP_NUM_THREADS"]) == ("ACTIVE", "7")


def test_loaded_libraries_heed_it_and_get_back_what_they_had() -> None:
    before = torch.get_num_threads(), sitk.ProcessObject.GetGlobalDefaultNumberOfThreads(), dict(os.environ)
    with thread_limits.limited(1):
        assert torch.get_num_threads() == sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == threads_each(1) == 1
    after = torch.get_num_threads(), sitk.ProcessObject.GetGlobalDefaultNumberOfThreads(), dict(os.environ)
    assert after == before


@pytest.mark.skipif(sys.platform != "linux", reason="PyTorch comes with GNU's OpenMP on Linux")
def test_threads_of_openmp_wait_asleep() -> None:
    environment = bare() | {"OMP_DISPLAY_ENV": "true", "SOFTSEG_DEBUG": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "softseg", "doctor"], env=environment, capture_output=True, text=True, check=True
    )
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in done.stderr


def test_the_command_says_how_many(tmp_path: Path) -> None:
    cord = sitk.GaussianSource(sitk.sitkFloat32, [48, 48, 2], [9] * 3, [24, 24, 1])
    sitk.WriteImage(cord, str(tmp_path / "cord.nii.gz"))
    command = [sys.executable, "-m", "softseg", "predict", "cord-gm-soft", str(tmp_path / "cord.nii.gz")]
    command += ["--out", str(tmp_path / "out"), "--backend", "onnx", "--threads", "1"]
    done = subprocess.run(command, env=bare(), capture_output=True, text=True, check=True)
    assert "ONNX Runtime (1 threads)" in done.stdout + done.stderr


@pytest.mark.parametrize("command", ["predict", "train", "evaluate", "calibrate", "study", "demo"])
def test_commands_that_compute_know_the_option(cli: Callable, command: str) -> None:
    assert "--threads" in cli(command, "--help").out


def test_no_threads_at_all_are_refused(cli: Callable) -> None:
    answer = cli("predict", "m", "i", "--out", "o", "--threads", "0")
    assert answer.code == 2
    assert answer.err.startswith("softseg: Invalid value for '--threads'")
