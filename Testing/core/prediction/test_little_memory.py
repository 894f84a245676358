"""Memory and threads that cannot be had: exit code 3 and one plain line, whoever notices; nothing is called damaged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from prediction_kit import grid, make_plan, two_leaves

from softseg.data import NetworkSpec
from softseg.errors import OutOfMemoryError
from softseg.failures import as_native_end, as_plain_error
from softseg.image import Geometry, Image, write_image
from softseg.network import Head, ModelFolder, build_network

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's")

CORE = Path(__file__).resolve().parents[3] / "core"
GIB = 1 << 30

LIMITED = """
import contextlib, io, json, resource, sys, threading
from pathlib import Path
from softseg.commands import application
from softseg.commands.common import CallSettings
import torch
torch.set_num_threads(1)
before, commands, extra, stack = json.loads(sys.argv[1])
if stack:
    threading.stack_size(stack)
else:
    with contextlib.redirect_stdout(io.StringIO()):
        assert application.run(before) == 0  # so that nothing is loaded below the limit
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + extra,) * 2)
codes = [application.run(command, CallSettings(signals=bool(stack))) for command in commands]
print("\\n" + json.dumps(codes))
"""


def limited(before: list[str], commands: list[list[str]], extra: int, stack: int = 0) -> tuple[list[int], str]:
    """Run commands in one process with ``extra`` bytes of address space; return exit codes and standard error."""
    environment = {"PYTHONPATH": str(CORE), "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "SOFTSEG_DEBUG": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, json.dumps([before, commands, extra, stack])],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1]), ended.stderr


def lines_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("softseg: ")]


def model(folder: Path, widest: int) -> Path:
    spec = NetworkSpec(options={"filters": [4, 8, widest]})
    plan = make_plan(network=spec)
    network = build_network(spec, 1, 2, 3)
    return ModelFolder.save(folder, network, plan, two_leaves(), "head: softmax\n", head=Head("softmax", 2), half=True)


def predict(model: Path, scan: Path) -> list[str]:
    return ["predict", str(model), str(scan), "--out", str(model.parent / "out"), "--device", "cpu", "--overwrite"]


def is_plain(line: str) -> bool:
    return line.startswith("softseg: ") and "out of memory" in line and "damaged" not in line and "; " in line


@pytest.mark.slow
def test_while_the_network_is_built(scan: Callable[..., Path], tmp_path: Path) -> None:
    """Its weights take 44 MB in their file and 88 MB in the network, most of them in one layer."""
    small, large = model(tmp_path / "small", 8), model(tmp_path / "large", 900)
    codes, text = limited(predict(small, scan()), [predict(large, scan())], 66_000_000)
    (line,) = lines_of(text)
    assert (codes, is_plain(line)) == ([3], True), line
    assert "in build_network" in text


@pytest.mark.slow
def test_in_the_readers_of_images(scan: Callable[..., Path], tmp_path: Path) -> None:
    """48 MB of voxels, below what is asked for beforehand, where 16 MB can be had."""
    trained, voxels = model(tmp_path / "small", 8), np.zeros((240, 320, 320), np.uint16)
    files = [tmp_path / f"large{ending}" for ending in (".nii.gz", ".nii", ".nrrd", ".mha")]
    for file in files:
        write_image(Image(voxels, Geometry((320, 320, 240))), file)
    files.append(tmp_path / "large.tiff")
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(files[-1]))
    codes, text = limited(predict(trained, scan()), [predict(trained, file) for file in files], 16_000_000)
    assert codes == [3] * len(files), text
    assert all(map(is_plain, lines_of(text))), text


@pytest.mark.slow
def test_where_no_thread_can_be_started(scan: Callable[..., Path], tmp_path: Path) -> None:
    """A thread's stack of 8 GB does not fit into what is left."""
    trained = model(tmp_path / "small", 8)
    codes, text = limited([], [predict(trained, scan())], 2 * GIB, 8 * GIB)
    (line,) = lines_of(text)
    assert (codes, is_plain(line)) == ([3], True), line
    assert "can't start new thread" in text


def command_line(arguments: list[str], before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of 64 GB of address space, in which OpenMP's threads ask for stacks of 128."""
    script = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({64 * GIB},) * 2); {before}"
    script += "\nfrom softseg.cli import main; main()"
    given = {"PYTHONPATH": str(CORE), "OMP_STACKSIZE": "128G", "OMP_NUM_THREADS": "2", **environment}
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **given},
        check=False,
    )


@pytest.mark.slow
def test_where_openmp_ends_the_process(scan: Callable[..., Path], tmp_path: Path) -> None:
    trained = model(tmp_path / "small", 8)
    image = scan(geometry=grid(np.eye(3), (1.0, 1.0, 1.0), (64, 64, 64)))
    ended = command_line([*predict(trained, image), "--quiet"])
    if not torch.backends.openmp.is_available():
        pytest.skip("PyTorch has no OpenMP here")
    assert ended.returncode == 3, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert is_plain(line)
    assert "Thread creation failed" in line or "thread" in line
    assert not list(tmp_path.glob("**/.unfinished-*"))


@pytest.mark.slow
def test_without_a_process_to_spare_it_works_with_one_thread(scan: Callable[..., Path], tmp_path: Path) -> None:
    no_fork = "import os\ndef fork(): raise BlockingIOError(11, 'Resource temporarily unavailable')\nos.fork = fork"
    trained = model(tmp_path / "small", 8)
    ended = command_line([*predict(trained, scan()), "--quiet"], before=f"exec({no_fork!r})")
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    "said",
    [
        "libgomp: Thread creation failed: Resource temporarily unavailable",
        "OpenBLAS error: Memory allocation still failed after 10 retries, giving up.",
        "cannot allocate memory for thread-local data: ABORT",
        "terminate called after throwing an instance of 'std::bad_alloc' | what():  std::bad_alloc",
    ],
)
def test_what_libraries_say_before_they_end_the_process(said: str) -> None:
    for code in (1, 127, -6):
        assert isinstance(as_native_end(said, code), OutOfMemoryError)


def test_a_library_that_ends_the_process_for_another_reason_is_quoted() -> None:
    error = as_native_end("no licence for this library", 7)
    assert error is not None
    assert (error.exit_code, "with code 7; its output: no licence for this library" in str(error)) == (1, True)
    assert as_native_end("Segmentation fault", -11) is None


def test_an_odd_error_after_a_lack_of_memory_is_none_of_its_own() -> None:
    def odd() -> None:
        try:
            raise MemoryError
        except MemoryError:
            "text"._exception  # type: ignore[attr-defined]  # noqa: B018

    with pytest.raises(AttributeError) as caught:
        odd()
    assert isinstance(as_plain_error(caught.value), OutOfMemoryError)
    assert as_plain_error(AttributeError("another")) is None
