"""What the machine offers, asked in one place: memory, devices, precision, threads, and what is out of memory."""

from __future__ import annotations

import errno
import importlib.util
import re
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from softseg import cgroups, doctor, system
from softseg.cgroups import MemoryLimit
from softseg.data import Dataset, Hardware, make_plan
from softseg.errors import InputError, OutOfMemoryError
from softseg.events import Events, ListSink
from softseg.image import Geometry, Image, read_image, write_image
from softseg.system import GIB, compute, cpu, precision

CORE = Path(system.__file__).parents[2]
CPU = torch.device("cpu")


@pytest.fixture
def gpu_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two GPUs of 80 GB, 70 of them free, and a CPU with 6 GB, 3 of them free."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (70 * GIB, 80 * GIB))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Big GPU")
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda _: SimpleNamespace(name="Big GPU", total_memory=80 * GIB)
    )
    monkeypatch.setattr(cgroups, "memory_limits", lambda: [MemoryLimit(6 * GIB, 3 * GIB)])


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_importing_it_needs_nothing_that_slicer_lacks() -> None:
    code = "import sys, softseg.system; print([name for name in ('torch', 'psutil', 'numpy') if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(CORE)}, capture_output=True, text=True)
    assert said.stdout.strip() == "[]", said.stderr


def test_memory_is_known_without_psutil(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = system.memory().total
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "psutil" else real(name))
    if sys.platform != "linux":
        pytest.skip("elsewhere only psutil knows")
    assert system.memory().total == expected
    assert 0 < system.memory().free < expected


# devices


@pytest.mark.usefixtures("no_gpu")
def test_auto_is_announced() -> None:
    sink = ListSink()
    assert system.resolve_device("auto", Events(sink)) == CPU
    assert sink.events[0]["text"].startswith("device: cpu (")
    assert sink.events[0]["text"].endswith("no CUDA device found")


@pytest.mark.usefixtures("no_gpu")
def test_a_missing_cuda_device_is_refused() -> None:
    with pytest.raises(
        InputError, match="cuda was asked for, but this machine offers 0 CUDA devices; use --device auto"
    ):
        system.resolve_device("cuda")


@pytest.mark.usefixtures("gpu_machine")
def test_devices_of_a_machine_with_gpus() -> None:
    sink = ListSink()
    assert system.resolve_device("auto", Events(sink)) == torch.device("cuda:0")
    assert system.resolve_device(torch.device("cuda:1"), Events(sink)) == torch.device("cuda:1")
    assert system.resolve_device("cpu", Events(sink)) == CPU
    texts = [event["text"] for event in sink.events]
    assert texts[:2] == ["device: cuda:0 (Big GPU)", "device: cuda:1 (Big GPU)"]
    assert "no CUDA device" not in texts[2]
    with pytest.raises(InputError, match="cuda:2 was asked for, but this machine offers 2 CUDA devices"):
        system.resolve_device("cuda:2")
    assert [(device.name, device.memory) for device in system.devices()] == [
        ("cpu", 6 * GIB), ("cuda:0", 80 * GIB), ("cuda:1", 80 * GIB)
    ]  # fmt: skip


def test_an_apple_gpu_is_listed_and_taken_when_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "gpus", lambda: 0)
    monkeypatch.setattr(compute, "has_mps", lambda: False)
    with pytest.raises(InputError, match="mps was asked for, but this machine offers no Apple GPU"):
        system.resolve_device("mps")
    monkeypatch.undo()
    monkeypatch.setattr(compute, "gpus", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    sink = ListSink()
    assert system.resolve_device("mps", Events(sink)).type == "mps"
    assert sink.events[0]["text"] == "device: mps (Apple GPU)"
    assert system.resolve_device("auto") == CPU
    assert [device.name for device in system.devices()] == ["cpu", "mps"]
    assert system.devices()[1].memory == system.memory().total


@pytest.mark.parametrize("name", ["gpu", "xpu", "cpu:x", ""])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="expected auto, cpu or cuda:N"):
        system.resolve_device(name)


def test_each_process_takes_a_device_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    own = system.device_of_process
    monkeypatch.setattr(compute, "gpus", lambda: 0)
    assert own("auto", 1, 2) == own("cpu", 1, 2) == "cpu"
    with pytest.raises(InputError, match="2 processes were started on a machine with 0 GPUs; use --device cpu"):
        own("cuda", 1, 2)
    monkeypatch.setattr(compute, "gpus", lambda: 4)
    assert [own(name, 3, 4) for name in ("auto", "cuda")] == ["cuda:3", "cuda:3"]
    with pytest.raises(InputError, match=r"cuda:1 was asked for, but 4 processes need a device each"):
        own("cuda:1", 0, 4)
    with pytest.raises(InputError, match=r"8 processes .* 4 GPUs; use --nproc-per-node 4"):
        own("auto", 0, 8)


@pytest.mark.parametrize(
    ("device", "memory_gb", "gpu"), [("cpu", 3, False), ("cuda:1", 80, True), ("auto", 80, True), (CPU, 3, False)]
)
@pytest.mark.usefixtures("gpu_machine")
def test_a_plan_uses_the_memory_of_its_device(
    device: str | torch.device, memory_gb: float, gpu: bool, tmp_path: Path
) -> None:
    assert Hardware.here(device=device) == Hardware(memory_gb, gpu)
    sink = ListSink()
    make_plan(small_dataset(tmp_path), device=device, events=Events(sink))
    said = next(event["text"] for event in sink.events if event.get("text", "").startswith("plan"))
    assert f"plan for {memory_gb} GB of {'GPU' if gpu else 'CPU'} memory" in said


def small_dataset(folder: Path) -> Dataset:
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[5:15, 5:15, 5:15] = 1
    geometry = Geometry((20, 20, 20), (2.0, 2.0, 2.0))
    noise = np.random.default_rng(0).normal(0, 1, labels.shape)
    write_image(Image((labels * 9 + noise).astype(np.float32), geometry), folder / "image.nii.gz")
    write_image(Image(labels, geometry), folder / "labels.nii.gz")
    (folder / "tree.txt").write_text("all\n  background = 0\n  ball = 1\n")
    (folder / "DATA.json").write_text(
        '{"name": "ball", "channels": ["T1"], "tree": "tree.txt", "cases": [{"id": "a", "group": "a", "split": "train",'
        ' "images": {"T1": "image.nii.gz"}, "labels": "labels.nii.gz"}]}'
    )
    return Dataset.load(folder / "DATA.json")


@pytest.mark.usefixtures("gpu_machine")
def test_the_doctor_says_what_a_container_allows() -> None:
    found = doctor.examine()
    assert (found.memory, found.memory_free) == (6 * GIB, 3 * GIB)
    assert "memory     3.0 GB free of 6.0 GB" in found.to_text()


# processors and precision


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("tiles", [True, False])
def test_precision(tiles: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (precision, system):
        monkeypatch.setattr(place, "cpu_has_bfloat16_tiles", lambda: tiles)
    assert system.resolve_precision("auto", CPU) == (torch.bfloat16 if tiles else torch.float32)
    assert system.resolve_precision("bfloat16", CPU) == torch.bfloat16
    assert system.resolve_precision("float32", CPU) == torch.float32
    assert doctor.examine().precision().startswith("bfloat16" if tiles else "float32")
    with pytest.raises(InputError, match="precision: float16 is for GPUs"):
        system.resolve_precision("float16", CPU)
    with pytest.raises(InputError, match="precision: expected auto, float32, bfloat16, float16, got 'half'"):
        system.resolve_precision("half", CPU)


@pytest.mark.parametrize(
    ("isa", "expected"),
    [(None, True), ("", True), ("ALL", True), ("default", True), ("AVX512_CORE_AMX", True),
     ("avx10_1_512_amx_fp16", True), ("AVX512_CORE", False), ("AVX512_CORE_BF16", False), ("AVX2", False)],
)  # fmt: skip
def test_tiles_that_onednn_may_not_use_are_none(
    isa: str | None, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    if isa is not None:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", isa)
    assert system.cpu_has_bfloat16_tiles() is expected


def test_threads_are_divided_and_the_users_wish_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "cores", lambda: 12)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [system.threads_each(processes) for processes in (1, 3, 5, 99)] == [12, 4, 2, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert [system.threads_each(processes) for processes in (1, 3, 6)] == [3, 3, 2]


# out of memory


def _os_error(number: int) -> OSError:
    return OSError(number, "of the test")


def _of_windows(number: int) -> OSError:
    error = OSError("of the test")
    error.winerror = number  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (OutOfMemoryError("does not fit"), True),
        (torch.OutOfMemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("could not create a memory object"), True),
        (RuntimeError("could not create a primitive descriptor for a convolution forward"), False),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("bad allocation"), True),
        (RuntimeError("Exception thrown in SimpleITK: itk::ERROR: Failed to allocate memory for image."), True),
        (RuntimeError("itk::MemoryAllocationError (0x55): ImportImageContainer"), True),
        (RuntimeError("unable to mmap 99 bytes from file </torch_1_2>: Cannot allocate memory (12)"), True),
        (RuntimeError("can't start new thread"), True),
        (_os_error(errno.ENOMEM), True),
        (_os_error(errno.ENOSPC), False),
        (_of_windows(1455), True),
        (_of_windows(5), False),
        (zlib.error("Error -4 while decompressing data"), True),
        (zlib.error("Error -3 while decompressing data: invalid stored block lengths"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (RuntimeError("Expected all tensors to be on the same memory format"), False),
        (ValueError("out of memory"), False),
        (InputError("is damaged"), False),
    ],
    ids=str,
)  # fmt: skip
def test_what_counts_as_out_of_memory(error: Exception, expected: bool) -> None:
    assert system.is_out_of_memory(error) is expected
    assert not expected or isinstance(error, (*system.MEMORY_ERRORS, zlib.error))
    if not expected:
        system.raise_out_of_memory(error, "scan.nii.gz")
        return
    with pytest.raises(OutOfMemoryError) as caught:
        system.raise_out_of_memory(error, "scan.nii.gz")
    assert caught.value.exit_code == 3


def _from_numpy() -> object:
    return np.empty(2**60, np.uint8)


def _from_torch() -> object:
    return torch.empty(2**60, dtype=torch.uint8)


def _from_itk() -> object:
    return sitk.Image([2**20, 2**20, 2**16], sitk.sitkFloat64)


@pytest.mark.parametrize("ask", [_from_numpy, _from_torch, _from_itk])
def test_what_libraries_say_when_asked_for_too_much_is_known(ask: Callable[[], object]) -> None:
    with pytest.raises(system.MEMORY_ERRORS) as caught:
        ask()
    assert system.is_out_of_memory(caught.value)


def test_an_image_that_does_not_fit_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_image(Image(np.ones((4, 4, 4), np.float32), Geometry((4, 4, 4))), tmp_path / "scan.nii.gz")

    def full(*_: object) -> object:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OutOfMemoryError, match=r"scan\.nii\.gz: out of memory") as caught:
        read_image(file)
    assert caught.value.exit_code == 3


def test_nobody_else_asks() -> None:
    """Memory, devices, cores and the words of memory errors are one package's business."""
    alone = r"virtual_memory|mem_get_info|cuda\.is_available|device_count|cpu_count|sched_getaffinity|_is_amx_tile"
    alone += r"|sys/fs/cgroup|meminfo|bad_alloc|(not enough|allocate) memory|torch\.device\((device|name)\)"
    allowed = {
        "cgroups.py",
        "network/bundle.py",
        "bundles/expressions.py",
    }  # the last two hold lines of MONAI's configurations
    package = CORE / "softseg"
    found = {
        str(file.relative_to(package)): re.findall(alone, file.read_text(encoding="utf-8"))
        for file in package.rglob("*.py")
        if file.relative_to(package).parts[0] != "system" and file.relative_to(package).as_posix() not in allowed
    }
    assert {name: words for name, words in found.items() if words} == {}
