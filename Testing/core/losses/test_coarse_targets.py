"""Voxels of which only a group is known, beside a soft target: one mean, exact for every loss over the tree."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from softseg.losses import build_loss
from softseg.losses.coarse import uses_coarse
from softseg.tree import LabelTree
from softseg.types import IGNORE_INDEX


@pytest.fixture
def mixed(tree: LabelTree) -> Tensor:
    """Leaves, groups and unlabelled voxels, int64 [2, 1, 5, 6]."""
    choices = [*range(5), tree.class_index("T"), tree.class_index("tum"), tree.class_index("root"), IGNORE_INDEX]
    generator = torch.Generator().manual_seed(0)
    return torch.tensor(choices)[torch.randint(len(choices), (2, 1, 5, 6), generator=generator)]


def split(mixed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same as a soft target, its mask and groups."""
    leaf = (mixed >= 0) & (mixed < 5)
    soft = F.one_hot(mixed.clamp(0, 4)[:, 0], 5).movedim(-1, 1).double() * leaf
    return soft, leaf, torch.where(leaf, IGNORE_INDEX, mixed)


@pytest.mark.parametrize(
    "specs",
    [
        [{"name": "cross-entropy"}],
        [{"name": "tree-cross-entropy", "level_weights": "top", "every_level": True}],
        [{"name": "tree-cross-entropy", "form": "node"}],
        [{"name": "wasserstein-cross-entropy"}],
        [{"name": "tree-wasserstein", "weight": 2}, {"name": "tree-cross-entropy"}],
    ],
)
def test_leaves_and_groups_are_one_mean_as_in_an_integer_target(
    tree: LabelTree, mixed: Tensor, specs: list[dict]
) -> None:
    loss = build_loss(specs, tree)
    logits = torch.randn(2, 5, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    one, other = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    soft, mask, groups = split(mixed)
    value, expected = loss(one, soft, mask, groups), loss(other, mixed)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(torch.autograd.grad(value, one), torch.autograd.grad(expected, other))


def test_only_losses_over_the_tree_use_groups(tree: LabelTree, mixed: Tensor) -> None:
    soft, mask, groups = split(mixed)
    logits = torch.randn(2, 5, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for name in ("dice", "adaptive-wing"):
        loss = build_loss([{"name": name}], tree)
        predicted = logits if loss.on == "logits" else logits.softmax(1)
        assert not any(uses_coarse(part) for part in loss.parts)
        torch.testing.assert_close(loss(predicted, soft, mask, groups), loss(predicted, soft, mask))
    both = build_loss([{"name": "cross-entropy"}, {"name": "dice", "weight": 0.5}], tree)
    parts = [build_loss([{"name": name}], tree)(logits, soft, mask, groups) for name in ("cross-entropy", "dice")]
    torch.testing.assert_close(both(logits, soft, mask, groups), parts[0] + 0.5 * parts[1])


def test_groups_alone_and_nothing_at_all(tree: LabelTree) -> None:
    loss = build_loss([{"name": "cross-entropy"}], tree)
    logits = torch.randn(1, 5, 2, 2, requires_grad=True)
    nothing, mask = torch.zeros(1, 5, 2, 2), torch.zeros(1, 1, 2, 2, dtype=torch.bool)
    groups = torch.full((1, 1, 2, 2), tree.class_index("T"))
    torch.testing.assert_close(loss(logits, nothing, mask, groups), loss(logits, groups))
    value = loss(logits, nothing, mask, torch.full_like(groups, IGNORE_INDEX))
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()
