"""From dense distributions to the few 8-bit probabilities that a soft parcellation stores.

The scheme is ours. In each voxel some leaves are kept, in tree order, and what is rounded to multiples of 1/255 is not
each probability but the *cumulated* distribution along that order; a stored probability is the difference of two
rounded sums. Every tree node covers neighbouring leaves, so its summed probability is the difference of two cumulated
values as well, each off by at most half a step: a node's error is at most 1/255 plus what the leaves left out between
its ends can hide, however many leaves it has. What a left-out leaf had goes to the next kept leaf in tree order, so
that coarse nodes, which mostly contain both, do not change. The stored probabilities sum to what the given ones sum to.
Where rounding would let another leaf win than the largest, one more cumulated value is rounded the other way (then a
node may be off by 1.5 / 255 instead of 1 / 255), unless that would exceed ``NODE_ERROR``.

The ``k`` largest leaves are kept. Where these leave out more than ``MOST_DROPPED``, a leaf is kept as well whenever the
leaves passed since the last kept one have gathered ``GATHERED`` steps, which bounds every node's error by
``NODE_ERROR``. Where that would keep more than ``MOST_KEPT`` leaves (a nearly flat distribution), more may be gathered,
so that the number of leaves stays below it, and the largest error that this makes is returned.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from softseg.soft.rows import cumulate, largest, last_true, raise_to_largest
from softseg.types import BoolArray, FloatArray

SCALE = 255
"""Stored steps per unit of probability."""

MOST_DROPPED = 0.005
"""Where the ``k`` largest leaves would leave out more than this, more are kept (our default)."""

NODE_ERROR = 0.01
"""No node is further than this from the distribution it was made from, except in nearly flat ones (our default)."""

MOST_KEPT = 64
"""Leaves that a voxel stores at most, as long as ``k`` is smaller than that (our default)."""

GATHERED = 1.89
"""Steps of 1/255 that left-out leaves in a row may have: with half a step of rounding below ``NODE_ERROR``."""

_DUST = 1e-4  # leaves are not worth keeping where all of that size together have less than this


class Encoded(NamedTuple):
    """Some voxels' stored leaves.

    Attributes
    ----------
    counts: uint8 ``(N,)``: stored leaves of each voxel, at most 255.
    leaves: int16, one per stored leaf: its row in the given values, voxel after voxel, increasing within a voxel.
    probabilities: uint8, one per stored leaf: 1..255.
    error: largest error of a node in a voxel that would need more than ``MOST_KEPT`` leaves, 0 without such voxels.
    """

    counts: npt.NDArray[np.uint8]
    leaves: npt.NDArray[np.int16]
    probabilities: npt.NDArray[np.uint8]
    error: float


def encode(values: FloatArray, k: int) -> Encoded:
    """Compress distributions.

    Parameters
    ----------
    values: float32 ``(C, N)``: a distribution per voxel (column), its leaves in tree order; sums of at most 1.
    k: leaves kept in a voxel, more where these leave out more than ``MOST_DROPPED``.

    Raises
    ------
    ValueError: a value is negative or not finite, or a voxel sums to more than 1 (by more than 0.001).
    """
    leaves, count = values.shape
    if leaves == 0 or count == 0:
        return Encoded(np.zeros(count, np.uint8), np.zeros(0, np.int16), np.zeros(0, np.uint8), 0.0)
    steps = cumulate(values.astype(np.float32))
    if not (values.min() >= -1e-6 and steps[-1].max() <= 1.001 and np.isfinite(steps[-1]).all()):
        raise ValueError("expected finite probabilities in 0..1 that sum to at most 1 in every voxel")
    np.clip(steps, 0, 1, out=steps)
    steps *= np.float32(SCALE)
    keep = values > _DUST / leaves
    crowded = np.flatnonzero(keep.view(np.uint8).sum(axis=0, dtype=np.uint16) > k)
    flat = crowded[:0]
    if crowded.size:
        keep[:, crowded], is_flat = _chosen(values[:, crowded], steps[:, crowded], k)
        flat = crowded[is_flat]
    ends = np.rint(steps).astype(np.uint8)
    last = last_true(keep)
    claimed = np.flatnonzero(last >= 0)
    ends[last[claimed], claimed] = ends[-1, claimed]
    ends *= keep
    raise_to_largest(ends)
    error = _largest_error(ends[:, flat], steps[:, flat]) if flat.size else 0.0
    probabilities = np.ascontiguousarray(ends.T)
    probabilities[:, 1:] -= ends[:-1].T
    keep_largest(probabilities, values, steps)
    places = np.flatnonzero(probabilities > 0)
    counts = np.count_nonzero(probabilities, axis=1).astype(np.uint8)
    return Encoded(counts, (places % leaves).astype(np.int16), probabilities.reshape(-1)[places], error)


def keep_largest(probabilities: npt.NDArray[np.uint8], values: FloatArray, steps: FloatArray) -> None:
    """Let the leaf with the largest probability win in what is stored, too, where rounding has made another one win.

    One step goes to the right leaf, or from the winner, so that nodes are off as little as possible; none goes where a
    node would be off by more than ``NODE_ERROR``.

    Parameters
    ----------
    probabilities: ``(N, C)``, changed in place.
    values, steps: ``(C, N)``: the distributions, and the same cumulated, in steps.
    """
    right = largest(values)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != right)
    if not wrong.size:
        return
    stored, leaf, row = probabilities[wrong].astype(np.int16), right[wrong], np.arange(wrong.size)
    winner = stored.argmax(axis=1)
    exact = np.ascontiguousarray(steps[:, wrong].T)
    least = np.full(wrong.size, np.float32(NODE_ERROR * SCALE))
    best = stored.copy()
    for giver, taker in (
        (winner, leaf),
        (_neighbour(stored, leaf, -1), leaf),
        (_neighbour(stored, leaf, 1), leaf),
        (winner, _neighbour(stored, winner, -1)),
        (winner, _neighbour(stored, winner, 1)),
    ):
        trial = stored.copy()
        trial[row, giver] -= 1
        trial[row, taker] += 1
        off = np.cumsum(trial, axis=1) - exact
        spread = np.maximum(off.max(axis=1), 0) - np.minimum(off.min(axis=1), 0)
        better = (trial.argmax(axis=1) == leaf) & (trial[row, giver] >= 0) & (spread <= least)
        best[better], least[better] = trial[better], spread[better]
    probabilities[wrong] = best


def _neighbour(stored: npt.NDArray[np.int16], leaf: npt.NDArray[np.intp], way: int) -> npt.NDArray[np.intp]:
    """Return the next stored leaf before (-1) or after (1) a leaf in each voxel ``(N, C)``; itself if there is none."""
    there = stored > 0
    places = np.arange(stored.shape[1])
    there &= (places < leaf[:, None]) if way < 0 else (places > leaf[:, None])
    found = stored.shape[1] - 1 - there[:, ::-1].argmax(axis=1) if way < 0 else there.argmax(axis=1)
    return np.where(there.any(axis=1), found, leaf)


def _chosen(values: FloatArray, steps: FloatArray, k: int) -> tuple[BoolArray, BoolArray]:
    """Return which leaves are kept ``(C, N)``, and which voxels ``(N,)`` are too flat for ``NODE_ERROR``."""
    smaller = values.shape[0] - k
    upwards = np.partition(np.ascontiguousarray(values.T), smaller, axis=1)
    least = upwards[:, smaller]
    keep: BoolArray = values >= least
    broad = np.flatnonzero(upwards[:, :smaller].sum(axis=1) > MOST_DROPPED)
    flat = np.zeros(values.shape[1], bool)
    if broad.size:
        steps, largest = np.ascontiguousarray(steps[:, broad]), keep[:, broad]
        equals = np.flatnonzero(largest.sum(axis=0) > k)
        largest[:, equals] = values[:, broad[equals]] > least[broad[equals]]
        last = values.shape[0] - 1 - (values[::-1, broad] > _DUST / values.shape[0]).argmax(axis=0)
        largest[last, np.arange(broad.size)] = True  # takes the rounded total, which is wrong any earlier
        kept, number = _gathered(steps, largest, GATHERED)
        over = np.flatnonzero(number > max(MOST_KEPT, k))
        if over.size:
            room = max(1, MOST_KEPT - k - 1)
            wider, _ = _gathered(np.ascontiguousarray(steps[:, over]), largest[:, over], SCALE / room + 0.5)
            kept[:, over] = wider
            flat[broad[over]] = True
        keep[:, broad] = kept
    return keep, flat


def _gathered(steps: FloatArray, keep: BoolArray, most: float) -> tuple[BoolArray, npt.NDArray[np.uint16]]:
    """Return ``keep`` with a leaf added wherever more than ``most`` steps have gathered, and how many are kept.

    Each added leaf takes at least ``most - 0.5`` of the 255 steps there are.
    """
    keep = keep.copy()
    reached = np.zeros(steps.shape[1], np.float32)
    number = np.zeros(steps.shape[1], np.uint16)
    for row, cumulated in zip(keep, steps, strict=True):
        row |= cumulated > reached + np.float32(most)
        np.copyto(reached, np.rint(cumulated), where=row)
        number += row
    return keep, number


def _largest_error(ends: npt.NDArray[np.uint8], steps: FloatArray) -> float:
    """Return the largest error of a run of neighbouring leaves, which any node is."""
    difference = ends - steps
    spread = np.maximum(difference.max(axis=0), 0) - np.minimum(difference.min(axis=0), 0)
    return float(spread.max()) / SCALE
