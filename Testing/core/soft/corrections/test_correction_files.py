"""Corrections in files, on edited trees, on other grids, and beside outliers."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from correction_cases import apply, cases, dense_of, patient, random_corrections, random_parcellation
from hypothesis import given

from softseg.errors import InputError
from softseg.image import Geometry
from softseg.soft import SoftParcellation
from softseg.soft.outliers import StoredOutliers
from softseg.tree import LabelTree, Node

SHAPE = (4, 5, 6)


def tree() -> LabelTree:
    nodes = [Node("all", "all", None), Node("out", "out", "all", value=0), Node("brain", "brain", "all")]
    nodes += [Node("cortex", "cortex", "brain"), Node("left", "left", "cortex", value=1)]
    nodes += [Node("right", "right", "cortex", value=2), Node("stem", "stem", "brain", value=3)]
    return LabelTree(nodes)


def parcellation(seed: int = 0) -> SoftParcellation:
    dense = np.random.default_rng(seed).dirichlet((0.4,) * 4, SHAPE).astype(np.float32)
    return SoftParcellation.from_dense(np.moveaxis(dense, -1, 0).copy(), tree(), Geometry((6, 5, 4)))


def block(first: int, last: int) -> np.ndarray:
    out = np.zeros(SHAPE, bool)
    out[1:3, first:last, first:last] = True
    return out


@pytest.fixture
def corrected() -> SoftParcellation:
    made = parcellation().corrected("cortex", block(0, 3), author=" A\nB ", time="2026-01-31T13:00:00+01:00")
    return made.corrected("stem", block(2, 4)).corrected("left", block(1, 2), is_node=False)


def stored_arrays(result: SoftParcellation) -> tuple[Any, ...]:
    return result.start, result.counts.tobytes(), result.leaves.tobytes(), result.shares.tobytes()


def test_a_file_keeps_what_was_said_and_the_models_own_bytes(corrected: SoftParcellation, tmp_path: Path) -> None:
    plain = corrected.predicted.save(tmp_path / "plain.soft.npz").read_bytes()
    file = corrected.save(tmp_path / "corrected.soft.npz")
    back = SoftParcellation.load(file)
    assert stored_arrays(back) == stored_arrays(corrected)
    for one, other in zip(back.corrections, corrected.corrections, strict=True):
        assert (one.id, one.node_id, one.is_node, one.author, one.time) == (
            other.id,
            other.node_id,
            other.is_node,
            other.author,
            other.time,
        )
        assert (one.conditioned, one.nearest, one.even) == (other.conditioned, other.nearest, other.even)
        np.testing.assert_array_equal(one.voxels, other.voxels)
    assert (back.corrections[0].author, back.corrections[0].time) == ("A B", "2026-01-31T12:00:00Z")
    with np.load(file) as arrays, np.load(tmp_path / "plain.soft.npz") as own:
        for name in ("counts", "leaves", "shares"):
            assert arrays[name].tobytes() == own[name].tobytes()
        assert json.loads(arrays["header"].tobytes())["version"] == 3
    for correction in back.corrections:
        back = back.without(correction)
    assert back.save(tmp_path / "undone.soft.npz").read_bytes() == plain


@patient
@given(case=cases)
def test_save_and_load_is_the_same(case: tuple[int, bool], tmp_path_factory: pytest.TempPathFactory) -> None:
    model = random_parcellation(*case)
    corrected = apply(model, random_corrections(model, case[0]))
    back = SoftParcellation.load(corrected.save(tmp_path_factory.mktemp("saved") / "it.soft.npz"))
    assert stored_arrays(back) == stored_arrays(corrected)
    assert back.corrections == corrected.corrections


def damaged(file: Path, change: Any, **arrays: Any) -> Path:
    with np.load(file) as archive:
        found = {name: archive[name] for name in archive.files} | arrays
    header = json.loads(found["header"].tobytes())
    change(header["corrections"])
    found["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez_compressed(file, **{name: value for name, value in found.items() if value is not None})
    return file


@pytest.mark.parametrize(
    ("change", "arrays", "message"),
    [
        (lambda said: said[1].pop("node"), {}, r"corrections\[1\]: it lacks 'node'"),
        (lambda said: said[0].update(node="nowhere"), {}, r"corrections\[0\]: no node 'nowhere'"),
        (lambda said: said[0].update(node="all", **{"is": False}), {}, "nothing is left beside"),
        (lambda said: said[2].update(time="noon"), {}, r"corrections\[2\], time.*such as 2026"),
        (lambda said: said[2].update(author=3), {}, r"corrections\[2\]: .*expected texts"),
        (lambda said: said[1].update(id=said[0]["id"]), {}, "there twice"),
        (lambda said: said[1].update(runs=-1), {}, "expected a number of runs"),
        (lambda said: said[1].update(runs=10**12), {}, "runs of voxels, got"),
        (lambda said: said.pop(), {}, "the header counts"),
        (lambda said: said.clear(), {}, "the header counts"),
        (lambda _: None, {"correction_gaps": None}, "correction_gaps: is missing"),
        (lambda _: None, {"correction_lengths": np.zeros(3)}, "uint32 or uint64"),
        (lambda _: None, {"correction_lengths": np.ones(3, np.uint32)}, "lengths of runs, got 3"),
        (lambda _: None, {"correction_gaps": np.full(40, 1 << 60, np.uint64)}, "impossible"),
    ],
)
def test_damaged_corrections_are_one_plain_error(
    corrected: SoftParcellation, tmp_path: Path, change: Any, arrays: dict[str, Any], message: str
) -> None:
    file = damaged(corrected.save(tmp_path / "case.soft.npz"), change, **arrays)
    with pytest.raises(InputError, match=message) as caught:
        SoftParcellation.load(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_runs_beyond_the_grid_are_refused(corrected: SoftParcellation, tmp_path: Path) -> None:
    file = corrected.save(tmp_path / "case.soft.npz")
    with np.load(file) as arrays:
        gaps = arrays["correction_gaps"].copy()
    gaps[-1] = 1000
    with pytest.raises(InputError, match="runs of voxels within a grid"):
        SoftParcellation.load(damaged(file, lambda _: None, correction_gaps=gaps))


def test_an_edited_tree_is_followed(corrected: SoftParcellation) -> None:
    renamed = corrected.with_tree(corrected.tree.rename("cortex", "grey", "grey"))
    assert [one.node_id for one in renamed.corrections] == ["grey", "stem", "left"]
    assert stored_arrays(renamed) == stored_arrays(corrected)
    moved = corrected.with_tree(corrected.tree.move("stem", "cortex"))
    only_cortex = block(0, 3) & ~block(2, 4) & ~block(1, 2)
    assert (moved.probability("cortex")[only_cortex] == 1).all()
    assert (moved.probability("stem")[only_cortex] > 0).any()  # "cortex" holds it now, so it may be it
    assert moved.corrections == corrected.corrections


def test_a_merged_node_is_its_target_and_a_removed_one_is_said() -> None:
    model = parcellation()
    stem = model.corrected("stem", block(0, 3))
    folded = LabelTree(
        [
            replace(node, value=9) if node.id == "cortex" else node
            for node in model.tree.nodes
            if node.id not in ("left", "right")
        ]
    )
    left = model.corrected("left", block(0, 3)).with_tree(folded)
    assert [one.node_id for one in left.corrections] == ["cortex"]
    assert (left.probability("cortex")[block(0, 3)] == 1).all()
    with pytest.raises(InputError, match="part of 'cortex' now") as caught:
        model.corrected("left", block(0, 3), is_node=False).with_tree(folded)
    assert "remove the correction" in str(caught.value.hint)
    assert stem.with_tree(folded).corrections == stem.corrections
    one = model.tree.merge(["left", "right"])
    assert [said.node_id for said in model.corrected("right", block(0, 3)).with_tree(one, {2: 1}).corrections] == [
        "left"
    ]
    with pytest.raises(InputError, match="part of 'left' now"):
        model.corrected("left", block(0, 3), is_node=False).with_tree(one, {2: 1})


@patient
@given(case=cases)
def test_another_grid_is_followed(case: tuple[int, bool]) -> None:
    model = random_parcellation(*case)
    corrected = apply(model, random_corrections(model, case[0]))
    k, j, i = model.geometry.shape
    source = np.arange(k * j * i).reshape(k, j, i)[:, ::-1]
    moved = corrected.gathered(source, model.geometry)
    assert len(moved.corrections) == len(corrected.corrections)
    np.testing.assert_array_equal(moved.corrected_voxels, corrected.corrected_voxels[:, ::-1])
    for correction in moved.corrections:
        same = next(other for other in corrected.corrections if other == correction)
        np.testing.assert_array_equal(correction.voxels, same.voxels[:, ::-1])
    own = np.logical_and.reduce([one.nearest == 0 for one in corrected.corrections])
    if own:
        np.testing.assert_array_equal(dense_of(moved), dense_of(corrected)[:, :, ::-1])


def test_what_was_said_outlives_a_mask() -> None:
    corrected = parcellation().corrected("left", block(0, 3))
    cleaned = corrected.masked("brain", np.zeros(SHAPE, bool))
    assert (cleaned.probability("left")[block(0, 3)] == 1).all()
    assert cleaned.probability("brain")[~block(0, 3)].max() == 0
    assert cleaned.predicted.probability("brain").max() == 0


def test_a_corrected_voxel_is_no_outlier(tmp_path: Path) -> None:
    outliers = StoredOutliers.of_volume(np.full(SHAPE, 255, np.uint8), "energy", 0.5, 0.0, 1.0)
    scored = replace(parcellation(), outliers=outliers)
    corrected = scored.corrected("left", block(0, 3))
    for result in (corrected, SoftParcellation.load(corrected.save(tmp_path / "case.soft.npz"))):
        labels = result.labels(3, outliers=True)
        assert (labels[block(0, 3)] == 1).all()
        assert (labels[~block(0, 3)] == 65535).all()
        assert (result.confident_labels(0.9)[block(0, 3)] == 1).all()
        assert result.answer_depth(0.9)[block(0, 3)].min() == 3
        assert result.outliers is not None
        assert result.outliers.degree()[block(0, 3)].max() == 0
        assert (result.predicted.labels(3, outliers=True) == 65535).all()
        assert (result.without(result.corrections[0]).labels(3, outliers=True) == 65535).all()


def test_the_lines_in_the_document_read_what_was_said(corrected: SoftParcellation, tmp_path: Path) -> None:
    document = (Path(__file__).resolve().parents[4] / "docs" / "soft-parcellation.md").read_text(encoding="utf-8")
    model, people = re.findall(r"```python\n(.*?)```", document, re.DOTALL)[:2]
    file = corrected.save(tmp_path / "case.soft.npz")
    space: dict[str, Any] = {}
    exec((model + people).replace("case.soft.npz", file.as_posix()), space)  # noqa: S102
    left = corrected.tree.leaf_slice("left")
    np.testing.assert_array_equal(space["probability"](left.start, left.stop), corrected.predicted.probability("left"))
    names = [node["id"] for node in space["header"]["tree"]["nodes"]]
    expected = np.zeros(SHAPE, int)
    for one in corrected.corrections:
        expected[one.voxels] = (1 + names.index(one.node_id)) * (1 if one.is_node else -1)
    np.testing.assert_array_equal(space["said"](), expected)
