"""Class means and shared covariance against numpy, and what is said where they cannot be trusted."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from softseg.errors import InputError
from softseg.outliers.statistics import ClassStatistics, Gaussians

NAMES = ("one", "two", "three")


def drawn(seed: int, counts: tuple[int, ...] = (40, 50, 60), size: int = 3, offset: float = 0.0) -> tuple:
    random = np.random.default_rng(seed)
    mixing = np.linalg.qr(random.normal(0, 1, (size, size)))[0] * random.uniform(0.5, 2, size)
    means = random.normal(0, 5, (len(counts), size)) + offset
    classes = np.repeat(np.arange(len(counts)), counts)
    features = means[classes] + random.normal(0, 1, (len(classes), size)) @ mixing
    order = random.permutation(len(classes))
    return features[order].astype(np.float32), classes[order]


def estimated(parts: list[tuple], names: tuple[str, ...] = NAMES) -> Gaussians:
    statistics = ClassStatistics(len(names))
    for features, classes in parts:
        classes = torch.from_numpy(classes)[:, None]
        statistics.add(torch.from_numpy(features), classes, torch.ones(classes.shape))
    return statistics.estimated(names)


@given(seed=st.integers(0, 999), cuts=st.lists(st.integers(0, 150), max_size=5), offset=st.sampled_from([0, 300.0]))
def test_one_pass_in_any_pieces_gives_what_numpy_gives_at_once(seed: int, cuts: list[int], offset: float) -> None:
    features, classes = drawn(seed, offset=offset)
    edges = [0, *sorted(cuts), len(classes)]
    parts = [(features[a:b], classes[a:b]) for a, b in itertools.pairwise(edges)]
    found = estimated(parts)
    means = np.stack([features[classes == c].astype(np.float64).mean(0) for c in range(3)])
    residual = features.astype(np.float64) - means[classes]
    covariance = residual.T @ residual / len(classes)
    np.testing.assert_allclose(found.means, means, rtol=1e-4, atol=1e-4)
    inverse = found.whitening.double().T @ found.whitening.double()
    np.testing.assert_allclose(inverse @ covariance, np.eye(3), atol=2e-3)
    assert (found.voxels, found.missing, found.shrinkage) == (150, (), 0)


def test_probabilities_count_as_so_many_voxels() -> None:
    features, classes = drawn(0)
    twice = estimated([(features, classes), (features, classes)])
    statistics = ClassStatistics(3)
    both = torch.from_numpy(np.stack([classes, classes], 1))
    statistics.add(torch.from_numpy(features), both, torch.tensor([0.75, 0.25]).expand(len(classes), 2))
    for one, other in zip(twice, statistics.estimated(NAMES), strict=True):
        if isinstance(one, torch.Tensor):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_class_with_one_voxel_has_that_voxel_as_its_mean() -> None:
    features, classes = drawn(1, (40, 1, 60))
    found = estimated([(features, classes)])
    np.testing.assert_allclose(found.means[1], features[classes == 1][0], rtol=1e-5)
    assert bool(torch.isfinite(found.whitening).all())


def test_classes_without_a_voxel_are_named() -> None:
    features, classes = drawn(2, (40, 50))
    found = estimated([(features, classes)])
    assert found.missing == (2,)
    assert found.means.shape == (2, 3)


@pytest.mark.parametrize("broken", ["repeated", "dead", "few"])
def test_a_singular_covariance_is_shrunk_by_as_little_as_it_takes(broken: str) -> None:
    features, classes = drawn(3, (2, 2, 2) if broken == "few" else (40, 50, 60), size=8)
    if broken == "repeated":
        features[:, 5] = features[:, 4]
    if broken == "dead":
        features[:, 5] = 0
    found = estimated([(features, classes)])
    assert 0 < found.shrinkage <= 1e-3
    assert bool(torch.isfinite(found.whitening).all())
    values = torch.linalg.svdvals(found.whitening.double()) ** 2
    assert float(values.max() / values.min()) < 1.01e6


def test_features_that_do_not_vary_are_refused() -> None:
    classes = np.array([0, 0, 1, 1])
    with pytest.raises(InputError, match=r"do not vary within the classes: .*use more labelled voxels"):
        estimated([(np.ones((4, 3), np.float32), classes)])
    with pytest.raises(InputError, match="do not vary within the classes"):
        estimated([(np.eye(3, dtype=np.float32), np.arange(3))])  # one voxel for each class


def test_nothing_labelled_is_said() -> None:
    with pytest.raises(InputError, match=r"no labelled voxel of one, two, three to estimate from"):
        estimated([])
    names = tuple("abcde")
    with pytest.raises(InputError, match=r"no labelled voxel of a, b, c \.\.\. to estimate from"):
        estimated([(np.zeros((0, 3), np.float32), np.zeros(0, np.int64))], names)
