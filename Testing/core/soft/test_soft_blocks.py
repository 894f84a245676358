"""Blocks brought to another grid one by one must give what the whole distribution gives at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from softseg.image import Geometry, Image
from softseg.soft.blocks import BlockResampler, Index, Partition
from softseg.soft.compress import Compressor
from softseg.soft.encoding import encode
from softseg.soft.resample import resample_image

EYE = np.eye(3)
SOURCE_SIZE = (15, 13, 17)
LEAVES = 5


def grid(axes: np.ndarray[Any, Any], spacing: tuple[float, ...], size: tuple[int, ...], middle: Any = (0, 0, 0)) -> Any:
    origin = np.asarray(middle) - axes @ ((np.asarray(size) - 1) / 2 * np.asarray(spacing))
    return Geometry(size, spacing, tuple(float(x) for x in origin), tuple(float(x) for x in axes.ravel()))


SOURCE = grid(EYE, (2.0, 2.0, 2.0), SOURCE_SIZE)
OBLIQUE = Rotation.from_euler("xyz", [12, -20, 31], degrees=True).as_matrix()
TARGETS = {
    "itself": SOURCE,
    "finer": grid(EYE, (1.0, 1.3, 0.7), (30, 20, 48)),
    "coarser": grid(EYE, (5.0, 4.1, 7.0), (7, 7, 6)),
    "thick slices": grid(EYE, (1.0, 1.0, 9.0), (30, 26, 4)),
    "flipped": grid(EYE * [-1, 1, -1], (1.5, 2.0, 2.5), (20, 13, 14)),
    "permuted": grid(EYE[:, [2, 0, 1]], (1.4, 2.0, 3.0), (25, 15, 9)),
    "larger and moved": grid(EYE, (2.0, 2.0, 2.0), (20, 19, 21), (0.7, -1.1, 3.0)),
    "a crop": grid(EYE, (2.0, 2.0, 2.0), (7, 5, 9), (2.0, 0.0, -4.0)),
    "oblique": grid(OBLIQUE, (1.7, 1.9, 1.6), (18, 17, 20)),
    "oblique and coarse": grid(OBLIQUE, (5.2, 4.0, 7.1), (7, 8, 6)),
}


def distribution(box: tuple[slice, slice, slice], background: int | None) -> np.ndarray[Any, Any]:
    """Return probabilities ``(k, j, i, C)`` that differ from the background only inside the box."""
    shape = SOURCE.shape
    whole = np.zeros((*shape, LEAVES), np.float32)
    if background is not None:
        whole[..., background] = 1
    part = np.random.default_rng(1).dirichlet([0.4] * LEAVES, whole[box].shape[:3])
    whole[box] = part
    return whole


def expected_on(target: Geometry, whole: np.ndarray[Any, Any], background: int | None) -> np.ndarray[Any, Any]:
    outside = [1.0 if leaf == background else 0.0 for leaf in range(LEAVES)]
    leaves = [Image(np.ascontiguousarray(whole[..., leaf]), SOURCE) for leaf in range(LEAVES)]
    return np.stack(
        [resample_image(leaf, target, outside=value).array for leaf, value in zip(leaves, outside, strict=True)]
    )


def streamed(
    target: Geometry, whole: np.ndarray[Any, Any], partition: Partition, background: int | None
) -> np.ndarray[Any, Any]:
    def blocks() -> Iterator[tuple[Index, Any]]:
        for block in partition.blocks():
            part = whole[partition.place(block)]
            sure = background is not None and bool((part[..., background] == 1).all())
            yield block, None if sure else np.ascontiguousarray(part)

    out = np.zeros((LEAVES, *target.shape), np.float32)
    if background is not None:
        out[background] = 1
    seen = np.zeros(out[0].size, int)
    resampler = BlockResampler(SOURCE, target, LEAVES, background)
    for voxels, classes, values in resampler.resampled(blocks(), partition):
        seen[voxels] += 1
        out.reshape(LEAVES, -1)[:, voxels] = 0
        out.reshape(LEAVES, -1)[np.ix_(classes, voxels)] = values
    assert seen.max() <= 1, "a voxel came twice"
    return out


def cuts(size: int) -> st.SearchStrategy[tuple[int, ...]]:
    inner = st.sets(st.integers(1, size - 1), max_size=5)
    return inner.map(lambda edges: tuple(sorted({0, size, *edges})))


@pytest.mark.parametrize("background", [0, 2, None])
@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=8, deadline=None)
@given(edges=st.tuples(*map(cuts, SOURCE.shape)), order=st.permutations(range(3)))
def test_blocks_equal_the_whole(name: str, background: int | None, edges: Any, order: Any) -> None:
    whole = distribution((slice(None), slice(None), slice(None)), background)
    found = streamed(TARGETS[name], whole, Partition(edges, tuple(order)), background)
    np.testing.assert_allclose(found, expected_on(TARGETS[name], whole, background), atol=1e-5)


@pytest.mark.parametrize("name", TARGETS)
def test_a_box_within_the_grid_needs_a_rim_of_background_only(name: str) -> None:
    box = (slice(6, 12), slice(3, 9), slice(5, 11))
    whole = distribution(box, 1)
    rim = BlockResampler(SOURCE, TARGETS[name], LEAVES, 1).rim
    edges = [
        tuple(sorted({max(0, side.start - width), side.start, side.start + 2, side.stop, min(size, side.stop + width)}))
        for side, width, size in zip(box, rim, SOURCE.shape, strict=True)
    ]
    found = streamed(TARGETS[name], whole, Partition((edges[0], edges[1], edges[2]), (2, 0, 1)), 1)
    np.testing.assert_allclose(found, expected_on(TARGETS[name], whole, 1), atol=1e-5)


def test_rims_are_as_wide_as_the_kernel_reaches() -> None:
    assert BlockResampler(SOURCE, SOURCE, LEAVES, 0).rim == (0, 0, 0)
    assert BlockResampler(SOURCE, TARGETS["finer"], LEAVES, 0).rim == (1, 1, 1)
    assert BlockResampler(SOURCE, TARGETS["thick slices"], LEAVES, 0).rim == (4, 1, 1)


def test_pieces_may_be_stored_in_any_order() -> None:
    shape = (4, 5, 6)
    values = np.random.default_rng(0).dirichlet([0.3] * LEAVES, 120).astype(np.float32).T
    in_order, mixed = Compressor(LEAVES, 0, shape, 8), Compressor(LEAVES, 0, shape, 8)
    in_order.add(np.arange(120), np.arange(LEAVES), values)
    for first in (60, 0, 90, 30):
        mixed.add(np.arange(first, first + 30), np.arange(LEAVES), values[:, first : first + 30])
    for one, other in zip(in_order.stored(), mixed.stored(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_rounding_does_not_change_which_leaf_wins() -> None:
    """Between two structures of nearly equal probability a step of 1/255 would decide, for one voxel in a thousand."""
    generator, count, leaves = np.random.default_rng(0), 20_000, 135
    first, second = generator.integers(0, leaves, (2, count))
    probability = 1 / (1 + np.exp(-generator.normal(0, 3, count)))
    exact = 0.05 * generator.dirichlet([0.05] * leaves, count)
    np.add.at(exact, (np.arange(count), first), 0.95 * probability)
    np.add.at(exact, (np.arange(count), second), 0.95 * (1 - probability))
    exact = exact.astype(np.float32)
    compressor = Compressor(leaves, None, (1, 1, count), 8)
    compressor.add(np.arange(count), np.arange(leaves), exact.T)
    stored = compressor.stored()
    probabilities = np.zeros((count, leaves))
    probabilities[np.repeat(np.arange(count), stored.counts.reshape(-1)), stored.leaves] = stored.probabilities / 255
    assert (probabilities.argmax(axis=1) != exact.argmax(axis=1)).mean() < 1e-4
    off = np.cumsum(probabilities - exact, axis=1)
    spread = np.maximum(off.max(axis=1), 0) - np.minimum(off.min(axis=1), 0)
    assert spread.max() <= stored.node_error + 1e-6


def test_nearly_certain_voxels_are_stored_as_any_other() -> None:
    """They take a shorter way, which must give what the encoding would."""
    generator, count, leaves = np.random.default_rng(0), 5000, 9
    rest = generator.uniform(0, 4 / 255, count)[:, None] * generator.dirichlet([0.3] * leaves, count)
    exact = rest.copy()
    exact[np.arange(count), generator.integers(0, leaves, count)] += 1 - rest.sum(axis=1)
    values = np.ascontiguousarray(exact.astype(np.float32).T)
    compressor = Compressor(leaves, None, (1, 1, count), 8)
    compressor.add(np.arange(count), np.arange(leaves), values)
    stored, expected = compressor.stored(), encode(values, 8)
    assert 0.05 < (stored.counts == 1).mean() < 0.95
    np.testing.assert_array_equal(stored.counts.reshape(-1), expected.counts)
    np.testing.assert_array_equal(stored.leaves, expected.leaves)
    np.testing.assert_array_equal(stored.probabilities, expected.probabilities)
