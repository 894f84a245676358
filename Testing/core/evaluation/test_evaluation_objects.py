"""Counting single objects, against a flood fill written out by hand."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softseg.evaluation import evaluate
from softseg.evaluation.aggregate import Row
from softseg.image import Geometry, Image, write_image
from softseg.tree import LabelTree, Node

TREE = LabelTree(
    [
        Node(id="all", name="all", parent=None),
        Node(id="background", name="background", parent="all", value=0),
        Node(id="sick", name="sick", parent="all"),
        Node(id="core", name="core", parent="sick", value=1),
        Node(id="rim", name="rim", parent="sick", value=2),
    ]
)
SHAPE = (3, 5, 6)  # k, j, i
SPACING = (1.0, 1.0, 4.0)  # i, j, k: thick slices


def flooded(mask: np.ndarray, flat: bool) -> list[set[tuple[int, ...]]]:
    """Connected parts by flood fill; neighbours probability a corner, in the same slice where ``flat``."""
    left, parts = {tuple(map(int, voxel)) for voxel in np.argwhere(mask)}, []
    steps = [step for step in itertools.product((-1, 0, 1), repeat=3) if not (flat and step[0])]
    while left:
        todo, part = [left.pop()], set()
        while todo:
            voxel = todo.pop()
            part.add(voxel)
            near = {tuple(a + b for a, b in zip(voxel, step, strict=True)) for step in steps} & left
            left -= near
            todo += near
        parts.append(part)
    return parts


def counted(predicted: np.ndarray, reference: np.ndarray, folder: Path, connectivity: str) -> list[Row]:
    geometry = Geometry(SHAPE[::-1], SPACING)
    for name, labels in (("p", predicted), ("r", reference)):
        write_image(Image(labels.astype(np.uint8), geometry), folder / f"{name}.nii.gz")
    files = [folder / "p.nii.gz"], [folder / "r.nii.gz"]
    report = evaluate(*files, TREE, folder / "out", html=False, tolerance_mm=None, objects=connectivity)  # type: ignore[arg-type]
    return report.objects


maps = st.lists(st.sampled_from([0, 0, 0, 1, 2]), min_size=90, max_size=90).map(lambda v: np.reshape(v, SHAPE))


@settings(max_examples=12, deadline=None)
@given(predicted=maps, reference=maps, connectivity=st.sampled_from(["volume", "slice"]))
def test_objects_are_those_of_a_flood_fill(
    predicted: np.ndarray, reference: np.ndarray, connectivity: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = counted(predicted, reference, tmp_path_factory.mktemp("objects"), connectivity)
    expected = []
    for level, node, values in ((1, "sick", (1, 2)), (2, "core", (1,)), (2, "rim", (2,))):
        sides = {"reference": np.isin(reference, values), "prediction": np.isin(predicted, values)}
        for side, own in sides.items():
            other = sides["prediction" if side == "reference" else "reference"]
            for part in flooded(own, connectivity == "slice"):
                shared = sum(bool(other[voxel]) for voxel in part)
                expected.append((level, node, side, round(len(part) * 0.004, 9), round(shared / len(part), 9)))
    found = [(r["level"], r["node"], r["side"], round(r["volume_ml"], 9), round(r["covered"], 9)) for r in rows]
    assert sorted(found) == sorted(expected)


def test_thick_slices_may_lie_along_any_axis(tmp_path: Path) -> None:
    """A rod along i is one object, and one per slice where the slices lie across i."""
    labels = np.ones((1, 1, 4), np.uint8)
    for spacing, count in (((5.0, 1.0, 1.0), 4), ((1.0, 1.0, 5.0), 1)):
        image = Image(labels, Geometry((4, 1, 1), spacing))
        write_image(image, tmp_path / "rod.nii.gz")
        rod = [tmp_path / "rod.nii.gz"]
        report = evaluate(rod, rod, TREE, tmp_path / "out", html=False, tolerance_mm=None, objects="slice")
        assert sum(row["node"] == "core" and row["side"] == "reference" for row in report.objects) == count
    assert (tmp_path / "out" / "objects.csv").is_file()
