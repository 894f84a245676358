"""A few scribbles: none is lost on another grid, and what is not painted is neither drawn nor background."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from softseg.data import AugmentationSpec, CaseStore, PatchSampler, make_plan
from softseg.data.labelled import painted_part
from softseg.errors import InputError
from softseg.events import Events, ListSink
from softseg.image import Geometry
from softseg.losses import build_loss
from softseg.soft.labels import SoftLabels
from softseg.soft.resample import resample_labels
from softseg.tree import LabelTree
from softseg.types import IGNORE_INDEX

STRONG = AugmentationSpec(
    **{name: 1.0 for name in AugmentationSpec.model_fields if name.endswith("_probability")}
    | {"mirror_probability": 0.5}
)
COARSE = {"spacing": [2, 2, 2], "patch_size": [8, 8, 8], "batch_size": 6, "crop.kind": "none"}


def store_of(make, tmp_path, tree, overrides=COARSE) -> CaseStore:
    dataset = make.load(tree)
    return CaseStore(dataset, make_plan(dataset, memory_gb=8, gpu=False, overrides=overrides), tmp_path / "cache")


def sampler_of(store, targets="crisp", augmentation=None) -> PatchSampler:
    return PatchSampler(store, [case.id for case in store.dataset.cases], store.plan, targets, augmentation)


def paint(make, name: str, labels: np.ndarray, **more) -> None:
    """A case with these labels; its image is noise without a single zero."""
    image = np.random.default_rng(len(make.cases)).normal(100, 10, labels.shape).astype(np.float32)
    spacing = more.pop("spacing", (1.0, 1.0, 1.0))
    files = (
        make.write(f"{name}.nii.gz", image, spacing=spacing),
        make.write(f"{name}-l.nii.gz", labels, spacing=spacing),
    )
    make.case(name, *files, **more)


@pytest.fixture
def bare(make) -> LabelTree:
    return make.head_tree().remove("background")


@pytest.fixture
def brain(resources) -> LabelTree:
    tree = LabelTree.load(resources / "LabelTrees" / "brain-134.json")
    return tree.remove(tree.background.id)


@pytest.mark.parametrize("spacing", [[2, 2, 2], [1.5, 1.5, 1.5], [3, 1, 2.2], [0.8, 0.8, 0.8]])
def test_no_scribble_of_a_single_voxel_is_lost_on_another_grid(make, tmp_path, brain, spacing):
    generator = np.random.default_rng(3)
    shape = (30, 34, 38)
    labels = np.zeros(shape, np.uint8)
    inner = np.ravel_multi_index(np.indices(tuple(size - 4 for size in shape)).reshape(3, -1) + 2, shape)
    places = generator.choice(inner, 2 * len(brain.leaves), replace=False)
    labels.flat[places] = np.tile([leaf.value for leaf in brain.leaves], 2)
    paint(make, "a", labels)
    case = store_of(make, tmp_path, brain, {**COARSE, "spacing": spacing}).load("a")
    dense = case.labels.dense(len(brain.leaves))
    assert set(np.flatnonzero(dense.any(axis=(1, 2, 3)))) == set(range(len(brain.leaves)))
    side, first = np.asarray(case.geometry.spacing_kji), np.asarray(case.geometry.origin[::-1])
    for place, leaf in zip(places, np.tile(np.arange(len(brain.leaves)), 2), strict=True):
        k, j, i = np.floor((np.asarray(np.unravel_index(place, shape)) - first) / side + 0.5).astype(int)
        assert dense[leaf, k, j, i] > 0
    total = dense.sum(axis=0)
    np.testing.assert_allclose(total[total > 0], 1, atol=1e-5)


def test_the_old_rule_would_lose_nearly_all_of_them(brain):
    labels = np.full((30, 30, 30), IGNORE_INDEX)
    places = np.random.default_rng(0).choice(labels.size, len(brain.leaves), replace=False)
    labels.flat[places] = np.arange(len(brain.leaves))
    fine = SoftLabels.from_class_indices(labels, len(brain.nodes))
    coarse = resample_labels(fine, Geometry((30,) * 3), Geometry((15,) * 3, (2.0,) * 3, (0.5,) * 3))
    kept = [int((painted_part(coarse, least).volumes() > 0).sum()) for least in (0.5, 0.124 / 8)]
    assert kept[0] < 5
    assert kept[1] == len(brain.leaves)


def test_the_target_is_the_painted_parts_distribution(make, tmp_path, bare):
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[2, 2, 2], labels[3, 2, 2], labels[3, 3, 2] = 1, 3, 3  # one voxel of 2 mm: three of its eight are painted
    paint(make, "a", labels)
    case = store_of(make, tmp_path, bare).load("a")
    dense = case.labels.dense(3)
    expected = np.zeros_like(dense)
    expected[bare.leaf_index("grey-left"), 1, 1, 1], expected[bare.leaf_index("white"), 1, 1, 1] = 1 / 3, 2 / 3
    np.testing.assert_allclose(dense, expected, atol=1e-6)


@pytest.mark.parametrize("targets", ["soft", "crisp"])
def test_every_patch_holds_a_scribble_and_nothing_but_scribbles_counts(make, tmp_path, bare, targets):
    labels = np.zeros((60, 60, 60), np.uint8)
    labels[50, 50, 50] = 1
    labels[10:14, 10, 10] = 3
    paint(make, "a", labels)
    paint(make, "empty", np.zeros_like(labels))
    store = store_of(make, tmp_path, bare)
    store.plan = store.plan.with_overrides({"sampling": {"foreground": 0.3, "balanced": 0.3}})
    sampler = sampler_of(store, targets)
    for step in range(4):
        batch = sampler.batch(step)
        assert batch.mask.flatten(1).any(dim=1).all()
        assert batch.mask.sum() < 0.1 * batch.mask.numel()
        if targets == "soft":
            total = batch.target.sum(1, keepdim=True)
            torch.testing.assert_close(total, batch.mask.float(), atol=1e-5, rtol=0)
        else:
            assert torch.equal(batch.target >= 0, batch.mask)


def test_patches_beyond_the_image_and_the_box_of_non_zero_voxels_bring_no_background(make, tmp_path, bare):
    labels = make.head_labels((20, 20, 20))
    make.head("a", shape=(20, 20, 20))
    labels[labels != 3] = 0
    make.write("a-labels.nii.gz", labels)
    overrides = {**COARSE, "patch_size": [24, 24, 24], "crop.kind": "nonzero", "batch_size": 2}
    batch = sampler_of(store_of(make, tmp_path, bare, overrides), "soft", STRONG).batch(0)
    assert set(batch.target.amax(dim=(0, 2, 3, 4)).nonzero().flatten().tolist()) == {bare.leaf_index("white")}
    assert not batch.mask.all()


def test_a_value_of_its_own_for_unlabelled_voxels(make, tmp_path):
    labels = np.full((20, 20, 20), 255, np.uint8)
    labels[4, 4, 4], labels[12, 12, 12], labels[16, 4, 4] = 0, 3, 9
    paint(make, "a", labels, unlabelled=255)
    tree = make.head_tree()
    store = store_of(make, tmp_path, tree)
    case = store.load("a")
    assert case.class_voxels == {tree.class_index(name): 1 for name in ("background", "white", "grey")} | {}
    assert case.scribbles
    batch = sampler_of(store).batch(0)
    assert batch.mask.flatten(1).any(dim=1).all()
    assert set(batch.target.unique().tolist()) <= {-1, *case.class_voxels}


def test_a_value_for_unlabelled_voxels_of_all_cases_and_of_one(make):
    paint(make, "a", np.zeros((8, 8, 8), np.uint8))
    paint(make, "b", np.zeros((8, 8, 8), np.uint8), unlabelled=0)
    path = make.save()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"unlabelled": 77}))
    from softseg.data import Dataset

    assert [case.unlabelled for case in Dataset.load(path).cases] == [77, 0]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"unlabelled": 9}))
    with pytest.raises(InputError, match=r"DATA\.json.*unlabelled.*9 is the value of 'grey'"):
        Dataset.load(path)


def test_a_zero_that_means_unlabelled_is_not_background(make, tmp_path):
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[4, 4, 4] = 3
    paint(make, "a", labels, unlabelled=0)
    assert set(store_of(make, tmp_path, None).load("a").class_voxels) == {make.head_tree().class_index("white")}


def test_scribbles_outside_the_crop_are_counted(make, tmp_path, bare):
    labels = make.head_labels((20, 20, 20))
    make.head("a", shape=(20, 20, 20))
    labels[0, 0, :4] = 1
    make.write("a-labels.nii.gz", labels)
    sink = ListSink()
    overrides = {**COARSE, "crop": {"kind": "nonzero", "margin_mm": 0}}
    store_of(make, tmp_path, bare, overrides).prepare(Events(sink))
    warnings = [event["text"] for event in sink.events if event["event"] == "warning"]
    assert len(warnings) == 1
    assert f"case a: 4 of {np.count_nonzero(labels)} labelled voxels lie outside" in warnings[0]


def test_without_any_label_there_is_nothing_to_draw(make, tmp_path, bare):
    paint(make, "a", np.zeros((20, 20, 20), np.uint8))
    with pytest.raises(InputError, match="no case has a labelled voxel"):
        sampler_of(store_of(make, tmp_path, bare))


@pytest.mark.parametrize("name", ["cross-entropy", "dice", "wasserstein-cross-entropy", "tree-cross-entropy"])
def test_a_batch_without_labels_is_a_differentiable_zero(bare, name):
    loss = build_loss([{"name": name}], bare)
    logits = torch.randn(1, 3, 4, 4, 4, requires_grad=True)
    value = loss(logits, torch.full((1, 1, 4, 4, 4), IGNORE_INDEX), torch.zeros(1, 1, 4, 4, 4, dtype=torch.bool))
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()
