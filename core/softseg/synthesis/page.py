"""A page of synthetic images beside what is learned from them, to look at before a training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture

from softseg.files import write_beside
from softseg.synthesis.draw import Draw
from softseg.tree import LabelTree
from softseg.tree.colors import node_colors

COLUMNS = 8
_GAP = 2


def write_page(draws: Sequence[Draw], tree: LabelTree, out: str | PathLike[str]) -> Path:
    """Draw one slice of each patch, by turns across the three axes, and its target in the tree's mixed colours.

    Parameters
    ----------
    draws: what to show.
    tree: the learned tree, whose leaves the targets are.
    out: a PNG file.
    """
    colors = node_colors(tree)
    table = np.asarray([colors[node.id] for node in tree.class_nodes], np.float32)
    background = 0 if tree.background is None else tree.leaf_index(tree.background.id)
    tiles = [tile(draw, table, background, number % 3) for number, draw in enumerate(draws)]
    height = max(part.shape[0] for part in tiles) + _GAP
    width = max(part.shape[1] for part in tiles) + _GAP
    columns = min(COLUMNS // 2, len(tiles))
    page = np.full((math.ceil(len(tiles) / columns) * height, columns * width, 3), 255, np.uint8)
    for number, part in enumerate(tiles):
        row, column = divmod(number, columns)
        page[row * height : row * height + part.shape[0], column * width : column * width + part.shape[1]] = part
    with write_beside(out) as temporary:
        Picture.fromarray(page).save(temporary, format="PNG")
    return Path(out)


def tile(draw: Draw, table: npt.NDArray[np.float32], background: int, axis: int) -> npt.NDArray[np.uint8]:
    """Return the slice of the image and of the target with the most structure, side by side, ``[h, 2 w, 3]``.

    ``table`` has the colour of each class, ``[classes, 3]``, leaves first.
    """
    structure = (1 - draw.target[background]).sum(dim=tuple(other for other in range(3) if other != axis))
    middle = int(structure.argmax())
    image = draw.image.select(axis, middle).numpy()
    target = draw.target.select(axis + 1, middle).numpy()
    low, high = np.percentile(draw.image.numpy(), (1, 99.5))
    grey = np.clip((image - low) / max(high - low, 1e-6), 0, 1) * 255
    colour = np.tensordot(table[: len(target)].T, target, axes=1).transpose(1, 2, 0)
    if draw.coarse is not None:
        groups = draw.coarse.select(axis, middle).numpy()
        colour[groups >= 0] = table[groups[groups >= 0]]
    both = np.concatenate([np.repeat(grey[..., None], 3, axis=2), colour], axis=1)
    return np.asarray(both[::-1] if axis else both, np.uint8)  # superior is up
