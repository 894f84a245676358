"""Tables of structures: numbers against a dense distribution and SimpleITK, names of scans, every kind of table."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from softseg.cli import run
from softseg.errors import InputError
from softseg.image import Geometry, Image, write_image
from softseg.requests import StatisticsRequest
from softseg.soft import SoftParcellation
from softseg.soft.statistics import run_statistics
from softseg.tree import LabelTree, Node

TREE = LabelTree(
    [
        Node("head", "head", None),
        Node("background", "background", "head", value=0),
        Node("brain", "brain", "head"),
        Node("grey", "=grey, matter", "brain", value=1),
        Node("white", "white matter", "brain", value=2),
        Node("lesion", "lesion", "head", value=3),
    ],
    name="small",
)
GRID = Geometry((7, 6, 5), (1.0, 2.0, 1.5), (3.0, -4.0, 5.0))
LEAVES = [leaf.id for leaf in TREE.leaves]


@pytest.fixture(scope="module")
def dense() -> np.ndarray:
    probabilities = np.zeros((len(LEAVES), 5, 6, 7), np.float32)
    probabilities[0] = 1
    steps = np.random.default_rng(5).integers(0, 128, (2, 3, 4, 5))
    inside = (slice(1, 4), slice(1, 5), slice(1, 6))
    for leaf, values in zip(("grey", "white"), steps, strict=True):
        probabilities[(LEAVES.index(leaf), *inside)] = values / np.float32(255)
    probabilities[(0, *inside)] = 1 - steps.sum(0) / np.float32(255)
    return probabilities


@pytest.fixture
def files(dense: np.ndarray, tmp_path: Path) -> tuple[Path, Path, np.ndarray]:
    soft, scan = tmp_path / "head.soft.npz", tmp_path / "t1.nii.gz"
    SoftParcellation.from_dense(dense, TREE, GRID, k=len(LEAVES)).save(soft)
    values = np.random.default_rng(6).normal(100, 20, GRID.shape).astype(np.float32)
    write_image(Image(values, GRID), scan)
    return soft, scan, values


def table(file: Path, **asked: Any) -> list[dict[str, Any]]:
    out = file.with_name("table.json")
    run_statistics(StatisticsRequest(file, out, **asked))
    rows: list[dict[str, Any]] = json.loads(out.read_text(encoding="utf-8"))
    return rows


def test_the_numbers_are_those_of_the_distribution(files: tuple[Path, Path, np.ndarray], dense: np.ndarray) -> None:
    soft, scan, values = files
    rows = {row["id"]: row for row in table(soft, images=(str(scan),))}
    assert list(rows) == [node.id for node in TREE.nodes]
    labels = dense.argmax(0)
    for leaf in ("grey", "white"):
        probability = dense[LEAVES.index(leaf)].astype(np.float64)
        assert rows[leaf]["soft_ml"] == pytest.approx(probability.sum() * 3e-3, rel=1e-5)
        assert rows[leaf]["t1_mean"] == pytest.approx((probability * values).sum() / probability.sum(), rel=1e-5)
    hard = sitk.LabelShapeStatisticsImageFilter()
    image = sitk.GetImageFromArray(labels.astype(np.uint8))
    image.SetSpacing(GRID.spacing)
    hard.Execute(image)
    grey = LEAVES.index("grey")
    expected = hard.GetPhysicalSize(grey) / 1000 if hard.HasLabel(grey) else 0.0
    assert rows["grey"]["hard_ml"] == pytest.approx(expected, abs=1e-9)
    assert rows["lesion"] == {
        "id": "lesion", "name": "lesion", "level": 1, "soft_ml": 0.0, "hard_ml": 0.0, "certainty": None,
        "t1_mean": None, "t1_std": None, "t1_median": None,
    }  # fmt: skip


def test_scans_on_other_grids_are_measured_where_they_lie(files: tuple[Path, Path, np.ndarray], tmp_path: Path) -> None:
    soft, scan, _ = files
    flipped = sitk.Flip(sitk.ReadImage(str(scan)), (True, False, True))  # the same voxels in another order
    sitk.WriteImage(flipped, str(tmp_path / "flipped.nii.gz"))
    same, other = (table(soft, images=(f"a={file}",)) for file in (scan, tmp_path / "flipped.nii.gz"))
    for first, second in zip(same, other, strict=True):
        for key in ("a_mean", "a_std", "a_median"):
            assert (first[key] or math.nan) == pytest.approx(second[key] or math.nan, rel=1e-4, nan_ok=True)


def test_nodes_are_chosen_by_cut_or_name_and_tables_hold_no_formulas(files: tuple[Path, Path, np.ndarray]) -> None:
    soft, _, _ = files
    assert [row["id"] for row in table(soft, cut="1")] == ["background", "brain", "lesion"]
    assert [row["id"] for row in table(soft, nodes=("white matter", "grey"))] == ["grey", "white"]
    for ending, delimiter in ((".csv", ","), (".tsv", "\t")):
        out = soft.with_name(f"table{ending}")
        assert run(["statistics", str(soft), "--node", "grey", "--out", str(out)]) == 0
        header, row = csv.reader(out.open(encoding="utf-8", newline=""), delimiter=delimiter)
        assert header == ["id", "name", "level", "soft_ml", "hard_ml", "certainty"]
        assert row[:3] == ["grey", "'=grey, matter", "2"]


def test_what_is_wrong_is_named(files: tuple[Path, Path, np.ndarray], tmp_path: Path) -> None:
    soft, scan, values = files
    far = tmp_path / "far.nii.gz"
    write_image(Image(values, Geometry(GRID.size, GRID.spacing, (900.0, 0.0, 0.0))), far)
    with pytest.raises(InputError, match=r"far.nii.gz: --image: none of its voxels lie in the structures"):
        table(soft, images=(str(far),))
    with pytest.raises(InputError, match="two scans are called 't1'"):
        table(soft, images=(str(scan), f"t1={scan}"))
    with pytest.raises(InputError, match="--out: expected a name that ends in"):
        StatisticsRequest(soft, tmp_path / "table.xlsx").check()
    with pytest.raises(InputError, match="give either --cut or --node"):
        StatisticsRequest(soft, tmp_path / "table.csv", cut="1", nodes=("grey",)).check()
    with pytest.raises(InputError, match="liver"):
        table(soft, nodes=("liver",))
