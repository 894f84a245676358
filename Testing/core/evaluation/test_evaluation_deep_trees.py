"""A tree far deeper than it is wide: the same numbers at every level of a row of single children, and no work twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from softseg.evaluation import evaluate, measure, places
from softseg.image import Geometry, Image, write_image
from softseg.tree import LabelTree, Node

DEEP = 1500


def chain(depth: int) -> LabelTree:
    """One leaf below ``depth`` nodes in a row, and background."""
    nodes = [Node("n0", "n0", None), Node("background", "background", "n0", value=0)]
    nodes += [Node(f"n{n}", f"n{n}", f"n{n - 1}") for n in range(1, depth)]
    return LabelTree([*nodes, Node("leaf", "leaf", f"n{depth - 1}", value=1)], name="deep")


@pytest.fixture
def maps(tmp_path: Path) -> list[Path]:
    """A label map, and the same moved by a voxel."""
    labels = np.zeros((10, 11, 12), np.uint8)
    labels[2:6, 3:8, 2:9] = 1
    geometry = Geometry((12, 11, 10), (1.0, 1.0, 2.0))
    arrays = {"ours": np.roll(labels, 1, 1), "truth": labels}
    return [write_image(Image(array, geometry), tmp_path / f"{name}.nii.gz") for name, array in arrays.items()]


def test_every_level_of_a_row_of_nodes_scores_as_the_leaf(
    maps: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks, sought = [], []
    real, centers = measure.surface_scores, places._centers
    monkeypatch.setattr(places, "_centers", lambda *a: sought.append(a) or centers(*a))
    monkeypatch.setattr(measure, "surface_scores", lambda *a: masks.append(a) or real(*a))
    report = evaluate([maps[0]], [maps[1]], chain(DEEP), tmp_path / "out")
    shallow = evaluate([maps[0]], [maps[1]], chain(1), tmp_path / "shallow")
    assert len(report.nodes) == DEEP
    metrics = ("dice", "soft_dice", "surface_dice", "hd95_mm", "volume_ml", *places.COLUMNS)
    assert {tuple(row[name] for name in metrics) for row in report.nodes} == {
        tuple(shallow.nodes[0][name] for name in metrics)
    }
    assert len(masks) == len(sought) == 2  # one structure, looked at once in each evaluation
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "level 1500" in page


def test_level_sizes_are_those_of_the_cuts() -> None:
    tree = LabelTree(
        [
            Node("r", "r", None),
            Node("a", "a", "r", value=1),
            Node("b", "b", "r"),
            Node("c", "c", "b", value=2),
            Node("d", "d", "b"),
            Node("e", "e", "d", value=3),
        ]
    )
    assert tree.level_sizes == tuple(len(tree.cut_at(level)) for level in range(tree.depth + 1))
