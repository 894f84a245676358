"""Agreement with several raters: the same as judging against each of them by itself, voxel by voxel."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import entropy

from softseg.data.disagreement import Disagreement, simulate_raters
from softseg.evaluation import evaluate
from softseg.evaluation.disagreement import LEAST_PROBABILITY, RATER_METRICS
from softseg.evaluation.pairs import Pair
from softseg.image import Geometry, Image, write_image
from softseg.soft.parcellation import SoftParcellation
from softseg.tree import LabelTree

RATERS = 3


@pytest.fixture(scope="module")
def raters(small_values: np.ndarray, small_geometry: Geometry) -> list[np.ndarray]:
    return simulate_raters(small_values, Disagreement(RATERS, 0.8, 1.5), small_geometry.spacing_kji, seed=2)


@pytest.fixture(scope="module")
def prediction(
    small_tree: LabelTree, small_values: np.ndarray, small_geometry: Geometry, soften: Callable[..., np.ndarray]
) -> SoftParcellation:
    return SoftParcellation.from_dense(soften(small_values, 0.9), small_tree, small_geometry)


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory,
    raters: list[np.ndarray],
    prediction: SoftParcellation,
    small_tree: LabelTree,
    small_geometry: Geometry,
) -> Path:
    """A prediction judged against three raters."""
    folder = tmp_path_factory.mktemp("raters")
    prediction.save(folder / "ann.soft.npz")
    files = [folder / f"ann-{number}.nii.gz" for number in range(RATERS)]
    for file, values in zip(files, raters, strict=True):
        write_image(Image(values, small_geometry), file)
    evaluate([folder / "ann.soft.npz"], [files], small_tree, folder / "out", html=False, tolerance_mm=None)
    return folder


def table(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def probabilities_of(
    node: str, raters: list[np.ndarray], prediction: SoftParcellation
) -> tuple[np.ndarray, np.ndarray]:
    """The predicted probability of a node, and by rater whether a voxel is in it: ``[k, j, i]``, ``[R, k, j, i]``."""
    tree = prediction.tree
    values = [leaf.value for leaf in tree.leaves_under(node)]
    return prediction.probability(node).astype(np.float64), np.isin(np.stack(raters), values)


@pytest.mark.parametrize(("level", "node"), [(1, "brain"), (2, "grey"), (4, "left-cortex"), (4, "white")])
def test_numbers_of_a_node_are_those_of_single_raters(
    folder: Path, raters: list[np.ndarray], prediction: SoftParcellation, level: int, node: str
) -> None:
    rows = table(folder / "out" / "metrics.csv")
    row = next(row for row in rows if (row["level"], row["node"]) == (str(level), node))
    p, said = probabilities_of(node, raters, prediction)
    probability = said.mean(axis=0)
    disputed = (probability > 0) & (probability < 1)
    drawn = (probability > 0).sum()
    brier = np.mean([((p - one) ** 2).sum() for one in said]) / drawn
    losses = [-np.log(np.maximum(np.where(one, p, 1 - p), LEAST_PROBABILITY)).sum() for one in said]
    least = np.mean([((probability - one) ** 2).sum() for one in said]) / drawn
    own, theirs = entropy([p, 1 - p])[disputed], entropy([probability, 1 - probability])[disputed]
    expected = {
        "disputed_ml": disputed.sum() * 2.4e-3,
        "disputed_mae": np.abs(p - probability)[disputed].mean(),
        "disputed_entropy": own.mean(),
        "disputed_entropy_raters": theirs.mean(),
        "disputed_entropy_error": np.abs(own - theirs).mean(),
        "rater_mae": np.abs(p - probability).sum() / drawn,
        "rater_brier": brier,
        "rater_brier_least": least,
        "rater_log_loss": np.mean(losses) / drawn,
        "rater_log_loss_least": entropy([probability, 1 - probability]).sum() / drawn,
    }
    assert {name: float(row[name]) for name in expected} == pytest.approx(expected, rel=1e-3, abs=1e-5)
    place = np.minimum((p[disputed] * 20).astype(int), 19)
    gap = sum(abs((p[disputed] - probability[disputed])[place == bin_].sum()) for bin_ in range(20)) / disputed.sum()
    assert float(row["disputed_calibration_error"]) == pytest.approx(gap, rel=1e-3)
    place = np.minimum((p * 20).astype(int), 19)
    gaps = np.abs(np.bincount(place.ravel(), weights=(p - probability).ravel())).sum() / drawn
    assert float(row["rater_calibration_error"]) == pytest.approx(gaps, rel=1e-3)


def test_numbers_of_a_level_are_means_over_its_nodes(folder: Path) -> None:
    nodes, levels = (table(folder / "out" / name) for name in ("metrics.csv", "levels.csv"))
    deepest = [row for row in nodes if row["level"] == "4" and row["status"] != "absent"]
    level = next(row for row in levels if row["level"] == "4")
    for name in RATER_METRICS:
        assert float(level[name]) == pytest.approx(
            np.mean([float(row[name]) for row in deepest if row[name]]), rel=1e-4
        )


def test_the_summary_says_what_is_predicted_by_how_many_raters_say_so(
    folder: Path, raters: list[np.ndarray], prediction: SoftParcellation
) -> None:
    found = json.loads((folder / "out" / "summary.json").read_text())["disagreement"]["levels"]["1"]
    p, said = probabilities_of("brain", raters, prediction)
    votes = said.sum(axis=0)
    by_share = {round(row["share"] * RATERS): row for row in found["by_share"]}
    assert set(by_share) == {0, 1, 2, 3}
    for count in (1, 2, 3):
        assert by_share[count]["voxels"] == (votes == count).sum()
        assert by_share[count]["predicted"] == pytest.approx(p[votes == count].mean(), abs=1e-4)
    assert by_share[0]["voxels"] == ((votes == 0) & (p > 0)).sum()
    assert sum(found["voxels"]) == ((votes > 0) & (votes < RATERS)).sum()


def test_who_predicts_the_probability_of_raters_is_as_good_as_can_be(
    tmp_path: Path, raters: list[np.ndarray], small_tree: LabelTree, small_geometry: Geometry
) -> None:
    dense = np.stack([np.mean([one == leaf.value for one in raters], axis=0) for leaf in small_tree.leaves])
    SoftParcellation.from_dense(dense.astype(np.float32), small_tree, small_geometry).save(tmp_path / "x.soft.npz")
    files = [tmp_path / f"x-{number}.nii.gz" for number in range(RATERS)]
    for file, values in zip(files, raters, strict=True):
        write_image(Image(values, small_geometry), file)
    report = evaluate([tmp_path / "x.soft.npz"], [files], small_tree, tmp_path / "out", html=False, tolerance_mm=None)
    for row in report.levels:
        assert row["rater_brier"] == pytest.approx(row["rater_brier_least"], abs=1e-4)
        assert row["rater_log_loss"] == pytest.approx(row["rater_log_loss_least"], abs=1e-3)
        small = ("disputed_mae", "disputed_calibration_error", "rater_mae", "rater_calibration_error")
        assert max(row[name] for name in small) < 0.003
        assert row["disputed_entropy"] == pytest.approx(row["disputed_entropy_raters"], abs=1e-3)


def test_one_rater_adds_no_columns_and_a_mixture_leaves_them_empty(
    folder: Path, tmp_path: Path, small_tree: LabelTree
) -> None:
    alone = evaluate(
        [folder / "ann.soft.npz"],
        [folder / "ann-0.nii.gz"],
        small_tree,
        tmp_path / "one",
        html=False,
        tolerance_mm=None,
    )
    assert not set(RATER_METRICS) & set(alone.levels[0])
    assert alone.summary()["disagreement"] is None
    two = [[folder / f"ann-{number}.nii.gz" for number in range(RATERS)], folder / "ann-0.nii.gz"]
    pairs = [Pair(f"ann {n}", folder / "ann.soft.npz", reference) for n, reference in enumerate(two)]
    both = evaluate([], [], small_tree, tmp_path / "two", pairs=pairs, html=False, tolerance_mm=None)
    first, second = (row for row in both.levels if row["level"] == 1)
    assert math.isfinite(first["rater_brier"])
    assert math.isnan(second["rater_brier"])
    assert both.level_summary()[1]["rater_brier"]["n"] == 1
