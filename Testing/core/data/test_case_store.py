"""Prepared cases: what is stored, when it is made again, and what happens on cancel and on bad files."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from softseg.data import CaseStore, make_plan
from softseg.errors import CancelledError, InputError
from softseg.events import CancelToken, Events, ListSink
from softseg.image import read_image, reorient

EXACT = {"crop.kind": "none", "normalization": "z-score", "spacing": [1, 1, 1]}


def store_of(make, folder, overrides=EXACT, **load) -> CaseStore:
    dataset = make.load(**load)
    return CaseStore(dataset, make_plan(dataset, memory_gb=8, gpu=False, overrides=overrides), folder)


def test_what_goes_in_comes_out_on_the_plans_grid(make, tmp_path):
    make.head("a", origin=(3, 4, 5), direction=(-1, 0, 0, 0, -1, 0, 0, 0, 1))  # RAI: i runs to right
    store = store_of(make, tmp_path / "cache")
    store.prepare()
    case = store.load("a")
    turned = reorient(read_image(store.dataset.cases[0].labels), "LPS")
    tree = store.dataset.tree
    np.testing.assert_array_equal(tree.to_values(case.labels.largest()), turned.array)
    assert case.geometry.same_grid(turned.geometry)
    assert case.source_geometry.same_grid(read_image(store.dataset.cases[0].labels).geometry)
    assert isinstance(case.image, np.memmap)
    assert not case.image.flags.writeable
    assert case.complete
    assert case.raters == (case.labels,)
    assert sum(case.class_voxels.values()) == turned.array.size
    assert sum(found.stop - found.start for found in case.point_classes.values()) == len(case.points)
    for label, found in case.point_classes.items():
        for point in case.points[found][::50]:
            assert tree.leaves[label].value == turned.array[tuple(point)]


def test_a_crisp_map_becomes_fractions_on_a_coarser_grid(make, tmp_path):
    make.head("a", shape=(20, 20, 20))
    store = store_of(make, tmp_path / "cache", {**EXACT, "spacing": [3, 3, 3]})
    case = store.load("a")
    dense = case.labels.dense()
    assert ((dense > 0.01) & (dense < 0.99)).sum() > 100
    np.testing.assert_allclose(dense.sum(axis=0), 1, atol=1e-3)
    fine = store_of(make, tmp_path / "cache").load("a").labels.dense()
    np.testing.assert_allclose(dense.mean(axis=(1, 2, 3)), fine.mean(axis=(1, 2, 3)), atol=0.02)
    assert (np.diff(case.labels.probabilities, axis=0) <= 0).all()  # largest probability first


def test_cropping_keeps_images_and_labels_together(make, tmp_path):
    make.head("a", shape=(40, 40, 40))
    whole = store_of(make, tmp_path / "cache").load("a")
    cropped = store_of(make, tmp_path / "cache", {**EXACT, "crop.kind": "nonzero", "crop.margin_mm": 2}).load("a")
    assert cropped.geometry.shape == (24, 24, 24)
    inside = (slice(8, 32),) * 3
    np.testing.assert_array_equal(cropped.labels.largest(), whole.labels.largest()[inside])
    np.testing.assert_array_equal(cropped.image[0], whole.image[0][inside])


def test_a_case_is_made_again_only_when_something_changed(make, tmp_path):
    make.head("a")
    folder = tmp_path / "cache"
    store_of(make, folder).prepare()
    first = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    store_of(make, folder).prepare()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == first
    store_of(make, folder, {**EXACT, "spacing": [2, 2, 2]}).prepare()
    assert len(list(folder.iterdir())) == 2
    make.write("a-labels.nii.gz", np.zeros((20, 22, 24), np.uint8))
    store = store_of(make, folder)
    assert set(store.load("a").class_voxels) == {store.dataset.tree.leaf_index("background")}
    assert len(list(folder.iterdir())) == 3


def test_a_damaged_case_is_made_again_once(make, tmp_path):
    make.head("a")
    store_of(make, tmp_path / "cache").prepare()
    (folder,) = (tmp_path / "cache").iterdir()
    names = sorted(path.name for path in folder.iterdir())
    (folder / "image.npy").write_bytes(b"damaged")
    for warned in (True, False):
        sink = ListSink()
        store_of(make, tmp_path / "cache").prepare(Events(sink))
        assert any("prepared again" in str(event.get("text")) for event in sink.events) == warned
        assert sorted(path.name for path in folder.iterdir()) == names


def test_raters_are_joined_or_kept(make, tmp_path):
    make.head("a")
    other = make.write("other.nii.gz", np.zeros((20, 22, 24), np.uint8))
    make.cases[0]["labels"] = [make.cases[0]["labels"], other]
    mean = store_of(make, tmp_path / "cache").load("a")
    assert len(mean.raters) == 1
    white = mean.labels.dense()[make.head_tree().leaf_index("white")]
    assert set(np.unique(white)) == {0, 0.5}
    kept = store_of(make, tmp_path / "cache", {**EXACT, "raters": "random"}).load("a")
    assert len(kept.raters) == 2
    assert {tuple(np.unique(rater.dense()[make.head_tree().leaf_index("white")])) for rater in kept.raters} == {
        (0, 1),
        (0,),
    }
    np.testing.assert_allclose(kept.labels.dense(), mean.labels.dense())  # patches are placed, networks judged by it
    assert kept.class_voxels == mean.class_voxels


def test_a_mask_says_where_labels_count(make, tmp_path):
    make.head("a")
    valid = np.zeros((20, 22, 24), np.uint8)
    valid[:10] = 1
    make.cases[0]["mask"] = make.write("mask.nii.gz", valid)
    case = store_of(make, tmp_path / "cache").load("a")
    np.testing.assert_array_equal(case.mask, valid > 0)
    assert case.points[:, 0].max() < 10


def test_classes_too_small_to_win_a_voxel_still_have_sample_points(make, tmp_path):
    labels = np.zeros((24, 24, 24), np.uint8)
    labels[4:20, 4:20, 4:20] = 3
    labels[12, 12, 12] = 1
    image = np.random.default_rng(0).normal(size=labels.shape).astype(np.float32)
    make.case("a", make.write("a.nii.gz", image), make.write("l.nii.gz", labels))
    store = store_of(make, tmp_path / "cache", {**EXACT, "spacing": [4, 4, 4]})
    case = store.load("a")
    small = store.dataset.tree.leaf_index("grey-left")
    assert not (case.labels.largest() == small).any()
    assert len(case.points[case.point_classes[small]]) >= 1


def test_soft_maps_of_real_data_stay_soft(shared_data, make, tmp_path, resources):
    from softseg.tree import LabelTree

    names = {"grey-matter": "mt_label_template_PAM50_gm", "white-matter": "mt_label_template_PAM50_wm"}
    folder = shared_data / "cord_fixtures"
    make.case("a", str(folder / "mt_mt1.nii.gz"), {node: f"{folder / name}.nii.gz" for node, name in names.items()})
    tree = LabelTree.load(resources / "LabelTrees" / "spinal-cord-grey-matter.json")
    store = store_of(make, tmp_path / "cache", {}, tree=tree)
    assert store.plan.dimensions == 2
    case = store.load("a")
    source = read_image(folder / "mt_label_template_PAM50_gm.nii.gz").array
    grey = case.labels.dense()[tree.leaf_index("grey-matter")]
    assert len(np.unique(grey)) > 50
    np.testing.assert_allclose(grey.sum(), source.sum(), rtol=0.02)


def test_a_case_that_cannot_be_opened_for_want_of_handles_is_not_called_damaged(make, tmp_path, monkeypatch):
    make.head("a")
    store_of(make, tmp_path / "cache").prepare()

    def full(*_args, **_more):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(np, "load", full)
    with pytest.raises(OSError, match="Too many open files"):
        store_of(make, tmp_path / "cache").load("a")


def test_cancelling_leaves_no_half_case(make, tmp_path):
    make.head("a")
    token = CancelToken()

    class Sink(ListSink):
        def write(self, event):
            super().write(event)
            token.cancel()

    with pytest.raises(CancelledError):
        store_of(make, tmp_path / "cache").prepare(Events(Sink(), token))
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())


def test_what_a_killed_preparation_left_is_swept_where_nothing_has_to_be_prepared(make, tmp_path):
    make.head("a")
    store = store_of(make, tmp_path / "cache")
    store.prepare()
    left = tmp_path / "cache" / ".unfinished-left"
    left.mkdir()
    (left / "image.npy").write_bytes(b"voxels")
    (left / "lock").touch()
    store.prepare()
    assert not left.exists()


def test_a_bad_file_is_named_and_nothing_is_left(make, tmp_path):
    make.head("a")
    labels = make.folder / "a-labels.nii.gz"
    store = store_of(make, tmp_path / "cache")
    labels.write_bytes(labels.read_bytes()[: labels.stat().st_size // 2])
    with pytest.raises(InputError, match=r"a-labels\.nii\.gz"):
        store.prepare()
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())
    labels.unlink()
    with pytest.raises(InputError, match="no such file"):
        store.prepare()
