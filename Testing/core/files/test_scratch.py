"""Temporary data lies beside the output, is private, and goes: with its work, or at the next start after a kill."""

from __future__ import annotations

import gc
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from softseg.files import ScratchFolder, nameless_file, scratch_beside

CORE = Path(__file__).resolve().parents[3] / "core"


def test_it_lies_beside_the_output_and_goes_with_the_work(tmp_path: Path) -> None:
    with scratch_beside(tmp_path / "out" / "result.npz") as folder:
        assert (tmp_path / "out") in folder.parents
        (folder / "case").mkdir()
        (folder / "case" / "voxels.npy").write_bytes(b"scan")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_nobody_else_can_look_into_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with scratch_beside(tmp_path / "result.npz") as folder:
            assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    finally:
        os.umask(before)


def test_an_error_takes_it_along(tmp_path: Path) -> None:
    def fail() -> None:
        with scratch_beside(tmp_path / "x") as folder:
            (folder / "voxels").write_bytes(b"scan")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_what_a_killed_process_left_is_swept_at_the_next_start(tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom softseg.files import ScratchFolder\n"
        "folder = ScratchFolder(sys.argv[1])\n(folder.path / 'voxels').write_bytes(b'scan')\n"
        "print('ready', flush=True)\ntime.sleep(600)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "result")]
    environment = {**os.environ, "PYTHONPATH": str(CORE)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with ScratchFolder(tmp_path / "result") as own:
            assert len(list(tmp_path.iterdir())) == 2  # it lives: its folder stays
            assert own.is_dir()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(list(tmp_path.iterdir())) == 1
    with scratch_beside(tmp_path / "result"):
        assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_goes_when_it_is_closed_or_forgotten(tmp_path: Path) -> None:
    folder = ScratchFolder(tmp_path / "x")
    folder.close()
    folder.close()
    assert not list(tmp_path.iterdir())
    forgotten = ScratchFolder(tmp_path / "x")
    assert forgotten.path.is_dir()
    del forgotten
    gc.collect()
    assert not list(tmp_path.iterdir())


def test_a_nameless_file_is_seen_by_nobody(tmp_path: Path) -> None:
    with nameless_file(tmp_path) as file:
        file.write(b"text")
        file.seek(0)
        assert file.read() == b"text"
        assert not list(tmp_path.iterdir()) or os.name == "nt"
