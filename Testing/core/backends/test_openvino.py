"""Networks run by OpenVINO say what PyTorch says, and predict where neither it nor ONNX Runtime can be imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from backend_kit import EVERYTHING, NETWORKS, saved, scan, softseg

from softseg.backends.torch_backend import TorchBackend
from softseg.errors import InputError, OutOfMemoryError
from softseg.image import read_image
from softseg.network import ModelFolder
from softseg.prediction.record import model_digest
from softseg.system import Processor, backend, graph_device, graph_precision

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
openvino = pytest.importorskip("openvino", reason="the package openvino is not installed")

from softseg.backends.onnx_file import write_onnx  # noqa: E402 - only where the libraries are
from softseg.network.openvino_session import OpenVinoSession  # noqa: E402

OTHERS = ("torch", "monai", "onnxruntime")


@pytest.mark.parametrize(("network", "dimensions", "head", "half"), NETWORKS)
def test_outputs_are_pytorchs(tmp_path: Path, network: dict[str, Any], dimensions: int, head: str, half: bool) -> None:
    model = saved(tmp_path / "model", network, dimensions, head, half=half)
    write_onnx(model, model_digest(model))
    found = ModelFolder.load(tmp_path / "model", backend="openvino")
    assert found.backend == "openvino"
    assert found.onnx is not None
    assert model_digest(found) == model_digest(model)
    peer = TorchBackend(model.network, model.head, dimensions, torch.device("cpu"), torch.float32)
    shape = (len(model.plan.channels), 1 if dimensions == 2 else 48, 48, 64)
    windows = [np.random.default_rng(n).normal(size=shape).astype(np.float32) for n in range(2)]
    for kind in ("raw",) if head == "normrelu" else ("raw", "logits", "shares"):
        ours, expected = ([each.part(EVERYTHING) for each in one.run(windows, kind)] for one in (found.onnx, peer))
        np.testing.assert_allclose(ours, expected, atol=1e-4, rtol=1e-3)
        first = found.onnx.run(windows[:1], kind)[0]
        found.onnx.run(windows[1:], kind)  # what was returned before stays as it was
        np.testing.assert_allclose(first.part(EVERYTHING), expected[0], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("named", [True, False])
def test_prediction_without_other_libraries(tmp_path: Path, named: bool) -> None:
    model = saved(tmp_path / "model", NETWORKS[0][0])
    write_onnx(model, model_digest(model))
    image, results = scan(tmp_path / "T1.nii.gz"), []
    for name, without in (("onnx", OTHERS[:2]), ("openvino", OTHERS)):
        chosen = ("--backend", name) if named else ()
        done = softseg(
            "predict", model.path, image, "--out", tmp_path / name, "--nodes", "part-2", *chosen, without=without
        )
        assert done.returncode == 0, done.stderr
        assert ("openvino" in done.stdout.splitlines()[-1]) == (name == "openvino")
        case = tmp_path / name / "T1"
        labels, node = (read_image(case / file).array for file in ("labels_leaves.nii.gz", "node_part-2.nii.gz"))
        results.append((labels, node, json.loads((case / "prediction.json").read_text())))
    (labels, node, _), (found_labels, found_node, record) = results
    assert len(np.unique(labels)) > 1
    assert (labels == found_labels).mean() >= 0.9999
    assert np.abs(node - found_node).max() <= 0.002
    assert (record["settings"]["backend"], record["settings"]["precision"]) == ("openvino", "float32")


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    model = saved(folder, NETWORKS[0][0])
    with pytest.raises(InputError, match="no network for OpenVINO"):
        ModelFolder.load(folder, backend="openvino")
    write_onnx(model, model_digest(model))
    file, weights = folder / "models" / "model.onnx", folder / "models" / "model.pt"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match="belongs to other weights"):
        ModelFolder.load(folder, backend="openvino")
    weights.write_bytes(content)
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"model\.onnx: is damaged"):
        ModelFolder.load(folder, backend="openvino")


def test_what_it_cannot_do_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert graph_device("auto", "openvino") == Processor()
    with pytest.raises(InputError, match="OpenVINO computes on the CPU here, got 'cuda'"):
        graph_device("cuda", "openvino")
    for tiles, expected in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(backend, "cpu_has_bfloat16_tiles", lambda tiles=tiles: tiles)
        assert graph_precision(None, "openvino") == "float32"
        assert graph_precision("auto", "openvino") == expected
    with pytest.raises(InputError, match="with AMX tiles, which this one lacks"):
        graph_precision("bfloat16", "openvino")
    with pytest.raises(InputError, match="float32 or bfloat16 here, got 'float16'"):
        graph_precision("float16", "openvino")


def test_in_bfloat16_outputs_differ_slightly(tmp_path: Path) -> None:
    model = saved(tmp_path / "model", NETWORKS[0][0])
    write_onnx(model, model_digest(model))
    network = ModelFolder.load(tmp_path / "model", backend="openvino").onnx
    assert network is not None
    window = [np.random.default_rng(0).normal(size=(1, 48, 48, 48)).astype(np.float32)]
    exact, rough = (
        each.run(window, "shares")[0].part(EVERYTHING) for each in (network, network.on(Processor(), "bfloat16"))
    )
    assert rough.dtype == np.float32
    assert np.abs(exact - rough).max() < 0.1


def test_too_little_memory_and_old_versions_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Short:
        def infer(self, *_: Any, **__: Any) -> None:
            raise RuntimeError("Exception from plugin: bad allocation")

    session = OpenVinoSession(None, None, _requests={"raw": Short()})
    with pytest.raises(OutOfMemoryError):
        session.run("raw", np.zeros((1, 1, 8, 8), np.float32))
    monkeypatch.setattr(openvino, "__version__", "2024.6.0-17404")
    with pytest.raises(InputError, match=r"OpenVINO 2024\.6\.0-17404 is too old: 2025\.0 or newer"):
        OpenVinoSession.read(tmp_path / "model.onnx")
