"""Many cases: what a rerun does, what is said about failures, and several processes that share the work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prediction_kit import STRAIGHT, ball, make_model, make_plan, two_leaves

from softseg.data import NetworkSpec
from softseg.errors import InputError
from softseg.events import Events, ListSink
from softseg.image import write_image
from softseg.network import Head, ModelFolder, build_network
from softseg.prediction import predict
from softseg.prediction.cohort import ProcessRank

CORE = Path(__file__).resolve().parents[3] / "core"


def results(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "results.json").read_text(encoding="utf-8")))


def states(out: Path) -> dict[str, str]:
    return {case["case"]: case["state"] for case in results(out)["cases"]}


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """Save a small model; several processes must load the same one."""
    spec = NetworkSpec(options={"filters": [4, 8, 8]})
    network = build_network(spec, 1, 2, 3)
    return ModelFolder.save(
        tmp_path / "model", network, make_plan(network=spec), two_leaves(), "head: softmax\n", head=Head("softmax", 2)
    )


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    image = ball(STRAIGHT)
    image.array[3, 4, 5] = np.nan
    return write_image(image, tmp_path / "broken.nrrd")


def test_a_rerun_does_only_what_is_missing(scan: Callable[..., Path], broken: Path, tmp_path: Path) -> None:
    images, out = [scan("a.nii.gz"), broken, scan("b.nii.gz")], tmp_path / "out"
    with pytest.raises(InputError, match="1 of 3 cases failed"):
        predict(make_model(), images, out, device="cpu")
    assert states(out) == {"a": "done", "broken": "failed", "b": "done"}
    failure = results(out)["cases"][1]
    assert failure["error"]["kind"] == "input"
    assert "holds 1 values that are NaN or infinite" in failure["error"]["message"]
    assert (results(out)["done"], results(out)["failed"]) == (2, 1)
    before = (out / "a" / "soft.soft.npz").stat().st_mtime_ns
    write_image(ball(STRAIGHT), broken)
    sink = ListSink()
    found = predict(make_model(), images, out, device="cpu", events=Events(sink))
    assert states(out) == {"a": "skipped", "broken": "done", "b": "skipped"}
    assert (out / "a" / "soft.soft.npz").stat().st_mtime_ns == before
    assert sum("complete already, by the same model and settings" in e.get("text", "") for e in sink.events) == 2
    assert [len(case.volumes) for case in found] == [3, 3, 3]
    assert found[0].volumes[2]["soft_ml"] == pytest.approx(found[1].volumes[2]["soft_ml"], rel=1e-4)
    assert (out / "volumes.csv").read_text(encoding="utf-8").count("\n") == 1 + 3 * 3


@pytest.mark.parametrize("change", ["overwrite", "settings", "image", "network"])
def test_what_changed_is_predicted_again(change: str, scan: Callable[..., Path], tmp_path: Path) -> None:
    images, out = [scan("a.nii.gz"), scan("b.nii.gz")], tmp_path / "out"
    spec = NetworkSpec(options={"filters": [4, 8, 8]})
    model = make_model(build_network(spec, 1, 2, 3))
    predict(model, images, out, device="cpu")
    if change == "image":
        scan("a.nii.gz", value=50.0)
    if change == "network":
        next(model.network.parameters()).data.mul_(1.5)
    options = {"overwrite": {"overwrite": True}, "settings": {"overlap": 0.25}}
    predict(model, images, out, device="cpu", **options.get(change, {}))
    expected = {"a": "done", "b": "skipped" if change == "image" else "done"}
    assert states(out) == expected


def test_processes_cover_every_case_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = list(range(7))
    assert sorted(n for rank in range(3) for n in ProcessRank(rank, 3).of(cases)) == cases
    assert ProcessRank.of_environment() == ProcessRank()
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert ProcessRank.of_environment() == ProcessRank(1, 2, 0)
    monkeypatch.setenv("RANK", "2")
    with pytest.raises(InputError, match="expected RANK below WORLD_SIZE"):
        ProcessRank.of_environment()


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    settings = os.environ | {"PYTHONPATH": str(CORE), "OMP_NUM_THREADS": "1"} | environment
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, env=settings, check=False)


def test_two_processes_share_a_cohort(
    scan: Callable[..., Path], broken: Path, model_folder: Path, tmp_path: Path
) -> None:
    """The process with the failed case is done first, and must not end the other one with its exit code."""
    out = tmp_path / "out"
    images = [str(broken), *(str(scan(f"{name}.nii.gz")) for name in "abc")]
    command = ["predict", str(model_folder), *images, "--out", str(out), "--device", "cpu", "--events", "json"]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "softseg"]
    first = run([*launch, *command])
    assert first.returncode != 0
    assert states(out) == {"broken": "failed", "a": "done", "b": "done", "c": "done"}
    assert sorted(path.name for path in out.iterdir()) == ["a", "b", "c", "results.json", "volumes.csv"]
    said = first.stdout + first.stderr
    assert "process 1 of 2: 2 of 4 cases" in said
    assert "process 2 of 2: 2 of 4 cases" in said
    assert "1 of 2 cases failed (1 are done): broken" in said
    write_image(ball(STRAIGHT), broken)
    again = run([*launch, *command])
    assert again.returncode == 0, again.stderr
    assert states(out) == {"broken": "done", "a": "skipped", "b": "skipped", "c": "skipped"}


def test_processes_without_a_launcher_join_their_tables(
    scan: Callable[..., Path], model_folder: Path, tmp_path: Path
) -> None:
    """As under a job array: the processes never meet, and the last one writes the table of all."""
    out = tmp_path / "out"
    images = [str(scan(f"{name}.nii.gz")) for name in "abc"]
    command = ["-m", "softseg", "predict", str(model_folder), *images, "--out", str(out), "--device", "cpu", "--quiet"]
    assert run(command, RANK="1", WORLD_SIZE="2").returncode == 0
    assert not (out / "results.json").exists()
    assert run(command, RANK="0", WORLD_SIZE="2").returncode == 0
    assert states(out) == {"a": "done", "b": "done", "c": "done"}
