"""Average calibration error: hand values, a plain loop by the definition, levels, and that it calibrates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from softseg.errors import InputError
from softseg.losses import build_loss
from softseg.losses.calibration_error import CalibrationErrorLoss
from softseg.tree import LabelTree


def plain(probabilities: np.ndarray[Any, Any], truth: np.ndarray[Any, Any], bins: int) -> float:
    """Return mL1-ACE of ``[B, K, n]`` by its definition."""
    total = 0.0
    for item in range(probabilities.shape[0]):
        for node in range(probabilities.shape[1]):
            if not truth[item, node].any():
                continue
            place = np.minimum((probabilities[item, node] * bins).astype(int), bins - 1)
            gaps = [
                abs(probabilities[item, node][place == b].mean() - truth[item, node][place == b].mean())
                for b in np.unique(place)
            ]
            total += float(np.mean(gaps))
    return total / (probabilities.shape[0] * probabilities.shape[1])


def test_hand_values() -> None:
    from softseg.tree import Node

    tree = LabelTree([Node("r", "r", None), Node("a", "a", "r", value=0), Node("b", "b", "r", value=1)])
    probability = torch.tensor([0.9, 0.8, 0.7, 0.1], dtype=torch.float64)  # of b, in two bins
    probabilities = torch.stack([1 - probability, probability])[None]
    target = torch.tensor([1, 1, 0, 0])[None, None]
    loss = CalibrationErrorLoss(tree, bins=2, on="probabilities")
    # b: upper bin mean probability 0.8, two of three are b; lower bin 0.1, none is. a: the same seen from the other
    # side
    expected = (abs(0.8 - 2 / 3) + 0.1) / 2
    assert float(loss(probabilities[..., None], target[..., None])) == pytest.approx(expected)
    values = probabilities[..., None].clone().requires_grad_()
    (slopes,) = torch.autograd.grad(loss(values, target[..., None]), values)
    np.testing.assert_allclose(slopes[0, 1, :, 0], [1 / 12, 1 / 12, 1 / 12, 1 / 4])  # sign / bin / occupied / classes
    only_b = torch.ones_like(target)  # a is absent: it adds nothing, but counts in the mean over classes
    assert float(loss(probabilities[..., None], only_b[..., None])) == pytest.approx((0.2 + 0.9) / 2 / 2)


@pytest.mark.parametrize("levels", ["leaves", "all", [1, 3]])
@pytest.mark.parametrize("soft", [False, True])
def test_a_plain_loop_gives_the_same(tree: LabelTree, levels: Any, soft: bool) -> None:
    generator = torch.Generator().manual_seed(4)
    logits = 2 * torch.randn(2, 5, 40, 50, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 4, (2, 1, 40, 50), generator=generator)  # the last class is absent
    dense = torch.nn.functional.one_hot(labels[:, 0], 5).movedim(-1, 1).double()
    if soft:
        dense = 0.7 * dense + 0.3 * dense.roll(1, 2)
    found = CalibrationErrorLoss(tree, 20, levels)(logits, dense if soft else labels)
    wanted = {"leaves": [3], "all": [1, 2, 3]}.get(str(levels), [1, 3])
    probabilities, truth = (values.flatten(2).numpy() for values in (logits.softmax(1), dense))
    expected = np.mean(
        [
            plain(*(tree.cut_at(level).membership() @ values for values in (probabilities, truth)), bins=20)
            for level in wanted
        ]
    )
    assert float(found) == pytest.approx(expected, rel=1e-9)


def test_inner_labels_speak_at_their_level_and_above(tree: LabelTree, logits: Tensor) -> None:
    inner = torch.full((2, 1, 2, 3), tree.class_index("tum"))
    leaf = torch.full((2, 1, 2, 3), tree.class_index("t1"))
    coarse, fine = CalibrationErrorLoss(tree, levels=[1, 2]), CalibrationErrorLoss(tree, levels=[3])
    torch.testing.assert_close(coarse(logits, inner), coarse(logits, leaf))
    assert float(fine(logits, inner)) == 0
    assert float(fine(logits, leaf)) > 0


def test_it_makes_a_sure_model_honest(flat_tree: LabelTree) -> None:
    """One number, the inverse temperature, learns what the labels were drawn with."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(1, 5, 60, 60, generator=generator)
    labels = torch.multinomial(logits.softmax(1)[0].flatten(1).t(), 1, generator=generator).view(1, 1, 60, 60)
    inverse = torch.tensor(3.0, requires_grad=True)
    optimizer = torch.optim.Adam([inverse], lr=0.1)
    loss = CalibrationErrorLoss(flat_tree)
    before = float(loss(3 * logits, labels))
    for _ in range(40):
        optimizer.zero_grad()
        loss(inverse * logits, labels).backward()
        optimizer.step()
    assert float(inverse) == pytest.approx(1, abs=0.25)
    assert float(loss(inverse.detach() * logits, labels)) < before / 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bins": 1}, r"bins: 1 is not a whole number of at least 2"),
        ({"bins": 2.5}, r"bins: 2.5 is not a whole number"),
        ({"levels": [4]}, r"levels: expected 'leaves', 'all' or levels from 1 to 3, got \[4\]"),
        ({"levels": "top"}, r"levels: expected 'leaves', 'all' or levels"),
        ({"on": "shares"}, r"on: 'shares' is not known"),
    ],
)
def test_options_are_checked(tree: LabelTree, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_loss([{"name": "cross-entropy"}, {"name": "calibration-error", **options}], tree)


def test_alone_it_is_refused(tree: LabelTree) -> None:
    with pytest.raises(InputError, match="calibration-error cannot be used alone"):
        build_loss([{"name": "calibration-error"}], tree)
