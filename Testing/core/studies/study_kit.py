"""Small things that the tests of studies share: a tree of fields, patchworks, judged voxels made by hand."""

from __future__ import annotations

import numpy as np

from softseg.studies.work.voxels import HELD_OUT, INSIDE, JudgedVoxels
from softseg.tree import LabelTree, Node

CORN, WHEAT, OAK, PINE = 2, 3, 5, 6
"""Positions of the leaves in ``field_tree().nodes``; their parents are 1 (crops) and 4 (woods)."""


def field_tree() -> LabelTree:
    """Two kinds of crop, two of trees; no background."""
    rows = [("land", None, None), ("crops", "land", None), ("corn", "crops", 1), ("wheat", "crops", 2)]
    rows += [("woods", "land", None), ("oak", "woods", 3), ("pine", "woods", 4)]
    return LabelTree([Node(id=name, name=name, parent=up, value=value) for name, up, value in rows], name="fields")


def field_labels(seed: int, size: int = 24) -> np.ndarray:
    """A patchwork of four classes, some of it unlabelled: uint8 ``(1, size, size)``."""
    generator = np.random.default_rng(seed)
    coarse = generator.permutation(np.resize([0, 1, 2, 3, 4, 1, 2, 3, 4], 36)).reshape(6, 6)
    return np.kron(coarse, np.ones((size // 6, size // 6), np.int64))[None].astype(np.uint8)


def some_voxels(seed: int, *, held: bool = True, perfect: bool = False, count: int = 400) -> JudgedVoxels:
    """Answers that are mostly right; pine is held out and scores higher, by a lot where ``perfect``.

    Half of the voxels are of the validation part.
    """
    generator = np.random.default_rng(seed)
    leaf = generator.choice([CORN, WHEAT, OAK, *([PINE] if held else [])], count)
    outside = leaf == PINE
    right = generator.random(count) < 0.8
    answer = np.where(right & ~outside, leaf, generator.choice([CORN, WHEAT, OAK], count))
    parent = np.array([0, 1, 1, 1, 4, 4, 4])
    share = generator.uniform(0.4, 1, (2, count)).astype(np.float32)
    score = generator.normal(0, 1, count) + np.where(outside, 100 if perfect else 1.5, 0)
    return JudgedVoxels(
        case=np.zeros(count, np.uint16),
        tested=np.arange(count) % 2 == 0,
        state=np.where(outside, HELD_OUT, INSIDE).astype(np.uint8),
        truth=np.stack([parent[leaf], leaf]).astype(np.int16),
        answer=np.stack([parent[answer], answer]).astype(np.int16),
        share=share,
        scores=score[None].astype(np.float32),
    )
