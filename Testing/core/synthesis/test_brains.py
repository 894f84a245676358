"""Brains put into heads, and what the heads' own coarse labels teach of the brains' tree."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from softseg.commands import application
from softseg.data import Dataset
from softseg.data.plan import Normalization, Plan
from softseg.errors import InputError
from softseg.image import Geometry, Image, read_image, write_image
from softseg.resources import label_tree_path
from softseg.synthesis.brains import BrainsInHeads
from softseg.synthesis.draw import draw_head
from softseg.synthesis.learned import Learned
from softseg.synthesis.maps import LabelMap
from softseg.synthesis.settings import SynthesisSpec
from softseg.tree import LabelTree

HEADS, BRAINS = (LabelTree.load(label_tree_path(name)) for name in ("head-tissues", "brain-134"))
SIZE, SIDE = 48, 4.0
STILL = SynthesisSpec(
    mirror=0, rotation_degrees=0, scale=(1, 1), shear=0, elastic_mm=0, shift_mm=0, spread=0, bias_field=0, gamma=0,
    noise=0, thickness_mm=0.1, resolution_mm=0.1, stripped=0, cropped=0, defaced=0, cut=0,
)  # fmt: skip
PLAN = Plan(
    dimensions=3,
    channels=("MR",),
    spacing=(2 * SIDE,) * 3,
    patch_size=(16,) * 3,
    normalization={"MR": Normalization(kind="percentile", lower=0.0, upper=100.0)},
)


def radii(center: tuple[float, float, float], half: tuple[float, float, float]) -> npt.NDArray[np.float64]:
    """Return the distance from the middle of an ellipsoid in units of its radii, ``(k, j, i)``."""
    grid = np.indices((SIZE, SIZE, SIZE), dtype=float)
    parts = [((axis - middle) / radius) ** 2 for axis, middle, radius in zip(grid, center, half, strict=True)]
    return np.asarray(np.sqrt(sum(parts)))


@pytest.fixture(scope="module")
def head() -> Image:
    """Skin around fluid around a brain of left and right cortex with a caudate in it."""
    out = np.zeros((SIZE, SIZE, SIZE), np.uint16)
    away = radii((24, 24, 24), (14, 18, 14))
    out[away < 1.4] = HEADS.value_of("skin")
    out[away < 1.2] = HEADS.value_of("outer-fluid")
    left = np.broadcast_to(np.arange(SIZE) >= 24, out.shape)
    out[(away < 1) & left] = HEADS.value_of("cortex-left")
    out[(away < 1) & ~left] = HEADS.value_of("cortex-right")
    out[away < 0.2] = HEADS.value_of("caudate-left")
    return Image(out, Geometry(out.shape, (SIDE, SIDE, SIDE)))


@pytest.fixture(scope="module")
def brain() -> Image:
    """A smaller, longer brain, elsewhere, of white matter in both halves."""
    out = np.zeros((SIZE, SIZE, SIZE), np.uint16)
    away = radii((20, 22, 30), (10, 16, 9))
    left = np.broadcast_to(np.arange(SIZE) >= 30, out.shape)
    out[(away < 1) & left] = BRAINS.value_of("left-cerebral-white-matter")
    out[(away < 1) & ~left] = BRAINS.value_of("right-cerebral-white-matter")
    return Image(out, Geometry(out.shape, (SIDE, SIDE, SIDE), origin=(35.0, -20.0, 7.0)))


@pytest.fixture(scope="module")
def both() -> BrainsInHeads:
    return BrainsInHeads.of(BRAINS, HEADS)


def dice(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def test_the_tree_has_the_brains_and_what_lies_around_them(both):
    ids = {leaf.id for leaf in both.tree.leaves}
    assert {leaf.id for leaf in BRAINS.leaves} <= ids
    assert {"skin", "marrow", "outer-fluid", "cortex-left", "fifth-ventricle"} <= ids
    assert not {"caudate-left", "csf"} & ids, "the brains' tree has these"
    assert "cerebral-cortex" in {node.id for node in both.tree.path("cortex-left")}
    partner = both.tree.mirror_permutation()
    assert both.tree.leaves[partner[both.tree.leaf_index("cortex-left")]].id == "cortex-right"


def test_every_structure_inside_the_brain_of_a_head_has_its_place(both):
    learned = LabelTree.load(label_tree_path("head-any"))
    inside = {
        leaf.id
        for leaf in HEADS.leaves
        if any(n.id in learned and n.id not in ("background", "fluid") for n in HEADS.path(leaf.id))
    }
    assert inside <= set(both.nodes)
    for leaf in inside:
        sides = [side for side in ("left", "right") if leaf.endswith(side) or both.nodes[leaf].startswith(side)]
        assert len(sides) <= 1, f"{leaf} changes its side"


def test_a_brain_takes_the_place_of_another_one(both, head, brain):
    room = np.isin(head.array, both.inside)
    found = both.pasted(head, brain).array
    left, right = (found == BRAINS.value_of(f"{side}-cerebral-white-matter") for side in ("left", "right"))
    assert dice(left | right, room) > 0.94
    assert left[:, :, 24:].sum() > 0.95 * left.sum()
    assert right[:, :, :24].sum() > 0.95 * right.sum()
    fluid = found == BRAINS.value_of("extra-ventricular-csf")
    assert not (fluid & ~room).any()
    np.testing.assert_array_equal(left | right | fluid, np.where(room, True, left | right | fluid))
    skin = head.array == HEADS.value_of("skin")
    np.testing.assert_array_equal(found == both.tree.value_of("skin"), skin)


def test_a_heads_own_labels_become_leaves_or_branches(both, head):
    found = both.own(head.array)
    for before, after in (("skin", "skin"), ("caudate-left", "left-caudate"), ("cortex-right", "cortex-right")):
        np.testing.assert_array_equal(found == both.tree.value_of(after), head.array == HEADS.value_of(before))


def test_without_a_brain_there_is_nothing_to_paste(both, head, brain):
    with pytest.raises(InputError, match="no brain"):
        both.pasted(Image(np.zeros_like(head.array), head.geometry), brain)
    with pytest.raises(InputError, match="no brain"):
        both.pasted(head, Image(np.zeros_like(brain.array), brain.geometry))


def test_brains_of_another_tree_are_refused():
    with pytest.raises(InputError, match="has no node 'cerebral-cortex'"):
        BrainsInHeads.of(LabelTree.load(label_tree_path("head-any")), HEADS)


# -- what coarse labels teach -------------------------------------------------------------------------------------


def test_what_the_learned_tree_lacks_teaches_the_branch_above(both):
    learned = Learned.of(both.tree, BRAINS, coarse=True)
    assert {BRAINS.class_nodes[index].id for index in learned.groups} == {
        "cerebral-cortex",
        "cerebellum-gm",
        "cerebral-white-matter",
        "ventricles",
    }
    fine = Learned.of(both.tree, BRAINS)
    for n, leaf in enumerate(both.tree.leaves):
        if learned.row_of[n] < learned.leaves:
            assert learned.row_of[n] == fine.row_of[n], leaf.id
        else:
            assert fine.row_of[n] == fine.background, leaf.id


def test_a_draw_of_coarse_labels_names_their_branch(both, head):
    learned = Learned.of(both.tree, BRAINS, coarse=True)
    classes = both.tree.to_class_indices(both.own(head.array)).astype(np.uint8)
    draw = draw_head(
        LabelMap(classes, (SIDE, SIDE, SIDE), (23.5, 23.5, 23.5)),
        learned,
        PLAN,
        STILL,
        np.random.default_rng(0),
    )
    assert draw.known is not None
    assert draw.coarse is not None
    cortex = BRAINS.class_index("cerebral-cortex")
    assert set(draw.coarse.unique().tolist()) == {-1, cortex}
    assert not (draw.known & (draw.coarse >= 0)).any()
    total = draw.target.sum(dim=0)
    torch.testing.assert_close(total[draw.known], torch.ones(int(draw.known.sum())))
    assert float(total[~draw.known].abs().max()) == 0
    caudate = draw.target[BRAINS.leaf_index("left-caudate")]
    assert float(caudate[draw.known].max()) == 1


def test_draws_without_coarse_labels_are_known_everywhere(both, head):
    learned = Learned.of(both.tree, BRAINS)
    classes = both.tree.to_class_indices(both.own(head.array)).astype(np.uint8)
    draw = draw_head(
        LabelMap(classes, (SIDE, SIDE, SIDE), (23.5, 23.5, 23.5)),
        learned,
        PLAN,
        STILL,
        np.random.default_rng(0),
    )
    assert draw.known is None
    assert draw.coarse is None


def test_heads_with_brains_train_a_network_of_the_brains_tree(tmp_path: Path, head, brain):
    """From the command to a training: both protocols in one dataset, one learned tree."""
    (tmp_path / "heads").mkdir()
    write_image(head, tmp_path / "heads" / "one.nii.gz")
    write_image(brain, tmp_path / "brain.nii.gz")
    case = {"id": "b", "group": "b", "split": "train", "images": {}, "labels": "brain.nii.gz"}
    (tmp_path / "BRAINS.json").write_text(
        json.dumps({"name": "b", "channels": ["T1"], "tree": "brain-134", "cases": [case]})
    )
    arguments = ["data", "heads", str(tmp_path / "heads"), "--brains", str(tmp_path / "BRAINS.json")]
    assert application.run([*arguments, "--out", str(tmp_path / "out")]) == 0
    dataset = Dataset.load(tmp_path / "out" / "DATA.json")
    assert [case.id for case in dataset.cases] == ["one", "one-b"]
    assert dataset.channels == ("MR",)
    pasted = read_image(tmp_path / "out" / "labels" / "one-b.nii.gz", labels=True)
    assert dataset.tree.value_of("left-cerebral-white-matter") in np.unique(pasted.array)

    settings = ["synthetic.learn=brain-134", "synthetic.coarse=true", "steps=3", "plan.patch_size=[32,32,32]"]
    settings += [
        "plan.spacing=[6,6,6]",
        "plan.network.options={channels: [4, 4], strides: [1, 1], num_res_units: 1}",
        "validation.every=null",
    ]
    arguments = ["train", str(tmp_path / "out" / "DATA.json"), "--recipe", "head-any", "--out", str(tmp_path / "run")]
    assert application.run([*arguments, *(part for text in settings for part in ("--set", text))]) == 0
    assert LabelTree.load(tmp_path / "run" / "model" / "tree.json") == BRAINS
