"""Scribbles through the real command line: what trains with a warning, and what is wrong in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from softseg.image import Image, read_image, write_image


@pytest.fixture
def scribbles(world: Path) -> Callable[..., Path]:
    """Repaints the labels of both cases: positions ``(k, j, i)`` by label value; all else 0."""

    def call(*painted: dict[int, list[tuple[int, int, int]]], margin: bool = False) -> Path:
        for number, places in enumerate(painted):
            labels = read_image(world / f"labels{number}.nii.gz")
            array = np.zeros_like(labels.array)
            for value, voxels in places.items():
                for voxel in voxels:
                    array[voxel] = value
            write_image(Image(array, labels.geometry), world / f"labels{number}.nii.gz")
            scan = read_image(world / f"scan{number}.nii.gz")
            inside = scan.array.copy()
            if margin:  # a scan cut out on black
                inside[[0, -1]] = inside[:, [0, -1]] = 0
                inside[:8], inside[-4:] = 0, 0
                write_image(Image(inside, scan.geometry), world / f"scan{number}.nii.gz")
        return world / "DATA.json"

    return call


MANY = {1: [(12, 11, i) for i in range(6, 14)], 2: [(12, j, 3) for j in range(6, 14)]}


def train(cli: Callable, data: Path, quick: list[str], *more: str):
    return cli("train", data, "--recipe", "sparse", "--out", data.parent / "run", "--device", "cpu", *quick, *more)


def one_line(answer, *words: str) -> None:
    lines = answer.err.strip().splitlines()
    assert answer.code == 2, answer.err
    message = lines[-1]
    assert all(word in message for word in words), message
    assert "Traceback" not in answer.err


def test_a_class_with_one_voxel_trains_and_is_named(cli, scribbles, quick_training) -> None:
    data = scribbles({**MANY, 2: [(12, 11, 3)]}, MANY)
    answer = train(cli, data, quick_training)
    assert answer.code == 0, answer.err
    assert "fewer than 5 labelled voxels in all training cases: shell (" in answer.err + answer.out
    assert (data.parent / "run" / "model" / "models" / "model.pt").is_file()
    recipe = (data.parent / "run" / "recipe.yaml").read_text()
    assert "metric: f1/leaves" in recipe


def test_without_any_label_there_is_nothing_to_train_on(cli, scribbles, quick_training) -> None:
    data = scribbles({}, {})
    one_line(train(cli, data, quick_training), "DATA.json", "no training case has a labelled voxel (case0)")
    assert not (data.parent / "run" / "model").exists()
    tree = json.loads((data.parent / "tree.json").read_text())
    tree["nodes"] = [node for node in tree["nodes"] if node["id"] != "background"]
    (data.parent / "tree.json").write_text(json.dumps(tree))
    one_line(cli("data", "check", data), "DATA.json", "no training case has a labelled voxel")


def test_scribbles_outside_the_part_that_is_used(cli, scribbles, quick_training) -> None:
    data = scribbles({1: [(0, 0, 0), (1, 1, 1)]}, MANY, margin=True)
    crop = ("--set", "plan.crop={kind: nonzero, margin_mm: 0}")
    answer = train(cli, data, quick_training, *crop)
    assert "case case0: 2 of 2 labelled voxels lie outside the part of the image that is used" in answer.err
    one_line(answer, "DATA.json", "no training case has a labelled voxel", "plan.crop.kind=none")
    assert train(cli, data, quick_training, "--set", "plan.crop.kind=none").code == 0


def test_a_value_that_the_tree_lacks_and_one_that_is_taken(cli, scribbles, quick_training, change_json) -> None:
    data = scribbles({**MANY, 77: [(3, 3, 3)]}, MANY)
    one_line(train(cli, data, quick_training), "labels0.nii.gz", "label value 77 not in the label tree")
    change_json(data, lambda content: content.update(unlabelled=77))
    assert train(cli, data, [*quick_training, "--set", "steps=1"]).code == 0
    change_json(data, lambda content: content.update(unlabelled=2))
    one_line(cli("data", "check", data), "DATA.json", "unlabelled", "2 is the value of 'shell'")


def test_scores_of_labelled_voxels_from_the_command_line(cli, scribbles, world: Path) -> None:
    whole = read_image(world / "labels0.nii.gz")
    write_image(whole, world / "answer.nii.gz")
    scribbles(MANY, MANY)
    out = world / "scores"
    answer = cli(
        "evaluate", "--prediction", world / "answer.nii.gz", "--reference", world / "labels0.nii.gz",
        "--tree", world / "tree.json", "--out", out, "--labelled-only",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    levels = json.loads((out / "summary.json").read_text())["labelled_voxels"]
    truth = np.array([value for value, voxels in MANY.items() for _ in voxels])
    found = np.array([whole.array[voxel] for voxels in MANY.values() for voxel in voxels])
    assert levels[-1]["voxels"] == len(truth)
    assert levels[-1]["accuracy"] == pytest.approx((truth == found).mean())
