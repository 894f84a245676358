"""``softseg calibrate`` on an untrained model, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_calibrate_stores_temperatures_in_the_model(cli: Callable, world: Path, model: Path) -> None:
    answer = cli(
        "calibrate", model, world / "DATA.json", "--test-split", "train", "--out", world / "out",
        "--voxels", 3000, "--device", "cpu", "--events", "json",
    )  # fmt: skip
    assert (answer.code, answer.err) == (0, "")
    content = json.loads((model / "calibration.json").read_text(encoding="utf-8"))
    assert len(content["temperatures"]) == 2
    assert (content["split"], content["cases"], content["voxels"]) == ("val", ["case1"], 3000)
    assert [level["level"] for level in content["levels"]] == [1, 2]
    assert all(level["log_loss_after"] <= level["log_loss_before"] for level in content["levels"])
    written = {path.name for path in (world / "out").iterdir()}
    assert written == {f"{name}.{end}" for name in ("reliability", "test_reliability") for end in ("png", "json")}
    curves = json.loads((world / "out" / "reliability.json").read_text(encoding="utf-8"))
    assert sum(curves["before"][0]["voxels"]) <= 3000
    events = [json.loads(line) for line in answer.out.splitlines()]
    logged = [event["text"] for event in events if event["event"] == "log"]
    assert sum("expected calibration error" in text for text in logged) == 4
    first = (model / "calibration.json").read_text(encoding="utf-8")
    assert cli("calibrate", model, world / "DATA.json", "--voxels", 3000, "--device", "cpu", "--quiet").code == 0
    second = json.loads((model / "calibration.json").read_text(encoding="utf-8"))
    assert second["temperatures"] == json.loads(first)["temperatures"]


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (dict, ("--split", "test"), "the dataset has no case in the split 'test'"),
        (lambda c: c["cases"][1].update(labels="nothing.nii.gz"), (), "no voxel of the split 'val' is labelled"),
        (dict, ("--voxels", "0"), "expected a positive number of voxels, got 0"),
    ],
)
def test_what_calibrate_refuses(
    cli: Callable, world: Path, model: Path, change_json: Callable, change: Callable[[Any], None],
    arguments: tuple[str, ...], message: str,
) -> None:  # fmt: skip
    import numpy as np

    from softseg.image import Image, read_image, write_image

    scan = read_image(world / "labels1.nii.gz")
    write_image(Image(np.full_like(scan.array, 9), scan.geometry), world / "nothing.nii.gz")
    change_json(world / "DATA.json", lambda content: (change(content), content.update(unlabelled=9)))
    answer = cli("calibrate", model, world / "DATA.json", "--device", "cpu", "--quiet", *arguments)
    assert answer.code == 2
    assert message in answer.err
    assert answer.err.count("\n") == 1
    assert not (model / "calibration.json").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "is not valid JSON"), ('{"format_version": 1, "temperatures": [1.0]}', "expected 2 temperatures")],
)
def test_a_damaged_calibration_is_named(cli: Callable, world: Path, model: Path, content: str, message: str) -> None:
    (model / "calibration.json").write_text(content, encoding="utf-8")
    answer = cli("predict", model, world / "scan0.nii.gz", "--out", world / "out", "--device", "cpu", "--quiet")
    assert answer.code == 2
    assert message in answer.err
    assert "calibration.json" in answer.err


@pytest.mark.parametrize("head", ["softmax", "normrelu"])
def test_a_model_of_scribbles_is_calibrated_on_them(cli: Callable, world: Path, model: Path, head: str) -> None:
    """Without background 0 means unlabelled: only what is painted decides, whatever the head."""
    import torch

    from softseg.network import Head, ModelFolder, build_network

    loaded = ModelFolder.load(model)
    tree = loaded.tree.remove("background")
    torch.manual_seed(0)
    network = build_network(loaded.plan.network, 1, 2, 3)
    folder = ModelFolder.save(world / head, network, loaded.plan, tree, f"head: {head}\n", head=Head(head, 2, None))
    answer = cli("calibrate", folder, world / "DATA.json", "--voxels", 100_000, "--device", "cpu", "--quiet")
    assert (answer.code, answer.err) == (0, "")
    content = json.loads((folder / "calibration.json").read_text(encoding="utf-8"))
    labels = (labels_of(world) > 0).sum() * 1.5 / 1.5**3  # voxels of 1 x 1 x 1.5 mm become cubes of 1.5 mm
    assert 0.7 * labels < content["voxels"] < 1.6 * labels
    assert len(content["temperatures"]) == 2
    assert content["temperatures"][0] == 1  # "organ" is all that there is
    assert content["temperatures"][1] != 1


def labels_of(world: Path) -> Any:
    from softseg.image import read_image

    return read_image(world / "labels1.nii.gz").array
