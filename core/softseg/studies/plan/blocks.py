"""Folds within one image: blocks of voxels that train, validate or test, with margins between them.

A random division of single pixels would test on the neighbours of what was trained on. Blocks and margins keep the
labels apart; the image itself is seen as a whole, so a patch at the rim of a training block still shows its network
unlabelled pixels of a test block.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from softseg.types import BoolArray, IntArray

Part = Literal["train", "val", "test"]


def deal_blocks(labels: IntArray, edge: int, count: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """Return the fold of every voxel: blocks are dealt so that each class lies in as many folds as it can.

    Classes are dealt one after the other, the rarest first: each of its blocks that is still free goes to the fold
    that has least of this class, and of those to the one with the fewest labelled voxels. Ours.

    Parameters
    ----------
    labels: ``(k, j, i)``, 0 where nothing is labelled.
    edge: of a block, in voxels, along every axis.
    count: number of folds.
    seed: shuffles blocks that are alike.
    """
    block = block_numbers(labels.shape, edge)
    values, classes = np.unique(labels, return_inverse=True)
    blocks = int(block.max(initial=0)) + 1
    table = np.zeros((blocks, len(values)), np.int64)
    np.add.at(table, (block.ravel(), classes.ravel()), 1)
    table = table[:, values != 0]
    fold = np.full(blocks, -1)
    held = np.zeros((count, table.shape[1]), np.int64)
    order = np.random.default_rng(seed).permutation(blocks)
    for column in np.argsort(table.sum(axis=0), kind="stable"):
        own = [b for b in order if fold[b] < 0 and table[b, column]]
        for b in sorted(own, key=lambda b: -int(table[b, column])):
            least = min(range(count), key=lambda f: (held[f, column], held[f].sum(), f))
            fold[b] = least
            held[least] += table[b]
    for number, b in enumerate(b for b in order if fold[b] < 0):
        fold[b] = number % count
    return np.asarray(fold[block], np.int64)


def block_numbers(shape: tuple[int, ...], edge: int) -> npt.NDArray[np.int64]:
    """Return the number of the block that each voxel lies in; blocks at the far ends may be smaller."""
    number = np.zeros(shape, np.int64)
    for axis, size in enumerate(shape):
        along = np.arange(size) // edge
        number = number * (int(along[-1]) + 1) + along.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return number


def part_masks(
    fold: npt.NDArray[np.int64], number: int, count: int, validation: int, margin: int
) -> dict[Part, BoolArray]:
    """Return which voxels' labels each part of fold ``number`` may use.

    The tested blocks are used whole, so that over all folds every labelled voxel is tested once. Labels within
    ``margin`` voxels of a tested block are not validated on, those within ``margin`` of either are not trained on.

    Parameters
    ----------
    fold: of every voxel (:func:`deal_blocks`).
    number: the fold that is tested; the next ``validation`` folds choose the network.
    count: number of folds.
    validation: folds that choose the best network.
    margin: voxels, along every axis.
    """
    test = fold == number
    val = np.isin(fold, [(number + 1 + later) % count for later in range(validation)]) & ~test
    train = ~(test | val)
    return {"train": train & ~_grown(test | val, margin), "val": val & ~_grown(test, margin), "test": test}


def _grown(mask: BoolArray, margin: int) -> BoolArray:
    if margin == 0:
        return mask
    size = [min(2 * margin + 1, 2 * length - 1) for length in mask.shape]
    return np.asarray(ndimage.maximum_filter(mask, size=size, mode="constant"), np.bool_)
