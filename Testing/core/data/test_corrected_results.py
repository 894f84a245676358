"""Corrected results as labels: what people said is truth at its depth, the rest the model's opinion with a weight."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from softseg import SoftParcellation
from softseg.data import (
    AugmentationSpec,
    CaseStore,
    Dataset,
    PatchSampler,
    check_dataset,
    import_corrections,
    make_plan,
)
from softseg.data.corrected import MIXED, corrected_labels, corrected_nodes, largest_leaves, only_corrected
from softseg.errors import InputError
from softseg.events import Events, ListSink
from softseg.image import Geometry
from softseg.losses import build_loss
from softseg.tree import LabelTree, Node
from softseg.types import IGNORE_INDEX

SHAPE = (6, 8, 10)
GRID = Geometry(SHAPE[::-1])


def random_result(tree: LabelTree, seed: int, shape: tuple[int, int, int] = SHAPE) -> SoftParcellation:
    generator = np.random.default_rng(seed)
    dense = generator.dirichlet(np.full(len(tree.leaves), 0.6), shape).transpose(3, 0, 1, 2).astype(np.float32)
    return SoftParcellation.from_dense(dense, tree, Geometry(shape[::-1]), model="test")


def box(*parts: slice, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    voxels = np.zeros(shape, bool)
    voxels[parts] = True
    return voxels


def as_labels(result: SoftParcellation, path: Path, weight: float, tree: LabelTree | None = None):
    result.save(path)
    tree = tree or result.tree
    return corrected_labels(path, tree, result.geometry, lambda image: image.array, lambda _: None, weight)


def dense_reference(result: SoftParcellation, weight: float) -> np.ndarray:
    """The probabilities times weights of every class, voxel by voxel, from what each correction says."""
    tree, count = result.tree, len(result.tree.class_nodes)
    out = np.zeros((count, *result.geometry.shape))
    probabilities = np.stack([result.probability(leaf.id) for leaf in tree.leaves])
    for voxel in np.ndindex(result.geometry.shape):
        left, touched = set(range(len(tree.leaves))), False
        for said in result.corrections:
            if said.voxels[voxel]:
                under = set(range(*tree.leaf_slice(said.node_id).indices(len(tree.leaves))))
                allowed = under if said.is_node else set(range(len(tree.leaves))) - under
                left, touched = (left & allowed) or allowed, True
        names = [
            node.id
            for node in tree.class_nodes
            if set(range(*tree.leaf_slice(node.id).indices(len(tree.leaves)))) == left
        ]
        if touched and names and names[0] != tree.root.id:
            out[(tree.class_index(names[0]), *voxel)] = 1
            continue
        here = probabilities[(slice(None), *voxel)]
        scale = 1 if touched and not names else weight
        out[(slice(0, len(tree.leaves)), *voxel)] = scale * here / here.sum()
    return out


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.9])
def test_corrected_voxels_are_truth_at_their_depth_and_the_rest_an_opinion(make, tmp_path, weight):
    result = random_result(make.head_tree(), 0)
    result = result.corrected("grey-left", box(slice(0, 2)))
    result = result.corrected("grey", box(slice(2, 3), slice(0, 4)))
    result = result.corrected("grey-right", box(slice(4, 5)), is_node=False)
    result = result.corrected("brain", box(slice(0, 1)))  # says less than was said before
    labels = as_labels(result, tmp_path / "a.soft.npz", weight)
    np.testing.assert_allclose(labels.dense(), dense_reference(result, weight), atol=2e-6)
    np.testing.assert_allclose(labels.total()[result.corrected_voxels], 1, atol=1e-6)
    np.testing.assert_allclose(labels.total()[~result.corrected_voxels], weight, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_order_of_corrections_agrees_with_the_dense_reference(tmp_path_factory, data):
    tree = LabelTree(
        [
            Node(id="root", name="root", parent=None),
            Node(id="background", name="background", parent="root", value=0),
            *(Node(id=name, name=name, parent="root") for name in "ab"),
            *(
                Node(id=f"{name}{n}", name=f"{name}{n}", parent=name, value=3 * "ab".index(name) + n + 1)
                for name in "ab"
                for n in range(3)
            ),
        ],
        "two",
    )
    shape = (2, 3, 3)
    result = random_result(tree, data.draw(st.integers(0, 99)), shape)
    names = [node.id for node in tree.nodes if node is not tree.root]
    for _ in range(data.draw(st.integers(1, 4))):
        voxels = np.array(data.draw(st.lists(st.booleans(), min_size=18, max_size=18))).reshape(shape)
        result = result.corrected(data.draw(st.sampled_from(names)), voxels, is_node=data.draw(st.booleans()))
    labels = as_labels(result, tmp_path_factory.mktemp("any") / "a.soft.npz", 0.5)
    np.testing.assert_allclose(labels.dense(), dense_reference(result, 0.5), atol=2e-6)


def test_is_not_all_but_one_node_says_that_node(make):
    result = random_result(make.head_tree(), 1).corrected("brain", box(slice(0, 1)), is_node=False)
    result = result.corrected("background", box(slice(1, 2)), is_node=False)
    result = result.corrected("white", box(slice(2, 3)), is_node=False)
    said, tree = corrected_nodes(result), result.tree
    assert (said[0] == tree.class_index("background")).all()
    assert (said[1] == tree.class_index("brain")).all()
    assert (said[2] == MIXED).all()
    assert (said[3:] == IGNORE_INDEX).all()


def test_what_a_result_does_not_store_is_its_background(make):
    tree = make.head_tree()
    dense = np.zeros((4, *SHAPE), np.float32)
    dense[0] = 1
    dense[:, 2, 3:5, 4] = np.array([0.1, 0.6, 0.3, 0])[:, None]
    indices, probabilities = largest_leaves(SoftParcellation.from_dense(dense, tree, GRID))
    found = np.zeros_like(dense)
    for index, probability in zip(indices, probabilities, strict=True):
        np.put_along_axis(
            found, index[None].astype(int), probability[None] + np.take_along_axis(found, index[None], 0), 0
        )
    np.testing.assert_allclose(found, dense, atol=1 / 255)


def test_for_losses_of_leaves_a_group_is_the_distribution_within_it(make, tmp_path):
    result = random_result(make.head_tree(), 4).corrected("grey", box(slice(0, 3))).corrected("white", box(slice(4, 5)))
    path, tree = tmp_path / "a.soft.npz", result.tree
    result.save(path)
    labels = corrected_labels(path, tree, result.geometry, lambda image: image.array, pytest.fail, 0.5, groups=False)
    dense = labels.dense()
    assert not dense[len(tree.leaves) :].any()
    left = result.probability("grey-left")[:3] / result.probability("grey")[:3]
    np.testing.assert_allclose(dense[tree.leaf_index("grey-left"), :3], left, atol=1e-5)
    np.testing.assert_allclose(dense[tree.leaf_index("white"), 4], 1)


def test_only_corrected_voxels_judge(make, tmp_path):
    result = random_result(make.head_tree(), 2).corrected("white", box(slice(1, 3)))
    kept = only_corrected(as_labels(result, tmp_path / "a.soft.npz", 0.5))
    assert ((kept.total() > 0) == result.corrected_voxels).all()


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_a_result_of_another_tree_is_refused(make, tmp_path):
    result = random_result(make.head_tree(), 0).corrected("white", box(slice(1)))
    with pytest.raises(InputError, match=r"a\.soft\.npz.*its label tree 'head' is not 'lesion': only one of them has"):
        as_labels(result, tmp_path / "a.soft.npz", 0.1, make.flat_tree())
    moved = make.head_tree().move("white", "root")
    with pytest.raises(InputError, match=r"its group 'brain' is not that of the label tree"):
        as_labels(result, tmp_path / "a.soft.npz", 0.1, moved)
    renamed = make.head_tree().rename("white", "White matter")
    assert as_labels(result, tmp_path / "a.soft.npz", 0.1, renamed).shape == SHAPE


def corrected_case(make, name: str, seed: int = 0, shape=(20, 22, 24), **more) -> SoftParcellation:
    """Add a head with a corrected result: white matter that the model took for left grey, somewhere in the middle."""
    labels = make.head_labels(shape)
    image = make.write(f"{name}.nii.gz", np.where(labels > 0, labels * 40.0 + 5, 1).astype(np.float32))
    result = random_result(make.head_tree(), seed, shape)
    result = result.corrected("white", box(slice(8, 11), slice(8, 11), slice(8, 11), shape=shape), author="A. Author")
    result = result.corrected("grey", box(slice(14, 16), slice(8, 12), slice(8, 12), shape=shape))
    result.save(make.folder / f"{name}.soft.npz")
    make.case(name, image, f"{name}.soft.npz", **more)
    return result


def test_a_result_on_another_grid_is_refused(make):
    corrected_case(make, "a")
    make.write("a.nii.gz", np.random.default_rng(0).random((20, 22, 24)).astype(np.float32), spacing=(2.0, 2.0, 2.0))
    with pytest.raises(InputError, match=r"lies on another grid than the images.*give the scan"):
        check_dataset(make.load())


def test_the_check_reads_results_and_warns_of_one_that_nobody_corrected(make):
    corrected_case(make, "a")
    result = corrected_case(make, "b")
    result.predicted.save(make.folder / "b.soft.npz")
    sink = ListSink()
    check_dataset(make.load(), Events(sink))
    warnings = [event["text"] for event in sink.events if event["event"] == "warning"]
    assert any("b.soft.npz: holds no correction, only the model's own opinion" in text for text in warnings)
    assert not any("a.soft.npz" in text for text in warnings)


def test_the_weight_is_that_of_the_case_or_the_dataset_or_ours(make):
    corrected_case(make, "a")
    corrected_case(make, "b", opinion_weight=0)
    file = make.save()
    assert [case.opinion_weight for case in Dataset.load(file).cases] == [0.5, 0]
    file.write_text(json.dumps(json.loads(file.read_text()) | {"opinion_weight": 0.25}))
    assert [case.opinion_weight for case in Dataset.load(file).cases] == [0.25, 0]
    file.write_text(json.dumps(json.loads(file.read_text()) | {"opinion_weight": 2}))
    with pytest.raises(InputError, match="opinion_weight"):
        Dataset.load(file)


# -- patches -----------------------------------------------------------------------------------------------------------

PLAN = {"patch_size": [16, 16, 16], "batch_size": 2, "spacing": [1, 1, 1], "crop.kind": "none"}


def sampler(make, tmp_path, targets="soft", augmentation=None, **more) -> PatchSampler:
    dataset = make.load()
    store = CaseStore(dataset, make_plan(dataset, memory_gb=8, gpu=False, overrides=PLAN), tmp_path / "cache")
    ids = [case.id for case in dataset.cases]
    return PatchSampler(store, ids, store.plan, targets, augmentation, **more)


def test_a_patch_holds_probabilities_and_weights(make, tmp_path):
    result = corrected_case(make, "a", opinion_weight=0.1)
    batch = sampler(make, tmp_path).batch(0)
    assert batch.mask is not None
    assert batch.coarse is not None
    assert batch.mask.dtype == torch.float32
    grey = result.tree.class_index("grey")
    coarse = batch.coarse == grey
    assert set(batch.coarse.unique().tolist()) == {IGNORE_INDEX, grey}
    assert not batch.mask[coarse].any()
    np.testing.assert_allclose(batch.target.sum(dim=1, keepdim=True)[~coarse], 1, atol=1e-4)
    values = batch.mask[~coarse].unique()
    np.testing.assert_allclose(sorted({round(float(value), 3) for value in values}), [0.1, 1])
    white = result.tree.leaf_index("white")
    np.testing.assert_allclose(batch.target[:, white : white + 1][batch.mask > 0.99], 1, atol=1e-5)


def test_mixed_voxels_weigh_as_much_as_what_is_in_them(make, tmp_path):
    corrected_case(make, "a", opinion_weight=0.1)
    turned = AugmentationSpec.none().model_copy(update={"rotation_probability": 1.0, "rotation_degrees": (20, 20, 20)})
    batch = sampler(make, tmp_path, augmentation=turned).batch(1)
    assert batch.mask is not None
    assert ((batch.mask > 0.15) & (batch.mask < 0.9)).any()
    counted = (batch.mask > 0).expand_as(batch.target)
    np.testing.assert_allclose((batch.target * counted).sum(dim=1)[batch.mask[:, 0] > 0], 1, atol=1e-4)


@pytest.mark.parametrize("targets", ["soft", "crisp"])
@pytest.mark.parametrize("losses", [["cross-entropy", "dice"], ["tree-wasserstein", "tree-cross-entropy"]])
def test_without_opinions_the_gradient_lies_in_corrected_voxels_alone(make, tmp_path, targets, losses):
    result = corrected_case(make, "a", opinion_weight=0)
    batch = sampler(make, tmp_path, targets).batch(0)
    loss = build_loss([{"name": name} for name in losses], result.tree)
    logits = torch.randn((2, 4, 16, 16, 16), generator=torch.Generator().manual_seed(0), requires_grad=True)
    value = (
        loss(logits, batch.target, batch.mask, batch.coarse)
        if targets == "soft"
        else loss(logits, batch.target, batch.mask)
    )
    (gradient,) = torch.autograd.grad(value, logits)
    moved = gradient.abs().sum(dim=1, keepdim=True) > 0
    said = batch.mask > 0 if batch.coarse is None else (batch.mask > 0) | (batch.coarse >= 0)
    assert moved.any()
    assert torch.equal(moved & ~said, torch.zeros_like(said))


def test_voxels_of_weight_0_change_nothing(make, tmp_path):
    corrected_case(make, "a", opinion_weight=0)
    first = sampler(make, tmp_path).batch(0)
    tree = make.head_tree()
    result = SoftParcellation.load(make.folder / "a.soft.npz")
    other = random_result(tree, 77, (20, 22, 24))
    for said in result.corrections:
        other = other.corrected(said.node_id, said.voxels, is_node=said.is_node)
    other.save(make.folder / "a.soft.npz")
    second = sampler(make, tmp_path / "other").batch(0)
    assert torch.equal(first.mask, second.mask)
    assert torch.equal(first.coarse, second.coarse)
    assert torch.equal(first.target, second.target)


def test_the_weight_of_an_opinion_scales_its_part_of_the_loss(make, tmp_path):
    corrected_case(make, "a", opinion_weight=0.2)
    batch = sampler(make, tmp_path).batch(0)
    loss = build_loss([{"name": "cross-entropy"}], make.head_tree())
    logits = torch.randn((2, 4, 16, 16, 16), generator=torch.Generator().manual_seed(0))
    cost = -(batch.target * torch.log_softmax(logits, 1)).sum(dim=1, keepdim=True)
    weight = batch.mask
    grey = batch.coarse >= 0
    below = torch.logsumexp(torch.log_softmax(logits, 1)[:, make.head_tree().leaf_slice("grey")], 1, keepdim=True)
    expected = ((cost * weight).sum() - below[grey].sum()) / (weight.sum() + grey.sum())
    assert float(loss(logits, batch.target, batch.mask, batch.coarse)) == pytest.approx(float(expected), rel=1e-4)


def test_patches_lie_around_corrections_and_are_shared_with_other_cases(make, tmp_path):
    corrected_case(make, "a")
    make.head("b")
    drawn = sampler(make, tmp_path, corrected=0.25)
    cases = [drawn._centres.draw(np.random.default_rng(seed))[0].id for seed in range(400)]
    assert 0.15 < cases.count("a") / 400 < 0.35
    case = drawn._store.load("a")
    result = SoftParcellation.load(make.folder / "a.soft.npz")
    assert result.corrected_voxels[tuple(case.points.T)].all()


# -- import ------------------------------------------------------------------------------------------------------------


def test_results_become_a_dataset(make, tmp_path):
    corrected_case(make, "a")
    corrected_case(make, "b")
    SoftParcellation.load(make.folder / "b.soft.npz").predicted.save(make.folder / "b.soft.npz")
    sink = ListSink()
    out = import_corrections(
        [make.folder / "a.soft.npz", make.folder / "b.soft.npz"],
        tmp_path / "out.json",
        images=[str(make.folder / "a.nii.gz"), str(make.folder / "b.nii.gz")],
        channel="T1",
        opinion_weight=0.3,
        events=Events(sink),
    )
    dataset = Dataset.load(out)
    (case,) = dataset.cases
    assert (case.id, case.split, case.opinion_weight) == ("a", "train", 0.3)
    assert case.images == {"T1": make.folder / "a.nii.gz"}
    assert any("'b' without corrections; left out" in str(event.get("text")) for event in sink.events)
    check_dataset(dataset)


def test_original_cases_are_mixed_in_and_corrected_people_do_not_judge(make, tmp_path):
    for name, split in (("p", "train"), ("q", "test"), ("r", "test")):
        make.head(name, split)
    original = make.save()
    result = random_result(make.head_tree(), 0, (20, 22, 24)).corrected("white", box(slice(3), shape=(20, 22, 24)))
    result.save(tmp_path / "q.soft.npz")
    out = import_corrections(
        tmp_path / "q.soft.npz", tmp_path / "out.json", images=[str(make.folder / "q.nii.gz")], original=original
    )
    found = {case.id: (case.group, case.split) for case in Dataset.load(out).cases}
    assert found == {"q-corrected": ("q", "train"), "p": ("p", "train"), "r": ("r", "test")}


def test_without_corrections_or_a_known_scan_nothing_is_imported(make, tmp_path):
    random_result(make.head_tree(), 0).save(tmp_path / "a.soft.npz")
    with pytest.raises(InputError, match=r"names the scan of this result.*--images"):
        import_corrections(tmp_path / "a.soft.npz", tmp_path / "out.json")
    scan = make.write("a.nii.gz", np.random.default_rng(0).random(SHAPE).astype(np.float32))
    with pytest.raises(InputError, match=r"no corrections in 'a'.*correct a result first"):
        import_corrections(tmp_path / "a.soft.npz", tmp_path / "out.json", images=[str(make.folder / scan)])
    assert not (tmp_path / "out.json").exists()
