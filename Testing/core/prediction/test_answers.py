"""As deep as it is sure, on disk: label map, colour table and volumes, by ``collapse`` and by ``predict``."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from prediction_kit import Sides, ball, make_model, sided

from softseg.errors import InputError
from softseg.image import Geometry, read_image, write_image
from softseg.prediction import collapse, predict
from softseg.prediction.answers import UNKNOWN, color_tree
from softseg.soft import SoftParcellation
from softseg.tree import LabelTree, Node, node_colors
from softseg.types import OUTLIER_VALUE


def stored(tree: LabelTree, *voxels: dict[str, float]) -> SoftParcellation:
    """Return a parcellation of one row of voxels of 8 ml."""
    dense = np.zeros((len(tree.leaves), 1, 1, len(voxels)), np.float32)
    for voxel, probabilities in enumerate(voxels):
        for id_, probability in probabilities.items():
            dense[tree.leaf_index(id_), 0, 0, voxel] = probability
    return SoftParcellation.from_dense(dense, tree, Geometry((len(voxels), 1, 1), (20.0, 20.0, 20.0), (0.0, 0.0, 0.0)))


def table(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return {row["id"]: row for row in csv.DictReader(stream)}


def test_collapse_writes_a_map_of_mixed_depth_with_its_colours_and_volumes(tmp_path: Path) -> None:
    found = stored(
        sided(),
        {"ball-left": 1.0},
        {"ball-left": 0.6, "ball-right": 0.4},
        {"ball-right": 0.5, "bg": 0.5},
        {"bg": 1.0},
        {"ball-left": 0.4},
    )
    file = found.save(tmp_path / "one.soft.npz")
    collapse(file, tmp_path / "sure.nii.gz", confidence=0.9)
    labels = read_image(tmp_path / "sure.nii.gz").array
    values = sided().node_values()
    expected = [values["ball-left"], values["ball"], values["root"], 0, OUTLIER_VALUE]
    assert labels[0, 0].tolist() == expected
    names = LabelTree.load(tmp_path / "sure.ctbl")
    assert {leaf.value: leaf.name for leaf in names.leaves} == {
        **{values[node.id]: node.name for node in sided().nodes},
        OUTLIER_VALUE: "Unknown",
    }
    colors = node_colors(sided())
    assert {leaf.value: leaf.color for leaf in names.leaves}[values["ball"]] == colors["ball"]
    rows = table(tmp_path / "sure.csv")
    assert {id_: float(row["ml"]) for id_, row in rows.items()} == {
        "root": 8.0, "bg": 8.0, "ball": 8.0, "ball-left": 8.0, "ball-right": 0.0, UNKNOWN: 8.0,
    }  # fmt: skip
    assert [rows[id_]["share"] for id_ in ("root", "bg", "ball-right")] == ["0.25", "", "0.0"]


def test_without_background_what_is_unknown_is_0(tmp_path: Path) -> None:
    tree = LabelTree(
        [Node("all", "all", None), Node("a", "a", "all", value=1), Node(UNKNOWN, "a node", "all", value=2)]
    )
    file = stored(tree, {"a": 1.0}, {"a": 0.3}, {UNKNOWN: 0.95, "a": 0.05}).save(tmp_path / "one.soft.npz")
    collapse(file, tmp_path / "sure.nii.gz", confidence=0.9)
    assert read_image(tmp_path / "sure.nii.gz").array[0, 0].tolist() == [1, 0, 2]
    assert len({node.id for node in color_tree(tree).nodes}) == len(tree.nodes) + 2


@pytest.mark.parametrize("asked", [{}, {"cut": 1, "confidence": 0.9}, {"node": "ball", "confidence": 0.9}])
def test_one_question_at_a_time(tmp_path: Path, asked: dict) -> None:
    file = stored(sided(), {"bg": 1.0}).save(tmp_path / "one.soft.npz")
    with pytest.raises(InputError, match="give either --cut, --node or --confidence"):
        collapse(file, tmp_path / "out.nii.gz", **asked)


def test_predict_answers_as_deep_as_it_is_sure(tmp_path: Path) -> None:
    geometry = Geometry((16, 16, 16), (2.0, 2.0, 2.0), (-15.0, -15.0, -15.0))
    image = write_image(ball(geometry, centre=np.zeros(3)), tmp_path / "scan.nii.gz")
    model = make_model(Sides(), sided())
    (result,) = predict(model, [image], tmp_path / "out", confidence=0.9)
    found = SoftParcellation.load(result.folder / "soft.soft.npz")
    labels = read_image(result.folder / "labels_confidence0.9.nii.gz").array
    np.testing.assert_array_equal(labels, found.confident_labels(0.9))
    answered = {node for node, value in sided().node_values().items() if (labels == value).any()}
    assert answered == {"root", "bg", "ball", "ball-left", "ball-right"}
    assert (result.folder / "labels_confidence0.9.ctbl").is_file()
    (again,) = predict(model, [image], tmp_path / "out", confidence=0.9)
    assert again.skipped
    with pytest.raises(InputError, match=r"expected a number from 0\.5 to 1, got 0\.3"):
        predict(model, [image], tmp_path / "out", confidence=0.3)
