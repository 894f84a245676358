"""Fitting: which voxels estimates come from, where the threshold lies, and that what was never trained is strange."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from outlier_kit import make_model, make_plan, painted, trained, tree, write_world

from softseg.data import CaseStore, Dataset
from softseg.errors import CancelledError, InputError
from softseg.events import CancelToken, Events, ListSink
from softseg.image import read_image, write_image
from softseg.network import FittedOutliers, Head, Model
from softseg.outliers import Reference, fit_outliers, score_case, threshold_at, threshold_costing, with_threshold


@pytest.fixture(scope="session")
def learnt(world: Path, cache: Path) -> Model:
    """A 2D model that was trained on every leaf but the strange one."""
    return trained(make_model(dimensions=2), Dataset.load(world), cache)


def test_what_was_never_trained_is_found_and_what_was_is_kept(learnt: Model, dataset: Dataset, cache: Path) -> None:
    score = fit_outliers(learnt, dataset, ["case0"], "mahalanobis", held_out=["strange"], cache=cache, tpr=0.9)
    reference = Reference.of(learnt, dataset, ["strange"])
    case = CaseStore(reference.dataset, learnt.plan, cache).load("case2")
    known, outside = reference.known_and_held_out(reference.largest(case))
    scores = score_case(learnt, [score], case).scores[0]
    assert (scores[outside] > score.threshold).mean() > 0.8
    assert (scores[known] > score.threshold).mean() < 0.2
    assert score.chosen["known_kept"] == pytest.approx(0.9, abs=0.001)
    assert score.chosen["held_out_found"] > 0.8
    assert (score.chosen["how"], score.chosen["cases"]) == ("tpr", ["case1"])
    assert score.low < score.threshold < score.high


def test_every_labelled_voxel_counts_once(dataset: Dataset, cache: Path) -> None:
    model = make_model(patch_size=(4, 16, 16))  # 40 x 36 voxels: the last windows lie over the ones before
    score = fit_outliers(model, dataset, ["case0"], "mahalanobis", held_out=["strange"], cache=cache, threshold=1.0)
    assert score.estimated["voxels"] == np.isin(painted(0), [1, 2, 3]).sum()
    assert (score.estimated["classes"], score.estimated["features"]) == (3, 8)


def test_estimates_are_those_of_the_features_of_each_class(dataset: Dataset, cache: Path) -> None:
    model = make_model(patch_size=(4, 40, 36))  # one window: the features can be had at once
    score = fit_outliers(model, dataset, ["case0"], "mahalanobis", held_out=["strange"], cache=cache, threshold=1.0)
    case = CaseStore(dataset, model.plan, cache).load("case0")
    caught: list[torch.Tensor] = []
    assert score.layer is not None
    handle = model.network.get_submodule(score.layer).register_forward_pre_hook(lambda _, x: caught.append(x[0]))
    with torch.inference_mode():
        model.network(torch.from_numpy(np.array(case.image))[None])
    handle.remove()
    features = np.moveaxis(caught[0][0].numpy(), 0, -1)
    for position, value in enumerate([1, 2, 3]):
        mean = features[painted(0) == value].mean(axis=0)
        np.testing.assert_allclose(score.tensors["means"][position], mean, atol=1e-5)


def test_classes_may_be_the_nodes_of_a_level(dataset: Dataset, cache: Path) -> None:
    of_level, of_leaves = (
        fit_outliers(
            make_model(), dataset, ["case0"], "mahalanobis", held_out=["strange"], cache=cache, threshold=1.0, options=o
        )
        for o in ({"level": 1}, {})
    )
    assert of_level.tensors["means"].shape[0] == 2
    counts = [(painted(0) == value).sum() for value in (1, 2)]
    pooled = np.average(of_leaves.tensors["means"][:2].numpy(), axis=0, weights=counts)
    np.testing.assert_allclose(of_level.tensors["means"][0], pooled, atol=1e-4)
    assert dict(of_level.options) == {"level": 1}
    with pytest.raises(InputError, match="level: expected a level from 1 to 2, got 3"):
        fit_outliers(make_model(), dataset, ["case0"], "mahalanobis", held_out=["strange"], options={"level": 3})


def test_coarse_labels_count_where_their_node_is_a_class(tmp_path: Path) -> None:
    data = write_world(tmp_path, strange=False)
    labels = read_image(tmp_path / "labels0.nii.gz")
    coarse = np.where(labels.array == 2, 10, labels.array)  # "a", nothing finer known
    write_image(replace(labels, array=coarse.astype(np.uint8)), tmp_path / "labels0.nii.gz")
    dataset, sink = Dataset.load(data), ListSink()
    fine = fit_outliers(make_model(), dataset, ["case0"], "mahalanobis", threshold=1.0, events=Events(sink))
    assert fine.estimated["voxels"] == np.isin(coarse, [1, 3]).sum()
    assert fine.estimated["missing"] == ["a2"]
    assert any("no labelled voxel of a2: no class mean" in str(event.get("text")) for event in sink.events)
    upper = fit_outliers(make_model(), dataset, ["case0"], "mahalanobis", threshold=1.0, options={"level": 1})
    assert upper.estimated["voxels"] == np.isin(coarse, [1, 10, 3]).sum()


def test_background_does_not_choose_the_threshold(tmp_path: Path) -> None:
    dataset = Dataset.load(write_world(tmp_path, background=True))
    model = make_model(background=True)
    reference = Reference.of(model, dataset, ["strange"])
    case = CaseStore(reference.dataset, model.plan, tmp_path / "cache").load("case1")
    known, outside = reference.known_and_held_out(reference.largest(case))
    labels = painted(1, strange=True)
    np.testing.assert_array_equal(known, np.isin(labels, [1, 2, 3]))
    np.testing.assert_array_equal(outside, labels == 4)


def test_a_background_that_the_model_lacks_is_unlabelled(tmp_path: Path) -> None:
    dataset = Dataset.load(write_world(tmp_path, background=True))
    reference = Reference.of(make_model(), dataset, ["strange"])
    case = CaseStore(reference.dataset, make_plan(), tmp_path / "cache").load("case1")
    known, _ = reference.known_and_held_out(reference.largest(case))
    np.testing.assert_array_equal(known, np.isin(painted(1, strange=True), [1, 2, 3]))


def test_held_out_branches_are_whole_branches(dataset: Dataset) -> None:
    reference = Reference.of(make_model(), dataset, ["strange", "a"])
    own = dataset.tree
    held = {node.id for node in own.nodes if reference.held_out[own.class_index(node.id)]}
    assert held == {"strange", "a", "a1", "a2"}
    with pytest.raises(InputError, match=r"model knows no leaf 'strange'; .*name the leaf in --held-out"):
        Reference.of(make_model(), dataset)
    with pytest.raises(InputError, match="nowhere"):
        Reference.of(make_model(), dataset, ["nowhere"])


def test_a_given_threshold_stays_what_it_is(dataset: Dataset, cache: Path) -> None:
    score = fit_outliers(make_model(), dataset, ["case0"], "energy", held_out=["strange"], cache=cache, threshold=-1.25)
    assert score.threshold == -1.25
    assert score.chosen["how"] == "given"
    assert 0 <= score.chosen["known_kept"] <= 1


@given(
    values=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60),
    tpr=st.floats(0.01, 1),
)
def test_the_threshold_keeps_at_least_what_was_asked_for(values: list[float], tpr: float) -> None:
    scores = np.array([*values, -np.inf], np.float32)  # a voxel that no window reached counts for nothing
    threshold = threshold_at(scores, tpr)
    finite = scores[np.isfinite(scores)]
    assert (finite <= threshold).mean() >= tpr - 1e-9
    assert threshold in finite
    lower = finite[finite < threshold]
    assert lower.size / finite.size < tpr + 1 / finite.size


@given(
    values=st.lists(st.tuples(st.integers(-20, 20), st.booleans()), min_size=1, max_size=60),
    most_loss=st.floats(0, 0.99),
)
def test_a_threshold_costs_no_more_than_allowed_and_none_below_it_would_do(
    values: list[tuple[int, bool]], most_loss: float
) -> None:
    scores, right = np.array([s for s, _ in values], np.float32), np.array([r for _, r in values])
    threshold = threshold_costing(scores, right, most_loss)
    assert (right & (scores > threshold)).sum() <= most_loss * len(scores)
    lower = scores[scores < threshold]
    if lower.size:
        assert (right & (scores > lower.max())).sum() > most_loss * len(scores) - 1


def test_by_default_half_a_point_of_accuracy_is_the_price(learnt: Model, dataset: Dataset, cache: Path) -> None:
    score = fit_outliers(learnt, dataset, ["case0"], "max-softmax", held_out=["strange"], cache=cache)
    reference = Reference.of(learnt, dataset, ["strange"])
    case = CaseStore(reference.dataset, learnt.plan, cache).load("case1")
    known, _ = reference.known_and_held_out(reference.largest(case))
    found = score_case(learnt, [score], case)
    labels = case.labels.largest()
    right = np.zeros(labels.shape, bool)
    for number, leaf in enumerate(learnt.tree.leaves):
        answered = found.probabilities.argmax(axis=0) == number
        right |= answered & (labels == reference.dataset.tree.class_index(leaf.id))
    assert score.chosen["how"] == "most-loss"
    assert score.chosen["accuracy_before"] == pytest.approx(right[known].mean())
    lost = (right & (found.scores[0] > score.threshold))[known].mean()
    assert score.chosen["accuracy_lost"] == pytest.approx(lost)
    assert lost <= 0.005


@given(seed=st.integers(0, 99), threshold=st.floats(-3, 30))
def test_the_stored_range_holds_the_threshold_and_most_scores(seed: int, threshold: float) -> None:
    scores = np.random.default_rng(seed).gamma(2, 2, 2000).astype(np.float32)
    score = with_threshold(FittedOutliers("energy", 0, 0, 1), scores, threshold, {}, Head("softmax", 4))
    assert score.low < threshold < score.high
    width = score.high - score.low
    assert ((scores >= score.low - 0.07 * width) & (scores <= score.high + 0.07 * width)).mean() > 0.99


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tpr": 0.0}, "tpr: expected a fraction above 0, at most 1, got 0.0"),
        ({"tpr": 1.5}, "tpr: expected a fraction above 0, at most 1, got 1.5"),
        ({"threshold": float("nan")}, "threshold: expected a finite number, got nan"),
        ({"score": "godin"}, "godin cannot be had from this model"),
        ({"cases": [], "score": "mahalanobis"}, "mahalanobis needs cases to estimate from"),
        ({"cases": ["nobody"], "score": "mahalanobis"}, "no case has the id 'nobody'"),
        ({"threshold_cases": ["nobody"]}, "no case has the id 'nobody'"),
        ({"threshold_cases": []}, "no labelled voxel of a known class to choose a threshold on"),
        ({"options": {"temperature": -1}}, "temperature: expected a number of at least 0, got -1"),
    ],
)
def test_wrong_requests(changes: dict[str, Any], message: str, dataset: Dataset, cache: Path) -> None:
    request: dict[str, Any] = {"cases": ["case0"], "score": "energy", "held_out": ["strange"], "cache": cache}
    with pytest.raises(InputError, match=message):
        fit_outliers(make_model(), dataset, **request | changes)


def test_without_validation_cases_training_cases_choose_with_a_warning(tmp_path: Path) -> None:
    data = write_world(tmp_path, strange=False)
    data.write_text(data.read_text().replace('"val"', '"test"'))
    sink = ListSink()
    score = fit_outliers(make_model(), Dataset.load(data), ["case0"], "entropy", events=Events(sink))
    assert score.chosen["cases"] == ["case0"]
    assert any("has no validation cases" in str(event.get("text")) for event in sink.events)


def test_it_can_be_cancelled(dataset: Dataset, cache: Path, tmp_path: Path) -> None:
    wish = tmp_path / "stop"
    wish.touch()
    with pytest.raises(CancelledError):
        fit_outliers(
            make_model(), dataset, ["case0"], "mahalanobis", held_out=["strange"], cache=cache,
            events=Events(cancel=CancelToken(wish)),
        )  # fmt: skip
    assert tree(strange=True) == dataset.tree
