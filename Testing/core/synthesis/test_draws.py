"""Images made up from label maps, and what is learned from them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from softseg.data.plan import Normalization, Plan
from softseg.errors import InputError
from softseg.synthesis.acquisition import coarser
from softseg.synthesis.contrast import class_intensities
from softseg.synthesis.draw import Draw, draw_head
from softseg.synthesis.learned import Learned
from softseg.synthesis.maps import LabelMap
from softseg.synthesis.settings import SynthesisSpec
from softseg.synthesis.shape import fractions, positions, random_matrix, sampled_classes
from softseg.tree import LabelTree

PAINTED = LabelTree.from_json(
    {
        "schema": "softseg-label-tree",
        "version": 1,
        "name": "painted",
        "nodes": [
            {"id": "all", "name": "all", "parent": None},
            {"id": "background", "name": "background", "parent": "all", "value": 0},
            {"id": "tissue", "name": "tissue", "parent": "all"},
            {"id": "grey-left", "name": "left grey", "parent": "tissue"},
            {"id": "cortex-left", "name": "left cortex", "parent": "grey-left", "value": 1},
            {"id": "lesion-left", "name": "left lesion", "parent": "grey-left", "value": 5},
            {"id": "grey-right", "name": "right grey", "parent": "tissue"},
            {"id": "cortex-right", "name": "right cortex", "parent": "grey-right", "value": 2},
            {"id": "lesion-right", "name": "right lesion", "parent": "grey-right", "value": 6},
            {"id": "skin", "name": "skin", "parent": "all", "value": 3},
        ],
    }
)
TAUGHT = LabelTree.from_json(
    {
        "schema": "softseg-label-tree",
        "version": 1,
        "name": "taught",
        "nodes": [
            {"id": "all", "name": "all", "parent": None},
            {"id": "background", "name": "background", "parent": "all", "value": 0},
            {"id": "grey-left", "name": "left grey", "parent": "all", "value": 1},
            {"id": "grey-right", "name": "right grey", "parent": "all", "value": 2},
        ],
    }
)
STILL = {
    "rotation_degrees": 0.0,
    "scale": (1.0, 1.0),
    "shear": 0.0,
    "elastic_mm": 0.0,
    "shift_mm": 0.0,
    "spread": 0.0,
    "bias_field": 0.0,
    "gamma": 0.0,
    "noise": 0.0,
    "thickness_mm": 0.1,
    "resolution_mm": 0.1,
    "stripped": 0.0,
    "cropped": 0.0,
    "defaced": 0.0,
    "cut": 0.0,
}


def plan(side: int = 8, spacing: float = 2.0) -> Plan:
    return Plan(
        dimensions=3,
        channels=("image",),
        orientation="LPS",
        spacing=(spacing,) * 3,
        patch_size=(side,) * 3,
        batch_size=1,
        normalization={"image": Normalization(kind="percentile", lower=0.0, upper=100.0)},
    )


def head(seed: int = 0, size: int = 16) -> LabelMap:
    """A skin with two halves of random lesions in it, left at large i."""
    generator = np.random.default_rng(seed)
    classes = np.full((size,) * 3, PAINTED.leaf_index("skin"), np.uint8)
    inner = slice(3, size - 3)
    half = size // 2
    for place, side in ((slice(half, size - 3), "left"), (slice(3, half), "right")):
        names = [PAINTED.leaf_index(f"{kind}-{side}") for kind in ("cortex", "lesion")]
        shape = classes[inner, inner, place].shape
        classes[inner, inner, place] = generator.choice(names, shape)
    classes[0] = PAINTED.leaf_index("background")
    middle = (size - 1) / 2
    return LabelMap(classes, (1.0, 1.0, 1.0), (middle, middle, middle))


def drawn(spec: SynthesisSpec, seed: int = 0, label_map: LabelMap | None = None) -> Draw:
    learned = Learned.of(PAINTED, TAUGHT)
    return draw_head(label_map or head(), learned, plan(), spec, np.random.default_rng(seed))


def block_mean(array: npt.NDArray[np.bool_], by: int) -> npt.NDArray[np.float64]:
    k, j, i = (size // by for size in array.shape)
    return array.reshape(k, by, j, by, i, by).mean(axis=(1, 3, 5))


def test_leaves_below_a_learned_leaf_are_learned_as_it_and_others_as_background() -> None:
    learned = Learned.of(PAINTED, TAUGHT)
    names = {leaf.id: TAUGHT.leaves[learned.row_of[n]].id for n, leaf in enumerate(PAINTED.leaves)}
    assert names["lesion-left"] == names["cortex-left"] == "grey-left"
    assert names["skin"] == names["background"] == "background"


def test_a_learned_leaf_that_nothing_is_painted_as_is_refused() -> None:
    with pytest.raises(InputError, match="no class of the tree 'taught' is learned as 'cortex-left'"):
        Learned.of(TAUGHT, PAINTED)


@pytest.mark.parametrize("seed", range(3))
def test_fractions_at_half_the_resolution_are_block_means_of_the_labels(seed: int) -> None:
    label_map = head(seed)
    target = drawn(SynthesisSpec(**STILL, mirror=0.0), label_map=label_map).target.numpy()
    for leaf in ("grey-left", "grey-right"):
        painted = [PAINTED.leaf_index(f"{kind}-{leaf[5:]}") for kind in ("cortex", "lesion")]
        expected = block_mean(np.isin(label_map.classes, painted), 2)
        np.testing.assert_allclose(target[TAUGHT.leaf_index(leaf)], expected, atol=1e-6)


def test_a_mirrored_draw_swaps_sides_in_place_and_in_name() -> None:
    label_map = head()
    plain = drawn(SynthesisSpec(**STILL, mirror=0.0), label_map=label_map).target
    turned = drawn(SynthesisSpec(**STILL, mirror=1.0), label_map=label_map)
    left, right = TAUGHT.leaf_index("grey-left"), TAUGHT.leaf_index("grey-right")
    assert turned.mirrored
    torch.testing.assert_close(turned.target[left], plain[right].flip(2))
    torch.testing.assert_close(turned.target[right], plain[left].flip(2))
    assert turned.target[left, :, :, :4].sum() == 0  # left stays where left is


def test_the_picture_is_the_mean_intensity_of_what_lies_in_each_voxel() -> None:
    label_map = head()
    one = drawn(SynthesisSpec(**STILL, mirror=0.0), seed=3, label_map=label_map)
    exact = one.means[label_map.classes].reshape(8, 2, 8, 2, 8, 2).mean(axis=(1, 3, 5))
    low, high = exact.min(), exact.max()
    np.testing.assert_allclose(one.image.numpy(), (exact - low) / (high - low) * 2 - 1, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_fractions_sum_to_one_and_stay_in_range_whatever_is_drawn(seed: int) -> None:
    one = drawn(SynthesisSpec(stripped=0.3, cropped=0.3, defaced=0.5, cut=0.5), seed)
    torch.testing.assert_close(one.target.sum(dim=0), torch.ones(8, 8, 8))
    assert one.target.min() >= 0
    assert torch.isfinite(one.image).all()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_same_seed_gives_the_same_draw(seed: int) -> None:
    one, other = drawn(SynthesisSpec(), seed), drawn(SynthesisSpec(), seed)
    assert torch.equal(one.image, other.image)
    assert torch.equal(one.target, other.target)


def test_other_seeds_give_other_draws() -> None:
    assert not torch.equal(drawn(SynthesisSpec(), 1).image, drawn(SynthesisSpec(), 2).image)


def test_what_lies_outside_of_the_field_of_view_is_dark_background() -> None:
    spec = SynthesisSpec(**(STILL | {"cut": 1.0}), mirror=0.0)
    classes = np.random.default_rng(0).choice(
        [PAINTED.leaf_index("cortex-left"), PAINTED.leaf_index("skin")], (16,) * 3
    )
    filled = LabelMap(classes.astype(np.uint8), (1.0,) * 3, (7.5,) * 3)
    whole = drawn(SynthesisSpec(**STILL, mirror=0.0), label_map=filled).target
    found = 0
    for seed in range(12):
        one = drawn(spec, seed, filled)
        lost = (one.target != whole).any(dim=0)
        found += int(lost.any())
        assert (one.target[TAUGHT.leaf_index("background")][lost] == 1).all()
        assert (one.image[lost] == one.image.min()).all()
    assert found >= 6


def test_a_stripped_head_is_dark_where_there_is_no_brain() -> None:
    spec = SynthesisSpec(**(STILL | {"stripped": 1.0}), mirror=0.0)
    one = drawn(spec, 5)
    outside = one.target[TAUGHT.leaf_index("background")] == 1
    assert (one.image[outside] == one.image.min()).all()
    assert (one.image[~outside] > one.image.min()).any()


def test_children_have_the_intensity_of_their_parent_where_all_is_shared() -> None:
    spec = SynthesisSpec(shared=(0.0, 1.0), sides=1.0)
    means, _ = class_intensities(PAINTED, spec, np.random.default_rng(0))
    tissue = [PAINTED.leaf_index(name) for name in ("cortex-left", "cortex-right", "lesion-left", "lesion-right")]
    assert len(set(means[tissue])) == 1
    assert means[PAINTED.leaf_index("skin")] != means[tissue[0]]


def test_siblings_share_an_intensity_as_often_as_the_level_says() -> None:
    """Cortex and lesion: both take their parent's with probability p each, independently."""
    spec = SynthesisSpec(shared=(0.0, 0.0, 0.7), sides=0.0)
    generator = np.random.default_rng(1)
    pair = [PAINTED.leaf_index(name) for name in ("cortex-left", "lesion-left")]
    alike = [len(set(class_intensities(PAINTED, spec, generator)[0][pair])) == 1 for _ in range(2000)]
    assert abs(np.mean(alike) - 0.7**2) < 4 * math.sqrt(0.49 * 0.51 / 2000)


def test_a_familiar_contrast_keeps_the_order_of_tissues_and_sides_alike(resources: Path) -> None:
    tree = LabelTree.load(resources / "LabelTrees" / "head-tissues.json")
    spec, generator = SynthesisSpec(familiar=1.0), np.random.default_rng(4)
    names = ["white-matter-tissue-left", "cortex-left", "ventricle-body-left", "cortical-bone"]
    white, grey, fluid, bone = (tree.leaf_index(name) for name in names)
    partner = tree.mirror_permutation()
    brighter = []
    for _ in range(200):
        means, spreads = class_intensities(tree, spec, generator)
        assert ((means >= 0) & (means <= 1)).all()
        assert np.array_equal(means, means[partner])
        assert means[bone] < means[white]
        assert spreads.max() <= spec.spread
        brighter.append((means[white] > means[grey], means[fluid] > means[white]))
    for part in np.mean(brighter, axis=0):  # white above grey in T1, fluid above white in T2 and mostly in PD
        assert 0.2 < part < 0.7


def test_a_familiar_contrast_needs_familiar_tissues() -> None:
    with pytest.raises(InputError, match="has no tissue whose intensity is known"):
        class_intensities(TAUGHT, SynthesisSpec(familiar=1.0), np.random.default_rng(0))


@settings(max_examples=30, deadline=None)
@given(size=st.integers(4, 40), voxels=st.floats(1.0, 6.0), axis=st.integers(0, 2), value=st.floats(-2, 2))
def test_thick_slices_leave_a_constant_alone(size: int, voxels: float, axis: int, value: float) -> None:
    image = torch.full((size, size, size), value)
    torch.testing.assert_close(coarser(image, axis, voxels, voxels), image)


def test_thick_slices_are_means_over_their_thickness() -> None:
    image = torch.rand(12, 3, 3, generator=torch.Generator().manual_seed(0))
    thick = coarser(image, 0, 3.0, 3.0)
    torch.testing.assert_close(thick[[1, 4, 7, 10]], image.view(4, 3, 3, 3).mean(dim=1))


def test_all_around_a_label_map_is_class_zero() -> None:
    label_map = head()
    where = positions((8, 8, 8), (2.0, 2.0, 2.0), np.eye(3), None, np.full(3, 500.0))
    points = sampled_classes(label_map, where, (2.0, 2.0, 2.0), np.eye(3))
    found = fractions(points, np.arange(len(PAINTED.leaves)), len(PAINTED.leaves))
    assert (found[0] == 1).all()
    assert (found[1:] == 0).all()


def test_random_matrices_keep_volumes_within_the_zoom() -> None:
    spec = SynthesisSpec(shear=0.0, scale=(0.9, 1.1))
    generator = np.random.default_rng(0)
    volumes = [abs(np.linalg.det(random_matrix(spec, generator))) for _ in range(50)]
    assert min(volumes) >= 0.9**3 - 1e-9
    assert max(volumes) <= 1.1**3 + 1e-9


def test_label_maps_of_real_heads(shared_data: Path) -> None:
    """The values of the real maps are all in the tree, and the middle of the brain lies within the brain."""
    from softseg.data.cubes import read_label_map
    from softseg.resources import label_tree_path

    tree = LabelTree.load(label_tree_path("head-tissues"))
    values = np.unique(read_label_map(shared_data / "heads" / "label_maps" / "01.nii.gz").array)
    assert all(tree.has_value(int(value)) for value in values)
