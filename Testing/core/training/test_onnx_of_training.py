"""A training writes the network for ONNX Runtime, too, and succeeds where that cannot be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from softseg.backends import onnx_file
from softseg.data import Dataset
from softseg.events import Events, ListSink
from softseg.fine_tuning import fine_tune
from softseg.network import ModelFolder
from softseg.prediction.record import model_digest
from softseg.training import Recipe, train

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

GRAPH = Path("models", "model.onnx")


def texts(sink: ListSink, kind: str) -> list[str]:
    return [event["text"] for event in sink.events if event["event"] == kind and "model.onnx" in event["text"]]


def trained(balls: Dataset, tiny: list[str], out: Path, *sets: str, resume: bool = False) -> tuple[Path, ListSink]:
    sink = ListSink()
    recipe = Recipe.load("ce-dice", [*tiny, "steps=2", "checkpoint_every=1", *sets])
    return train(balls, recipe, out, pictures=False, resume=resume, events=Events(sink)), sink


def test_the_graph_is_that_of_the_best_network(balls: Dataset, tiny: list[str], tmp_path: Path) -> None:
    folder, sink = trained(balls, tiny, tmp_path / "run")
    with_torch, with_onnx = ModelFolder.load(folder), ModelFolder.load(folder, backend="onnx")
    assert model_digest(with_onnx) == model_digest(with_torch)
    (line,) = texts(sink, "log")
    assert "differs from PyTorch by at most" in line
    written = (folder / GRAPH).stat().st_mtime_ns
    trained(balls, tiny, tmp_path / "run", resume=True)
    assert (folder / GRAPH).stat().st_mtime_ns == written
    (folder / GRAPH).unlink()  # killed before it was written
    trained(balls, tiny, tmp_path / "run", resume=True)
    assert (folder / GRAPH).is_file()


def test_fine_tuned_models_have_it(balls: Dataset, tiny: list[str], tmp_path: Path) -> None:
    folder, _ = trained(balls, tiny, tmp_path / "run")
    new = fine_tune(balls, folder, tmp_path / "tuned", sets=["steps=1"])
    first, second = (ModelFolder.load(each, backend="onnx") for each in (folder, new))
    assert model_digest(first) != model_digest(second)


def test_without_the_package_one_line_says_so(
    balls: Dataset, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "installed", lambda package: package != "onnx")
    folder, sink = trained(balls, tiny, tmp_path / "run")
    assert not (folder / GRAPH).exists()
    (line,) = texts(sink, "log")
    assert "the package onnx is not installed" in line
    assert texts(sink, "warning") == []


def test_an_export_that_fails_is_one_warning(
    balls: Dataset, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> object:
        raise MemoryError("no room")

    monkeypatch.setattr(onnx_file, "_graph", fail)
    folder, sink = trained(balls, tiny, tmp_path / "run")
    assert ModelFolder.load(folder).network is not None
    assert not (folder / GRAPH).exists()
    (line,) = texts(sink, "warning")
    assert line.endswith("no room")
