"""Level weights by word: known without the depth of the tree, of one sum, top and bottom each other's mirror."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from softseg.errors import InputError
from softseg.losses import TreeCrossEntropyLoss, build_loss
from softseg.losses.level_weights import weights_by_word
from softseg.tree import LabelTree


@given(st.integers(1, 12))
def test_top_halves_at_each_level_and_all_words_have_the_same_sum(depth: int) -> None:
    top, even, bottom = (weights_by_word(word, depth) for word in ("top", "even", "bottom"))
    assert even == [1.0] * depth
    assert bottom == pytest.approx(top[::-1])
    assert sum(top) == pytest.approx(depth)
    assert all(upper == pytest.approx(2 * lower) for upper, lower in pairwise(top))


def test_a_word_in_a_recipe_is_the_numbers_it_stands_for(
    tree: LabelTree, logits: Tensor, targets: dict[str, Tensor]
) -> None:
    assert tree.depth == 3
    numbers = [12 / 7, 6 / 7, 3 / 7]
    for word, weights in (("top", numbers), ("bottom", numbers[::-1]), ("even", None)):
        named = build_loss([{"name": "tree-cross-entropy", "level_weights": word, "every_level": True}], tree)
        expected = TreeCrossEntropyLoss(tree, weights, every_level=True)
        for target in targets.values():
            torch.testing.assert_close(named(logits, target), expected(logits, target))


def test_another_word_is_an_error(tree: LabelTree) -> None:
    with pytest.raises(InputError, match=r"loss\[0\].level_weights.*'upper'.*'top', 'even', 'bottom' or 3 numbers"):
        build_loss([{"name": "tree-cross-entropy", "level_weights": "upper"}], tree)
