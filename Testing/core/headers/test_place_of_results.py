"""From a scan with any header through predict, collapse and evaluate: results lie on it as nibabel reads both."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from header_kit import Array, affines, matrix, save
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "prediction"))

from prediction_kit import make_model, two_leaves

from softseg.data import Dataset, check_dataset
from softseg.errors import InputError
from softseg.evaluation import evaluate
from softseg.events import Events, ListSink
from softseg.prediction import collapse, predict_case
from softseg.prediction.outputs import Wanted
from softseg.prediction.results.place import CasePlace
from softseg.prediction.results.steps import write_case
from softseg.requests import PredictRequest

SHAPE = (26, 28, 24)
CODES = [(1, 1), (2, 1), (4, 1), (1, 2), (0, 1), (1, 0), (4, 0), (3, 5), (0, 0)]
OWN: Any = (None, None, None)
"""A plan's spacing that keeps the scan's own."""


def _ball(affine: Array, shape: tuple[int, int, int] = SHAPE) -> Array:
    """Return a soft ball (i, j, k), 0 to 100, near the middle of the grid."""
    middle = affine[:3, :3] @ ((np.asarray(shape) - 1) / 2) + affine[:3, 3] + [1.3, -0.7, 0.4]
    points = affine[:3, :3] @ np.indices(shape).reshape(3, -1) + affine[:3, 3:]
    away = np.linalg.norm(points - middle[:, None], axis=0)
    return np.asarray(100 * np.clip((8 - away) / 3, 0, 1).reshape(shape), np.float32)


def _centre(array: Array, affine: Array) -> Array:
    points = affine[:3, :3] @ np.indices(array.shape).reshape(3, -1) + affine[:3, 3:]
    return np.asarray((points * array.ravel()).sum(axis=1) / array.sum())


def _predicted(scan: Path, out: Path, sink: ListSink) -> Path:
    model, events = make_model(spacing=OWN), Events(sink)
    found = predict_case(model, [scan], nodes=["ball"], events=events)
    write_case(CasePlace(out), found, Wanted.of(model.tree, PredictRequest("", (), out, nodes=("ball",))), events)
    return out


def _node(folder: Path) -> Path:
    return next(folder.glob("node_*.nii.gz"))


@settings(max_examples=15, deadline=None)
@given(affines(SHAPE), affines(SHAPE), st.sampled_from(CODES), st.booleans(), st.sampled_from(["scan.nii", "scan.img"]))
def test_results_lie_on_the_scan_whatever_its_forms(
    sform: Array, qform: Array, codes: tuple[int, int], two: bool, name: str
) -> None:
    sink = ListSink()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        held = sform if codes[0] else qform
        scan = save(folder / name, _ball(held), sform, codes[0], qform, codes[1], two, name.endswith(".img"))
        theirs = nib.load(scan)
        out = _predicted(scan, folder / "out", sink)
        soft = collapse(out / "soft.soft.npz", folder / "again.nii.gz", node="ball")
        labels = collapse(out / "soft.soft.npz", folder / "labels.nii.gz", cut=1)
        for file in (_node(out), soft, labels, out / "labels_leaves.nii.gz"):
            result = nib.load(file)
            np.testing.assert_allclose(result.affine, theirs.affine, atol=1e-3)
            for form in ("sform", "qform"):
                assert int(result.header[f"{form}_code"]) == int(theirs.header[f"{form}_code"])
                matrices = (getattr(each.header, f"get_{form}")() for each in (result, theirs))
                np.testing.assert_allclose(*matrices, atol=1e-3)
        probability = nib.load(_node(out))
        whole = np.asanyarray(probability.dataobj)
        assert np.linalg.norm(_centre(whole, probability.affine) - _centre(_ball(held), theirs.affine)) < 0.2
        truth = save(folder / "truth.nii", (_ball(held) > 50).astype(np.int16) * 7, sform, codes[0], qform, codes[1])
        report = evaluate([out], [truth], two_leaves(), folder / "judged", html=False, events=Events(sink))
        assert min(row["dice"] for row in report.levels) > 0.9
    said = " ".join(event["text"] for event in sink.events if event["event"] == "warning")
    assert ("left and right are unknown" in said) == (codes == (0, 0))


def test_a_format_that_claims_more_than_the_scan_is_warned_about(tmp_path: Path) -> None:
    nothing = np.eye(4)
    scan = save(tmp_path / "scan.nii", _ball(nothing), nothing, 0, nothing, 0)
    soft = _predicted(scan, tmp_path / "out", ListSink()) / "soft.soft.npz"
    for name, warned in (("map.nii.gz", False), ("map.nrrd", True)):
        sink = ListSink()
        collapse(soft, tmp_path / name, node="ball", events=Events(sink))
        assert any("cannot keep what the scan's header" in str(event.get("text")) for event in sink.events) == warned


@settings(max_examples=8, deadline=None)
@given(affines(SHAPE, shears=(0.002, 0.1, 0.36, -0.5)))
def test_a_tilted_scan_is_straightened_and_nothing_is_shifted(affine: Array) -> None:
    sink = ListSink()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        scan = save(folder / "scan.nii.gz", _ball(affine), affine, 1, affine, 1)
        out = _predicted(scan, folder / "out", sink)
        probability = nib.load(_node(out))
        centre = _centre(np.asanyarray(probability.dataobj), probability.affine)
        assert np.linalg.norm(centre - _centre(_ball(affine), nib.load(scan).affine)) < 0.2
        np.testing.assert_allclose(probability.header.get_sform(), probability.header.get_qform(), atol=1e-3)
        truth = save(folder / "truth.nii", (_ball(affine) > 50).astype(np.int16) * 7, affine, 1, affine, 1)
        report = evaluate([out], [truth], two_leaves(), folder / "judged", html=False, images=[scan])
        assert min(row["dice"] for row in report.levels) > 0.85
    assert any("sheared by" in str(event.get("text")) for event in sink.events)


def _dataset(folder: Path, labels: Path, scan: Path) -> Dataset:
    two_leaves().save(folder / "tree.json")
    case = {"id": "a", "group": "a", "split": "train", "images": {"T1": scan.name}, "labels": labels.name}
    file = folder / "DATA.json"
    import json

    content = {"name": "d", "channels": ["T1"], "tree": "tree.json", "cases": [case]}
    file.write_text(json.dumps(content), encoding="utf-8")
    return Dataset.load(file)


STRAIGHT = matrix((5, 10, 15), (1, 1, 1), (0, 1, 2), (1.0, 1.0, 1.2), 0.0, SHAPE, (0, 0, 0))
SHIFTED = STRAIGHT + np.array([[0, 0, 0, 20.0], [0] * 4, [0] * 4, [0] * 4])


def test_labels_on_the_other_form_of_their_image_are_its_voxels(tmp_path: Path) -> None:
    scan = save(tmp_path / "scan.nii", _ball(SHIFTED), SHIFTED, 2, STRAIGHT, 1)
    drawn = (_ball(SHIFTED) > 50).astype(np.int16) * 7
    labels = save(tmp_path / "labels.nii", drawn, STRAIGHT, 1, STRAIGHT, 1)
    sink = ListSink()
    summaries = check_dataset(_dataset(tmp_path, labels, scan), Events(sink))
    assert summaries[0].volumes[1] == np.count_nonzero(drawn)
    said = [event["text"] for event in sink.events if event["event"] == "warning"]
    assert any("20 mm apart" in text for text in said)
    assert any("other form" in text and "labels.nii" in text for text in said)


def test_labels_on_another_grid_than_both_forms_are_refused(tmp_path: Path) -> None:
    scan = save(tmp_path / "scan.nii", _ball(SHIFTED), SHIFTED, 2, STRAIGHT, 1)
    other = STRAIGHT + np.array([[0, 0, 0, 5.0], [0] * 4, [0] * 4, [0] * 4])
    labels = save(tmp_path / "labels.nii", np.zeros(SHAPE, np.int16), other, 1, other, 1)
    with pytest.raises(InputError, match="lies on another grid than the images"):
        check_dataset(_dataset(tmp_path, labels, scan))


def test_a_tilted_scan_and_its_labels_are_checked_on_one_straight_grid(tmp_path: Path) -> None:
    tilted = matrix((0, 0, 0), (1, 1, 1), (0, 1, 2), (1.0, 1.0, 1.2), 0.36, SHAPE, (0, 0, 0))
    scan = save(tmp_path / "scan.nii", _ball(tilted), tilted, 1, tilted, 1)
    labels = save(tmp_path / "labels.nii", (_ball(tilted) > 50).astype(np.int16) * 7, tilted, 1, tilted, 1)
    summaries = check_dataset(_dataset(tmp_path, labels, scan))
    assert summaries[0].volumes[1] == pytest.approx(np.count_nonzero(_ball(tilted) > 50), rel=0.05)
    assert summaries[0].geometry.shape != SHAPE[::-1]
