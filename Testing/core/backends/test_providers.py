"""ONNX Runtime's execution providers are used where they are and answer as the CPU does; else one line says why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backend_kit import NETWORKS, saved, scan

from softseg.errors import InputError
from softseg.events import Events
from softseg.image import read_image
from softseg.network import ModelFolder
from softseg.prediction import predict
from softseg.prediction.record import model_digest
from softseg.system import PROVIDERS, Processor, graph_device

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from softseg.backends.onnx_file import write_onnx  # noqa: E402 - only where the libraries are

REAL = onnxruntime.InferenceSession
CPU, CUDA, DIRECTML, COREML = (f"{name}ExecutionProvider" for name in ("CPU", "CUDA", "Dml", "CoreML"))


class Provider:
    """Stands for a provider: ONNX Runtime on the CPU, under another name.

    Parameters
    ----------
    works: whether it takes graphs.
    there: whether its device is there; without one ONNX Runtime goes on with the CPU and says nothing.
    error: what is added to its outputs.
    """

    def __init__(self, works: bool = True, there: bool = True, error: float = 0.0) -> None:
        self.works, self.there, self.error = works, there, error
        self.asked: list[tuple[Any, Any]] = []

    def __call__(self, content: bytes, options: Any, providers: list[Any], enable_fallback: int = 1) -> Any:
        if providers == [CPU]:
            return REAL(content, options, providers=providers)
        assert not enable_fallback  # which would print
        (name, _), last = providers
        assert last == CPU
        self.asked.append((providers[0], options))
        if not self.works:
            raise RuntimeError("no device found\nby the driver")
        session = REAL(content, options, providers=[CPU])
        session.get_providers = lambda: [name, CPU] if self.there else [CPU]
        run = session.run
        session.run = lambda *arguments: [values + np.float32(self.error) for values in run(*arguments)]
        return session


class Said:
    """Keeps what is logged and warned of."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def write(self, event: Mapping[str, Any]) -> None:
        if event["event"] in ("log", "warning"):
            self.lines.append((event["event"], event["text"]))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    made = saved(tmp_path / "model", NETWORKS[0][0])
    write_onnx(made, model_digest(made))
    return tmp_path / "model"


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Provider]:
    def fake(*names: str, **how: Any) -> Provider:
        provider = Provider(**how)
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*names, CPU])
        monkeypatch.setattr(onnxruntime, "InferenceSession", provider)
        return provider

    return fake


@pytest.mark.parametrize(
    ("names", "device", "expected"),
    [
        ((), "auto", Processor()),
        (("AzureExecutionProvider",), "auto", Processor()),
        ((CUDA,), "auto", Processor("cuda")),
        ((COREML,), "auto", Processor("coreml")),
        ((DIRECTML,), "auto", Processor("directml")),
        ((DIRECTML, CUDA), "auto", Processor("cuda")),
        ((CUDA,), "cpu", Processor()),
        ((CUDA,), "cuda:1", Processor("cuda", 1)),
        ((DIRECTML,), "directml:1", Processor("directml", 1)),
        ((DIRECTML, CUDA), "directml", Processor("directml")),
    ],
)
def test_the_device_is_chosen_by_what_is_installed(
    faked: Callable[..., Provider], names: tuple[str, ...], device: str, expected: Processor
) -> None:
    faked(*names)
    assert graph_device(device) == expected


def test_a_device_without_its_provider_is_refused(faked: Callable[..., Provider]) -> None:
    faked(CUDA)
    with pytest.raises(InputError, match=f"here has no {DIRECTML}, got 'directml'"):
        graph_device("directml")
    with pytest.raises(InputError, match="computes on auto, cpu, cuda, directml, coreml, got 'cuda:one'"):
        graph_device("cuda:one")


@pytest.mark.parametrize(
    ("provider", "device", "named", "options"),
    [
        (CUDA, "auto", "cuda:0", {"device_id": "0", "use_tf32": "0"}),
        (CUDA, "cuda:1", "cuda:1", {"device_id": "1", "use_tf32": "0"}),
        (DIRECTML, "auto", "directml:0", {"device_id": "0"}),
        (COREML, "auto", "coreml", {"ModelFormat": "MLProgram", "AllowLowPrecisionAccumulationOnGPU": "0"}),
    ],
)
def test_prediction_takes_the_provider(
    model: Path,
    tmp_path: Path,
    faked: Callable[..., Provider],
    provider: str,
    device: str,
    named: str,
    options: dict[str, str],
) -> None:
    image, said = scan(tmp_path / "T1.nii.gz"), Said()
    (expected,) = predict(model, [image], tmp_path / "cpu", backend="onnx", device="cpu")
    fake = faked(provider)
    (found,) = predict(model, [image], tmp_path / "out", backend="onnx", device=device, events=Events(said))
    ((asked, session_options),) = fake.asked  # one session for the trial and all windows
    assert asked == (provider, options)
    assert session_options.enable_mem_pattern == (provider != DIRECTML)
    assert ("log", f"device: {named}, ONNX Runtime ({provider})") in said.lines
    labels, ours = (read_image(each.folder / "labels_leaves.nii.gz").array for each in (expected, found))
    assert len(np.unique(labels)) > 1
    assert (labels == ours).mean() >= 0.9999


@pytest.mark.parametrize(("provider", "kind"), [(CUDA, "warning"), (DIRECTML, "warning"), (COREML, "log")])
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"works": False}, "does not run here: no device found by the driver"),
        ({"there": False}, "does not run here: there is no such device"),
        ({"error": 0.01}, "is not used: its probabilities differ by 0.01 from the CPU's"),
    ],
)
def test_the_cpu_takes_over_and_one_line_says_why(
    model: Path, faked: Callable[..., Provider], provider: str, kind: str, how: dict[str, Any], reason: str
) -> None:
    faked(provider, **how)
    network, said = ModelFolder.load(model, backend="onnx").onnx, Said()
    assert network is not None
    assert network.device("auto", Events(said)) == Processor()
    (why, what) = said.lines
    assert (why[0], what[0]) == (kind, "log")
    assert why[1].startswith(f"ONNX Runtime's {provider} {reason}")
    assert why[1].endswith("; computing on the CPU instead")
    assert what[1].startswith("device: cpu, ONNX Runtime")
    with pytest.raises(InputError, match="--device cpu"):
        network.device(next(name for name, its in PROVIDERS.items() if its == provider))
