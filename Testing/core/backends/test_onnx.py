"""Networks run by ONNX Runtime say what PyTorch says, and predict where neither PyTorch nor MONAI can be imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from backend_kit import ENGINE, EVERYTHING, NETWORKS, saved, scan, softseg

from softseg.backends.torch_backend import TorchBackend
from softseg.errors import InputError
from softseg.image import read_image
from softseg.network import FittedOutliers, Model, ModelFolder
from softseg.prediction.ensemble import load_models
from softseg.prediction.record import model_digest
from softseg.resources import list_models

onnx_library = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from softseg.backends import onnx_file  # noqa: E402 - only where the libraries are
from softseg.backends.onnx_file import write_onnx  # noqa: E402
from softseg.network.graph_session import version_of  # noqa: E402
from softseg.network.onnx_runtime import OLDEST, session_of  # noqa: E402


@pytest.mark.parametrize(("network", "dimensions", "head", "half"), NETWORKS)
@pytest.mark.parametrize("leaves", [2, 4])
def test_outputs_are_pytorchs(
    tmp_path: Path, network: dict[str, Any], dimensions: int, head: str, half: bool, leaves: int
) -> None:
    model = saved(tmp_path / "model", network, dimensions, head, leaves, half)
    assert write_onnx(model, model_digest(model)) <= 1e-4
    file = tmp_path / "model" / "models" / "model.onnx"
    onnx = ModelFolder.load(tmp_path / "model", backend="onnx")
    assert onnx.onnx is not None
    assert model_digest(onnx) == model_digest(model)
    graph = onnx_library.load(file, load_external_data=False).graph
    inside = sum(len(weight.raw_data) for weight in graph.initializer)
    assert inside < 0.1 * sum(value.nbytes for value in model.network.state_dict().values())  # they stay in model.pt
    torch_backend = TorchBackend(model.network, model.head, dimensions, torch.device("cpu"), torch.float32)
    shape = (len(model.plan.channels), 1 if dimensions == 2 else 40, 48, 40)
    if network["name"] == "SegResNet":
        shape = (*shape[:1], 48, 48, 64)
    windows = [np.random.default_rng(n).normal(size=shape).astype(np.float32) for n in range(3)]
    for kind in ("raw",) if head == "normrelu" else ("raw", "logits", "shares"):
        found, expected = (
            [each.part(EVERYTHING) for each in backend.run(windows, kind)] for backend in (onnx.onnx, torch_backend)
        )
        np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-3)
    part = (slice(0, 1), slice(3, 9), slice(2, 4))
    np.testing.assert_array_equal(
        onnx.onnx.run(windows[:1], "raw")[0].part(part), onnx.onnx.run(windows[:1], "raw")[0].part(EVERYTHING)[part]
    )


def test_a_network_that_answers_differently_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = saved(tmp_path / "model", NETWORKS[0][0])
    graph = onnx_file._graph

    def doubled(both: Any, of: Model) -> Any:
        found = graph(both, of)
        for node in found.graph.node:
            for attribute in node.attribute:
                if node.op_type == "LeakyRelu" and attribute.name == "alpha":
                    attribute.f *= 20
        return found

    monkeypatch.setattr(onnx_file, "_graph", doubled)
    with pytest.raises(InputError, match=r"differ by .* from PyTorch's, 0\.001 is allowed"):
        write_onnx(model, "")
    assert not (tmp_path / "model" / "models" / "model.onnx").exists()


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    model = saved(folder, NETWORKS[0][0])
    with pytest.raises(InputError, match="no network for ONNX Runtime"):
        ModelFolder.load(folder, backend="onnx")
    write_onnx(model, model_digest(model))
    file, weights = folder / "models" / "model.onnx", folder / "models" / "model.pt"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match="belongs to other weights"):
        ModelFolder.load(folder, backend="onnx")
    weights.write_bytes(content)
    renamed = model.tree.rename("part-1", "Another part")
    renamed.save(folder / "tree.json")
    with pytest.raises(InputError, match="belongs to another plan or label tree"):
        ModelFolder.load(folder, backend="onnx")
    model.tree.save(folder / "tree.json")
    assert ModelFolder.load(folder, backend="onnx").onnx is not None
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"model\.onnx"):
        ModelFolder.load(folder, backend="onnx")


def test_a_model_that_is_written_again_loses_the_old_graph(tmp_path: Path) -> None:
    model = saved(tmp_path / "model", NETWORKS[0][0])
    write_onnx(model, model_digest(model))
    saved(tmp_path / "model", NETWORKS[0][0], leaves=2)
    assert not (tmp_path / "model" / "models" / "model.onnx").exists()


@pytest.mark.parametrize(
    ("network", "dimensions", "options"),
    [
        (NETWORKS[0][0], 3, ["--nodes", "part-2"]),
        (NETWORKS[0][0], 2, ["--nodes", "part-2", "--uncertainty", "tta:2", "--blend", "logits"]),
    ],
)
def test_prediction_without_pytorch(tmp_path: Path, network: Any, dimensions: int, options: list[str]) -> None:
    model = saved(tmp_path / "model", network, dimensions)
    write_onnx(model, model_digest(model))
    image = scan(tmp_path / "T1.nii.gz")
    images = f"{image},{scan(tmp_path / 'T2.nii.gz')}" if dimensions == 2 else str(image)
    results = []
    for name, without in (("torch", ()), ("onnx", ("torch", "monai"))):
        done = softseg("predict", tmp_path / "model", images, "--out", tmp_path / name, *options, without=without)
        assert done.returncode == 0, done.stderr
        case = Path(json.loads((tmp_path / name / "results.json").read_text())["cases"][0]["folder"])
        case = case if case.is_absolute() else tmp_path / name / case
        labels, node = (read_image(case / file).array for file in ("labels_leaves.nii.gz", "node_part-2.nii.gz"))
        results.append((labels, node, json.loads((case / "prediction.json").read_text())))
    (labels, node, record), (onnx_labels, onnx_node, onnx_record) = results
    assert len(np.unique(labels)) > 1
    assert (labels == onnx_labels).mean() >= 0.9999
    assert np.abs(node - onnx_node).max() <= 0.002
    assert node.max() > 0.1
    assert "backend" not in record["settings"]
    assert onnx_record["settings"]["backend"] == "onnx"
    assert onnx_record["model"] == record["model"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--outliers"], "the outlier score energy needs PyTorch"),
        (["--uncertainty", "dropout:2"], "dropout needs PyTorch"),
        (["--precision", "bfloat16"], "ONNX Runtime computes in float32"),
        (["--device", "tpu"], "ONNX Runtime computes on auto, cpu, cuda, directml, coreml"),
        (["--backend", "torch"], "the Python package torch is not installed"),
        (["--backend", "openvino"], "the Python package openvino is not installed"),
    ],
)
def test_what_needs_pytorch_is_refused_in_one_line(tmp_path: Path, options: list[str], said: str) -> None:
    model = saved(tmp_path / "model", NETWORKS[0][0])
    write_onnx(model, model_digest(model))
    FittedOutliers("energy", 0.0, -1.0, 1.0).save(tmp_path / "model")
    image, shut_out = scan(tmp_path / "T1.nii.gz"), ("torch", "monai", "openvino")
    done = softseg("predict", tmp_path / "model", image, "--out", tmp_path / "out", *options, without=shut_out)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout.splitlines()[-1].strip() == "loaded:"


def test_export_writes_it_for_every_member(tmp_path: Path) -> None:
    for name in ("one", "two"):
        saved(tmp_path / name, NETWORKS[0][0])
    whole = tmp_path / "both"
    assert softseg("ensemble", tmp_path / "one", tmp_path / "two", "--out", whole, without=()).returncode == 0
    done = softseg("export", whole, "--onnx", without=())
    assert done.returncode == 0, done.stderr
    assert len(list(whole.glob("members/*/models/model.onnx"))) == 2
    image = scan(tmp_path / "T1.nii.gz")
    done = softseg("predict", whole, image, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", list_models())
def test_shipped_models_carry_the_graph_of_their_weights(name: str) -> None:
    for with_torch, with_onnx in zip(load_models(name), load_models(name, backend="onnx"), strict=True):
        assert with_onnx.onnx is not None
        assert model_digest(with_onnx) == model_digest(with_torch)


def test_an_onnx_runtime_that_is_too_old_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    listed = (ENGINE.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert f'"onnxruntime>={OLDEST[0]}.{OLDEST[1]}"' in listed
    monkeypatch.setattr(onnxruntime, "__version__", "1.20.1")
    with pytest.raises(InputError, match=r'1\.20\.1 is too old: .* install "onnxruntime>=1\.21"'):
        session_of(b"", tmp_path / "model.onnx")
    assert version_of("1.100.0rc1") == (1, 100)
