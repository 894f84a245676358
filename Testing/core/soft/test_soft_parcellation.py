"""SoftParcellation: what is stored stays within its bounds, and cuts agree with dense sums."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from softseg.errors import InputError
from softseg.image import Geometry, read_image
from softseg.soft import Slab, SoftLabels, SoftParcellation, keep_largest, resample_dense_slabs, resample_labels
from softseg.soft.encoding import MOST_KEPT
from softseg.tree import LabelTree, Node

Helpers = dict[str, Callable[..., Any]]
BOUND = 0.01


def node_errors(parcellation: SoftParcellation, dense: np.ndarray) -> np.ndarray:
    tree = parcellation.tree
    return np.array(
        [
            np.abs(parcellation.probability(node.id) - dense[tree.leaf_slice(node.id)].sum(axis=0)).max()
            for node in tree.nodes
        ]
    )


@given(
    seed=st.integers(0, 2**32 - 1),
    leaves=st.sampled_from([2, 5, 30, 134, 300]),
    concentration=st.sampled_from([0.01, 0.1, 1.0, 30.0, 1e4]),
    k=st.sampled_from([1, 3, 8]),
    background=st.booleans(),
    claimed=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_every_node_is_within_a_hundredth(
    seed: int, leaves: int, concentration: float, k: int, background: bool, claimed: bool, helpers: Helpers
) -> None:
    tree = helpers["wide_tree"](leaves, background=background)
    random = np.random.default_rng(seed)
    dense = random.dirichlet(np.full(len(tree.leaves), concentration), (2, 3, 4)).transpose(3, 0, 1, 2)
    dense = dense.astype(np.float32)
    if not claimed:
        dense *= random.random((2, 3, 4), np.float32)
    stored = SoftParcellation.from_dense(dense, tree, Geometry((4, 3, 2)), k=k)
    assert node_errors(stored, dense).max() <= stored.node_error + 1e-6
    assert stored.node_error == BOUND or stored.counts.max() > 8
    assert stored.node_error < 0.025
    assert stored.counts.max() <= MOST_KEPT
    assert stored.overflowing == np.count_nonzero(stored.counts > k)
    for level in range(tree.depth + 1):
        total = sum(stored.probability(node.id).astype(np.float64) for node in tree.cut_at(level).nodes)
        np.testing.assert_allclose(total, dense.sum(axis=0) if not claimed else 1, atol=1e-6 if claimed else 0.006)


@pytest.mark.parametrize("tail", [0.0, 0.004, 0.02, 0.5])
def test_where_eight_leaves_are_not_enough_more_are_stored(tail: float, helpers: Helpers) -> None:
    tree = helpers["wide_tree"](40)
    dense = np.zeros((len(tree.leaves), 1, 1, 1), np.float32)
    dense[1:9, 0, 0, 0] = (1 - tail) / 8
    dense[9:, 0, 0, 0] = tail / (len(tree.leaves) - 9)
    stored = SoftParcellation.from_dense(dense, tree, Geometry((1, 1, 1)))
    assert (stored.counts.item() > 8) == (tail > 0.005)
    assert stored.overflowing == int(tail > 0.005)
    assert node_errors(stored, dense).max() <= BOUND


def test_coarse_nodes_do_not_add_up_rounding_errors(helpers: Helpers) -> None:
    tree = helpers["wide_tree"](64)
    dense = np.zeros((len(tree.leaves), 1, 1, 1), np.float32)
    dense[1:] = 1 / (len(tree.leaves) - 1)  # each 4.05 steps: rounded one by one, all of them would sum to 0.99
    stored = SoftParcellation.from_dense(dense, tree, Geometry((1, 1, 1)))
    assert node_errors(stored, dense).max() <= 1.5 / 255 + 1e-6
    assert stored.counts.item() == len(tree.leaves) - 1
    assert stored.node_error == BOUND


@pytest.mark.parametrize("kind", ["uniform", "tail", "noise"])
def test_unsure_models_store_few_leaves_and_say_how_exact_that_is(kind: str, helpers: Helpers, tmp_path: Path) -> None:
    tree = helpers["wide_tree"](134)
    count, grid = len(tree.leaves), Geometry((30, 20, 10))
    random = np.random.default_rng(0)
    dense = np.full((count, *grid.shape), 1 / count, np.float32)
    if kind == "tail":
        dense[:] = 0.03 / (count - 8)
        dense[40:48] = 0.97 / 8
    elif kind == "noise":
        dense = np.exp(random.normal(0, 0.5, dense.shape).astype(np.float32))
        dense /= dense.sum(axis=0)
    stored = SoftParcellation.from_dense(dense, tree, grid)
    errors = node_errors(stored, dense)
    assert errors.max() <= stored.node_error + 1e-6
    assert stored.counts.max() <= MOST_KEPT
    assert (stored.node_error == BOUND) == (kind == "tail")
    assert stored.node_error < 0.025
    back = SoftParcellation.load(stored.save(tmp_path / "flat.soft.npz"))
    assert back.node_error == stored.node_error
    np.testing.assert_allclose(stored.probability("root"), 1)
    assert sum(volume.hard_ml for volume in stored.volumes(1)) == pytest.approx(6.0)


def test_memory_stays_near_what_is_stored(helpers: Helpers) -> None:
    tree = helpers["wide_tree"](134)
    grid = Geometry((100, 80, 60))
    row = np.full((len(tree.leaves), 1, *grid.shape[1:]), 1 / len(tree.leaves), np.float32)
    tracemalloc.start()
    try:
        stored = SoftParcellation.from_slabs((Slab.full(row, k) for k in range(grid.shape[0])), tree, grid)
        arrays = stored.leaves.nbytes + stored.shares.nbytes
        made = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        stored.labels(2)
        stored.volumes()
        stored.masked("half 0", np.zeros(grid.shape, bool))
        read = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert made < 2.2 * arrays + 150e6
    assert read < 2.2 * arrays + 250e6


def test_labels_are_the_argmax_of_summed_probabilities(small_tree: LabelTree) -> None:
    # leaves: background, left, right, putamen, caudate, stem; stem wins as a leaf, cortex as a branch
    dense = np.array([0, 0.3, 0.3, 0, 0, 0.4], np.float32).reshape(6, 1, 1, 1)
    stored = SoftParcellation.from_dense(dense, small_tree, Geometry((1, 1, 1)))
    assert stored.labels(3).item() == 200
    cut = small_tree.cut_at(2)
    assert cut.name_of(stored.labels(cut).item()) == "cortex"
    mixed = small_tree.cut(["background", "cortex", "putamen", "caudate", "stem"])
    assert mixed.name_of(stored.labels(mixed).item()) == "cortex"
    assert stored.labels(0).dtype == np.uint16


def test_cuts_of_a_whole_volume_agree_with_dense_sums(small_tree: LabelTree, helpers: Helpers) -> None:
    grid = Geometry((13, 12, 11), (1.0, 2.0, 0.5))
    dense = helpers["blobs"](6, grid.shape)
    stored = SoftParcellation.from_dense(dense, small_tree, grid)
    assert stored.counts.shape < grid.shape
    for level in range(small_tree.depth + 1):
        cut = small_tree.cut_at(level)
        np.testing.assert_array_equal(stored.box_labels(level), stored.labels(cut)[stored.box])
        sums = np.stack([dense[small_tree.leaf_slice(node.id)].sum(axis=0) for node in cut.nodes])
        best = np.array(cut.values)[sums.argmax(axis=0)]
        clear = (np.sort(sums, axis=0)[-1] - np.sort(sums, axis=0)[-2:][0] > 2 * BOUND) | (len(cut.nodes) == 1)
        assert np.array_equal(stored.labels(cut)[clear], best[clear])
        entropy = -(sums * np.log(np.maximum(sums, 1e-12))).sum(axis=0)
        np.testing.assert_allclose(stored.entropy(level), entropy, atol=0.1)
    assert stored.entropy(3, normalize=True).max() <= 1
    uniform = SoftParcellation.from_dense(np.full((6, 1, 1, 1), 1 / 6, np.float32), small_tree, Geometry((1, 1, 1)))
    assert uniform.entropy(3, normalize=True).item() == pytest.approx(1, abs=1e-3)
    assert uniform.entropy(3).item() == pytest.approx(np.log(6), abs=1e-3)


def test_collapsing_a_collapse_is_collapsing_once_for_crisp_results(small_tree: LabelTree) -> None:
    values = np.random.default_rng(0).choice([0, 3, 7, 11, 12, 200], (4, 5, 6))
    dense = SoftLabels.from_class_indices(small_tree.to_class_indices(values), len(small_tree.nodes)).dense(6)
    stored = SoftParcellation.from_dense(dense, small_tree, Geometry((6, 5, 4)))
    assert np.array_equal(stored.labels(3), values)
    for level in range(3):
        cut = small_tree.cut_at(level)
        assert np.array_equal(stored.labels(cut), small_tree.collapse(values, cut))
        assert np.array_equal(small_tree.collapse(stored.labels(level + 1), cut), stored.labels(level))


def test_volumes_soft_and_hard(small_tree: LabelTree, helpers: Helpers) -> None:
    grid = Geometry((13, 12, 11), (1.0, 2.0, 0.5))
    dense = helpers["blobs"](6, grid.shape)
    stored = SoftParcellation.from_dense(dense, small_tree, grid)
    volumes = stored.volumes()
    assert [volume.id for volume in volumes] == [node.id for node in small_tree.nodes]
    for volume in volumes:
        soft = dense[small_tree.leaf_slice(volume.id)].sum(dtype=float) * grid.voxel_volume_ml
        assert volume.soft_ml == pytest.approx(soft, abs=BOUND * dense[0].size * grid.voxel_volume_ml)
        hard = (stored.labels(volume.depth) == volume.value).sum() * grid.voxel_volume_ml
        assert volume.hard_ml == pytest.approx(hard)
    of_cut = stored.volumes(small_tree.cut_at(2))
    assert sum(volume.hard_ml for volume in of_cut) == pytest.approx(dense[0].size * grid.voxel_volume_ml)
    assert sum(volume.soft_ml for volume in of_cut) == pytest.approx(dense[0].size * grid.voxel_volume_ml)


def test_all_background_stores_nothing(small_tree: LabelTree) -> None:
    dense = np.zeros((6, 2, 3, 4), np.float32)
    dense[0] = 1
    stored = SoftParcellation.from_dense(dense, small_tree, Geometry((4, 3, 2)))
    assert stored.leaves.size == 0
    assert (stored.probability("background") == 1).all()
    assert (stored.probability("head") == 1).all()
    assert (stored.probability("brain") == 0).all()
    assert (stored.labels(3) == 0).all()
    assert (stored.entropy(3) == 0).all()
    assert stored.volumes(1)[0].hard_ml == pytest.approx(0.024)


def test_voxels_that_nobody_claims_are_not_background(small_tree: LabelTree) -> None:
    dense = np.zeros((6, 1, 1, 3), np.float32)
    dense[0, 0, 0, 0] = dense[5, 0, 0, 2] = 1
    stored = SoftParcellation.from_dense(dense, small_tree, Geometry((3, 1, 1)))
    assert stored.probability("head").ravel().tolist() == [1, 0, 1]
    assert stored.probability("background").ravel().tolist() == [1, 0, 0]


def test_slabs_and_dense_give_the_same(small_tree: LabelTree, helpers: Helpers) -> None:
    grid = Geometry((13, 12, 11))
    dense = helpers["blobs"](6, grid.shape)
    once = SoftParcellation.from_dense(dense, small_tree, grid, model="m")
    slabs = resample_dense_slabs(dense, grid, grid, 0, most_values=3000)
    apart = SoftParcellation.from_slabs(slabs, small_tree, grid, model="m")
    assert once.start == apart.start
    for name in ("counts", "leaves"):
        assert np.array_equal(getattr(once, name), getattr(apart, name))
    assert np.abs(once.shares.astype(int) - apart.shares).max() <= 1


def test_bad_slabs_are_refused(small_tree: LabelTree) -> None:
    grid = Geometry((2, 2, 2))
    slab = Slab.full(np.full((6, 1, 2, 2), 1 / 6, np.float32))
    with pytest.raises(ValueError, match="expected a slab within rows 1 to 2, got 0 to 1"):
        SoftParcellation.from_slabs([slab, slab], small_tree, grid)
    with pytest.raises(ValueError, match=r"probabilities in 0..1 that sum to at most 1"):
        SoftParcellation.from_slabs([Slab.full(2 * slab.values)], small_tree, grid)
    with pytest.raises(ValueError, match=r"probabilities in 0..1 that sum to at most 1"):
        SoftParcellation.from_slabs([Slab.full(np.nan * slab.values)], small_tree, grid)
    with pytest.raises(ValueError, match=r"expected shape \(6, 2, 2, 2\), got \(5, 2, 2, 2\)"):
        SoftParcellation.from_dense(np.zeros((5, 2, 2, 2), np.float32), small_tree, grid)


def test_unknown_nodes_and_cuts_of_other_trees_are_refused(small_tree: LabelTree, helpers: Helpers) -> None:
    stored = SoftParcellation.from_dense(np.full((6, 1, 1, 1), 1 / 6, np.float32), small_tree, Geometry((1, 1, 1)))
    with pytest.raises(InputError, match="no node 'brian' in the tree; did you mean 'brain'"):
        stored.probability("brian")
    with pytest.raises(InputError, match="the cut belongs to another tree"):
        stored.labels(helpers["wide_tree"](6).cut_at(1))
    with pytest.raises(InputError, match="expected a level from 0 to 3, got 4"):
        stored.labels(4)


# -- edited trees -----------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(small_tree: LabelTree, helpers: Helpers) -> SoftParcellation:
    grid = Geometry((9, 8, 7))
    return SoftParcellation.from_dense(helpers["blobs"](6, grid.shape), small_tree, grid, model="m")


def test_renamed_moved_and_added_leaves(stored: SoftParcellation, small_tree: LabelTree) -> None:
    tree = small_tree.rename("left", "gauche").move("stem", "nuclei").add(Node("tail", "tail", "brain", value=99))
    out = stored.with_tree(tree)
    assert out.tree == tree
    assert out.model == "m"
    for node in ("background", "left", "right", "putamen", "stem", "brain"):
        assert np.array_equal(out.probability(node), stored.probability(node))
    sums = stored.probability("nuclei") + stored.probability("stem")
    np.testing.assert_allclose(out.probability("nuclei"), sums, atol=1e-6)
    assert (out.probability("tail") == 0).all()
    assert np.array_equal(out.with_tree(small_tree).shares, stored.shares)


def test_merged_leaves(stored: SoftParcellation, small_tree: LabelTree) -> None:
    tree = small_tree.merge(["left", "right"], name="both")
    out = stored.with_tree(tree, merged={3: 7})
    assert np.array_equal(out.probability("left"), stored.probability("cortex"))
    with pytest.raises(InputError, match="leaf 'right': label value 3 is no longer a leaf of the tree"):
        stored.with_tree(tree)


def test_folded_branches_need_no_help(stored: SoftParcellation, small_tree: LabelTree) -> None:
    tree = small_tree.cut(["background", "cortex", "putamen", "caudate", "stem"]).to_tree()
    out = stored.with_tree(tree)
    assert np.array_equal(out.probability("cortex"), stored.probability("cortex"))
    assert np.array_equal(out.labels(2), stored.with_tree(tree).labels(2))


def test_splits_removals_and_lost_backgrounds_are_refused(stored: SoftParcellation, small_tree: LabelTree) -> None:
    split = small_tree.split("stem", [Node("pons", "pons", "stem"), Node("medulla", "medulla", "stem")])
    with pytest.raises(InputError, match="leaf 'stem': label value 200 was split, and a stored probability cannot be"):
        stored.with_tree(split)
    with pytest.raises(InputError, match="leaf 'stem': label value 200 is no longer a leaf"):
        stored.with_tree(small_tree.remove("stem"))
    with pytest.raises(InputError, match="the edited tree has no background"):
        stored.with_tree(small_tree.remove("background"))


def test_masking_a_node_gives_its_probability_to_the_background(stored: SoftParcellation) -> None:
    keep = keep_largest(stored.probability("cortex")) > 0
    out = stored.masked("cortex", keep)
    before, after = stored.probability("cortex"), out.probability("cortex")
    assert np.array_equal(after[keep], before[keep])
    assert (after[~keep] == 0).all()
    assert np.array_equal(out.probability("stem"), stored.probability("stem"))
    np.testing.assert_allclose(
        out.probability("background"), stored.probability("background") + (before - after), atol=1e-6
    )
    assert np.unique(after).size > 2
    with pytest.raises(InputError, match="node 'head': expected a node without the background"):
        stored.masked("head", keep)
    with pytest.raises(ValueError, match="expected a mask of shape"):
        stored.masked("stem", keep[1:])


# -- real data --------------------------------------------------------------------------------------------------------


def test_a_real_brain_at_every_level(shared_data: Path, resources: Path) -> None:
    tree = LabelTree.load(resources / "LabelTrees" / "brain-134.json")
    image = read_image(shared_data / "brain" / "labels" / "1000.nii.gz")
    coarse = Geometry.of(sitk.DICOMOrient(image.to_sitk(), "LPS")).resampled((4.0, 4.0, 4.0))
    target = image.geometry.resampled((3.0, 3.0, 3.0))
    labels = SoftLabels.from_class_indices(tree.to_class_indices(image.array), len(tree.nodes))
    dense = resample_labels(labels, image.geometry, coarse, k=20).dense(len(tree.leaves))
    background = tree.leaf_index("background")
    slabs = list(resample_dense_slabs(dense, coarse, target, background))
    stored = SoftParcellation.from_slabs(slabs, tree, target)
    truth = np.concatenate([slab.dense(len(tree.leaves), target.shape, background) for slab in slabs], axis=1)
    assert node_errors(stored, truth).max() <= BOUND
    assert stored.counts.mean() < 6
    before = {volume.id: volume.soft_ml for volume in stored.volumes(3)}
    for node in tree.cut_at(3).nodes[1:]:
        values = [leaf.value for leaf in tree.leaves_under(node.id)]
        assert before[node.id] == pytest.approx(np.isin(image.array, values).sum() / 1000, rel=0.03)
