"""Patches: pure in seed and step, true to the labels, never thresholded, left and right swapped rightly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from softseg.data import AugmentationSpec, CaseStore, PatchSampler, make_plan
from softseg.data.mirrored import mirrored_classes
from softseg.data.spatial import Corners, add_label_patch, random_grid, read_image_patch
from softseg.types import IGNORE_INDEX

STRONG = AugmentationSpec(
    **{name: 1.0 for name in AugmentationSpec.model_fields if name.endswith("_probability")}
    | {"mirror_probability": 0.5}
)
ONLY_MIRROR = AugmentationSpec.none().model_copy(update={"mirror_probability": 1.0})
SMALL = {"patch_size": [16, 16, 16], "spacing": [1, 1, 1], "crop.kind": "none"}
FLAT = {"dimensions": 2, "patch_size": [16, 16], "batch_size": 6, "spacing": [None, 1, 1]}


def store_of(make, tmp_path, overrides=SMALL, tree=None) -> CaseStore:
    dataset = make.load(tree)
    return CaseStore(dataset, make_plan(dataset, memory_gb=8, gpu=False, overrides=overrides), tmp_path / "cache")


def sampler_of(store, targets="soft", augmentation=None, seed=0) -> PatchSampler:
    return PatchSampler(store, [case.id for case in store.dataset.cases], store.plan, targets, augmentation, seed)


def assert_same(one, other):
    assert torch.equal(one.image, other.image)
    assert torch.equal(one.target, other.target)
    assert (one.mask is None) == (other.mask is None)
    assert one.mask is None or torch.equal(one.mask, other.mask)


@pytest.mark.parametrize("overrides", [SMALL, FLAT], ids=["3d", "2d"])
@pytest.mark.parametrize("targets", ["soft", "crisp"])
def test_a_batch_depends_on_seed_and_step_alone(make, tmp_path, overrides, targets):
    make.head("a")
    make.head("b")
    store = store_of(make, tmp_path, overrides)
    one = sampler_of(store, targets, STRONG)
    kept = [one.batch(step) for step in (0, 1, 7)]
    again = sampler_of(store_of(make, tmp_path, overrides), targets, STRONG)
    assert_same(again.batch(7), kept[2])
    assert_same(again.batch(0), kept[0])
    assert not torch.equal(kept[0].image, kept[1].image)
    assert not torch.equal(sampler_of(store, targets, STRONG, seed=1).batch(0).image, kept[0].image)
    for prefetch in (1, 4):
        ahead = again.batches(0, prefetch)
        found = [next(ahead) for _ in range(2)]
        ahead.close()
        assert [step for step, _ in found] == [0, 1]
        assert_same(found[1][1], kept[1])


def test_a_batch_that_is_held_is_not_written_over(make, tmp_path):
    make.head("a")
    sampler = sampler_of(store_of(make, tmp_path))
    first = sampler.batch(0)
    copy = first.target.clone()
    for step in range(1, 5):
        sampler.batch(step)
    assert torch.equal(first.target, copy)


def test_errors_in_the_thread_reach_the_caller(make, tmp_path):
    make.head("a")
    sampler = sampler_of(store_of(make, tmp_path))
    sampler._item = lambda *_: (_ for _ in ()).throw(RuntimeError("lost disk"))
    with pytest.raises(RuntimeError, match="lost disk"):
        next(sampler.batches())


@pytest.mark.parametrize("overrides", [SMALL, FLAT], ids=["3d", "2d"])
def test_shapes_and_types(make, tmp_path, overrides):
    make.head("a")
    store = store_of(make, tmp_path, overrides)
    size, patch = store.plan.batch_size, tuple(store.plan.patch_size)
    soft = sampler_of(store, "soft", STRONG).batch(3)
    assert soft.image.shape == (size, 1, *patch)
    assert soft.image.dtype == soft.target.dtype == torch.float32
    assert soft.target.shape == (size, 4, *patch)
    crisp = sampler_of(store, "crisp", STRONG).batch(3)
    assert crisp.target.shape == (size, 1, *patch)
    assert crisp.target.dtype == torch.int64
    assert torch.equal(crisp.image, soft.image)


@pytest.mark.parametrize("overrides", [SMALL, FLAT], ids=["3d", "2d"])
def test_targets_stay_distributions_and_are_not_thresholded(make, tmp_path, overrides):
    make.head("a")
    store = store_of(make, tmp_path, overrides)
    sampler = sampler_of(store, "soft", STRONG)
    between = 0
    for step in range(4):
        batch = sampler.batch(step)
        total = batch.target.sum(dim=1, keepdim=True)
        mask = torch.ones_like(total, dtype=torch.bool) if batch.mask is None else batch.mask
        assert batch.target.min() >= 0
        torch.testing.assert_close(total[mask], torch.ones_like(total[mask]), atol=2e-3, rtol=0)
        assert not total[~mask].any()
        between += int(((batch.target > 0.01) & (batch.target < 0.99)).sum())
    assert between > 500


def test_without_changes_patches_are_cut_out_as_they_are(make, tmp_path):
    make.head("a")
    store = store_of(make, tmp_path)
    case = store.load("a")
    batch = sampler_of(store, "crisp").batch(5)
    patch, target = batch.image[0, 0].numpy(), batch.target[0, 0].numpy()
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(case.image[0]), (16, 16, 16))
    places = np.argwhere((windows == patch).all(axis=(3, 4, 5)))
    assert len(places) == 1
    k, j, i = places[0]
    np.testing.assert_array_equal(target, case.labels.largest()[k : k + 16, j : j + 16, i : i + 16])


@pytest.mark.parametrize("shape", [(12, 14, 16), (1, 14, 16)], ids=["3d", "2d"])
def test_images_and_labels_are_interpolated_as_scipy_does(make, tmp_path, shape):
    make.head("a", shape=(24, 26, 28))
    case = store_of(make, tmp_path, {**SMALL, "spacing": [1.5, 1.5, 1.5]}).load("a")
    spec = STRONG.model_copy(update={"scale": (0.7, 0.8)})
    centre = np.array([8.0, 8.5, 9.0])
    for seed in range(3):
        grid = random_grid(centre, shape, (1.5, 1.5, 1.5), 2, spec, np.random.default_rng(seed))
        corners = Corners.of(grid, case.geometry.shape)
        points = np.stack([axis.expand(int(np.prod(shape))).numpy() for axis in grid.coordinates])
        size = np.asarray(case.geometry.shape)[:, None]
        inside = ((points >= -0.5) & (points <= size - 0.5)).all(axis=0)
        clipped = np.clip(points, 0, size - 1)
        expected = map_coordinates(np.asarray(case.image[0]), clipped, order=1)
        np.testing.assert_allclose(read_image_patch(case.image, corners)[0], expected, atol=1e-4)
        dense = case.labels.dense(4)
        out = torch.zeros(4, points.shape[1])
        add_label_patch(case.labels, corners, torch.arange(case.labels.classes).clamp(max=3), out)
        for leaf in range(4):
            probability = map_coordinates(dense[leaf], clipped, order=1) * inside
            np.testing.assert_allclose(out[leaf], probability, atol=1e-5)


def test_crisp_targets_are_the_largest_probability(make, tmp_path):
    make.head("a")
    store = store_of(make, tmp_path, {**SMALL, "spacing": [1.7, 1.7, 1.7]})
    soft, crisp = (sampler_of(store, targets, STRONG).batch(2) for targets in ("soft", "crisp"))
    known = crisp.target[:, 0] >= 0
    top = soft.target.topk(2, dim=1).values
    clear = known & (top[:, 0] - top[:, 1] > 1e-5)
    assert torch.equal(soft.target.argmax(dim=1)[clear], crisp.target[:, 0][clear])
    assert (crisp.mask is None) == bool(known.all())


def test_mirroring_swaps_left_and_right_in_space_and_by_name(make, tmp_path):
    make.head("a")
    store = store_of(make, tmp_path)
    plain, mirrored = (sampler_of(store, "crisp", spec).batch(4) for spec in (None, ONLY_MIRROR))
    tree = store.dataset.tree
    left, right = tree.leaf_index("grey-left"), tree.leaf_index("grey-right")
    assert store.plan.left_right_axis == 2
    expected = plain.target.flip(-1).clone()
    swapped = torch.where(expected == left, right, torch.where(expected == right, left, expected))
    torch.testing.assert_close(mirrored.image, plain.image.flip(-1))
    assert torch.equal(mirrored.target, swapped)
    assert (plain.target == left).any() or (plain.target == right).any()


def test_the_sagittal_slices_of_a_2d_plan_are_not_mirrored(make, tmp_path):
    make.head("a")
    store = store_of(make, tmp_path, {**FLAT, "orientation": "PSL"})
    assert store.plan.left_right_axis == 0
    assert_same(sampler_of(store, "soft", ONLY_MIRROR).batch(1), sampler_of(store).batch(1))


def test_inner_nodes_follow_their_leaves(resources):
    from softseg.tree import LabelTree

    tree = LabelTree.load(resources / "LabelTrees" / "brain-134-side-first.json")
    swap = mirrored_classes(tree)
    np.testing.assert_array_equal(np.sort(swap[: len(tree.leaves)]), np.arange(len(tree.leaves)))
    assert (swap[swap[: len(tree.leaves)]] == np.arange(len(tree.leaves))).all()
    assert swap[tree.class_index(tree.root.id)] == tree.class_index(tree.root.id)
    sides = [n for n in tree.inner_nodes if swap[tree.class_index(n.id)] != tree.class_index(n.id)]
    assert sides
    for node in sides:
        image = tree.class_nodes[swap[tree.class_index(node.id)]]
        assert {"left", "right"} & set(node.name.lower().split()) != {"left", "right"} & set(image.name.lower().split())


def test_coarse_labels_are_kept_crisp_and_left_out_soft(make, tmp_path):
    make.head("a")
    labels = make.head_labels((20, 22, 24))
    labels[labels == 1] = 9
    make.write("a-labels.nii.gz", labels)
    store = store_of(make, tmp_path)
    tree = store.dataset.tree
    crisp, soft = (sampler_of(store, targets).batch(0) for targets in ("crisp", "soft"))
    coarse = crisp.target == tree.class_index("grey")
    assert coarse.any()
    assert crisp.mask is None
    assert torch.equal(soft.mask, ~coarse)
    assert torch.equal(soft.coarse, torch.where(coarse, crisp.target, IGNORE_INDEX))
    assert crisp.coarse is None


def test_where_groups_mix_with_others_a_soft_target_says_nothing(make, tmp_path):
    make.head("a")
    labels = make.head_labels((20, 22, 24))
    labels[labels == 1] = 9
    make.write("a-labels.nii.gz", labels)
    store = store_of(make, tmp_path, {**SMALL, "spacing": [1.7, 1.7, 1.7]})
    batch, dense = sampler_of(store, "soft").batch(0), store.load("a").labels.dense()
    node = store.dataset.tree.class_index("grey")
    assert set(batch.coarse.unique().tolist()) == {-1, node}
    assert ((dense[node] > 0.01) & (dense[node] < 0.99)).any()
    silent = ~batch.mask & (batch.coarse < 0)
    assert silent.any()
    assert not (batch.mask & (batch.coarse >= 0)).any()
    assert not batch.target.sum(1, keepdim=True)[~batch.mask].any()


def test_outside_the_mask_nothing_counts(make, tmp_path):
    make.head("a")
    valid = np.zeros((20, 22, 24), np.uint8)
    valid[:, :, 12:] = 1
    make.cases[0]["mask"] = make.write("mask.nii.gz", valid)
    store = store_of(make, tmp_path)
    batch = sampler_of(store).batch(0)
    case = store.load("a")
    assert batch.mask.any()
    assert not batch.mask.all()
    outside = np.asarray(case.image[0])[:, :, :11]
    for value in batch.image[batch.mask].numpy()[:50]:
        assert value not in outside or value == case.image.min()


def test_without_background_zero_is_unlabelled(make, tmp_path):
    make.head("a")
    store = store_of(make, tmp_path, tree=make.head_tree().remove("background"))
    crisp, soft = (sampler_of(store, targets).batch(0) for targets in ("crisp", "soft"))
    unlabelled = crisp.target == IGNORE_INDEX
    assert unlabelled.any()
    assert torch.equal(soft.mask, ~unlabelled)
    assert torch.equal(crisp.mask, ~unlabelled)


def test_patches_larger_than_the_image_are_background_where_it_was_cropped_and_unknown_else(make, tmp_path):
    make.head("a", shape=(12, 12, 12))
    known = sampler_of(store_of(make, tmp_path, {**SMALL, "crop.kind": "nonzero"})).batch(0)
    assert known.mask is None
    unknown = sampler_of(store_of(make, tmp_path, SMALL)).batch(0)
    assert not unknown.mask.all()
    assert unknown.mask[0].sum() == 12**3


def test_rare_classes_are_seen_often(make, tmp_path):
    for name in "abc":
        make.head(name, shape=(40, 40, 40))
    labels = make.head_labels((40, 40, 40))
    labels[labels == 1] = 3
    for name in "ab":
        make.write(f"{name}-labels.nii.gz", labels)
    labels[38:, 38:, 38:] = 1
    make.write("c-labels.nii.gz", labels)
    store = store_of(make, tmp_path, {**SMALL, "batch_size": 10, "patch_size": [8, 8, 8]})
    sampler = sampler_of(store, "crisp")
    rare = store.dataset.tree.leaf_index("grey-left")
    shown = [(sampler.batch(step).target == rare).flatten(1).any(dim=1).float().mean() for step in range(8)]
    assert 0.05 < np.mean(shown) < 0.3  # 8 of 192,000 voxels; a third of the balanced 0.4


def test_a_rater_is_drawn_per_patch(make, tmp_path):
    make.head("a")
    make.cases[0]["labels"] = [make.cases[0]["labels"], make.write("other.nii.gz", np.zeros((20, 22, 24), np.uint8))]
    store = store_of(make, tmp_path, {**SMALL, "raters": "random", "batch_size": 8, "sampling.foreground": 0.6})
    shown = (
        (sampler_of(store, "crisp").batch(0).target != store.dataset.tree.leaf_index("background")).flatten(1).any(1)
    )
    assert 0 < shown.sum() < 8


def test_no_case_is_an_error(make, tmp_path):
    make.head("a")
    store = store_of(make, tmp_path)
    with pytest.raises(ValueError, match="at least one case"):
        PatchSampler(store, [], store.plan)
