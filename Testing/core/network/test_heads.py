from __future__ import annotations

import pytest
import torch

from softseg.errors import InputError
from softseg.network import Head, NormReLU

A = torch.tensor([-1.0, 2, 0.5, 4], dtype=torch.float64)
B = torch.stack([A, torch.tensor([8.0, 0, 0, 0], dtype=torch.float64)])


def values(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def test_one_channel_equals_the_reference_values() -> None:
    one, two = A.view(1, 1, 4), B.view(2, 1, 4)
    torch.testing.assert_close(NormReLU("sample")(one).flatten(), values(0, 0.5, 0.125, 1))
    torch.testing.assert_close(NormReLU("sample")(two)[0].flatten(), values(0, 0.5, 0.125, 1))
    torch.testing.assert_close(NormReLU("batch")(two)[0].flatten(), values(0, 0.25, 0.0625, 0.5))
    torch.testing.assert_close(NormReLU("volume")(one).flatten(), values(0, 0.5, 0.125, 1))


def test_all_negative_stays_zero_and_has_a_gradient_that_is_a_number() -> None:
    logits = torch.full((1, 3, 4), -1.0, dtype=torch.float64, requires_grad=True)
    probabilities = NormReLU()(logits)
    probabilities.sum().backward()
    assert torch.count_nonzero(probabilities) == 0
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_several_channels_are_divided_by_their_sum() -> None:
    probabilities = NormReLU()(values(10, 2, 5).view(1, 3, 1))
    torch.testing.assert_close(probabilities.flatten(), values(0.5882353, 0.1176471, 0.2941176), atol=1e-7, rtol=0)


@pytest.mark.parametrize("scope", ["sample", "batch"])
def test_gradients_are_exact(scope: str) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(NormReLU(scope), (logits,))
    logits = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(NormReLU(scope), (logits,))


@pytest.mark.parametrize("head", [Head("softmax", 5), Head("normrelu", 5), Head("normrelu", 2)])
def test_a_batch_equals_its_items(head: Head) -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, head.out_channels, 4, 4)
    together = head.probabilities(logits, "sample")
    for item in range(3):
        torch.testing.assert_close(together[item : item + 1], head.probabilities(logits[item : item + 1], "sample"))


@pytest.mark.parametrize("head", [Head("softmax", 4), Head("normrelu", 4), Head("normrelu", 2), Head("normrelu", 2, 1)])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_probabilities_of_all_leaves_lie_in_0_to_1_and_sum_to_1_or_0(head: Head, dimensions: int) -> None:
    torch.manual_seed(0)
    probabilities = head.probabilities(torch.randn(2, head.out_channels, *[6] * dimensions, dtype=torch.bfloat16))
    assert probabilities.dtype == torch.float32
    assert probabilities.shape == (2, head.classes, *[6] * dimensions)
    assert 0 <= probabilities.min() <= probabilities.max() <= 1
    total = probabilities.sum(dim=1)
    assert ((total - 1).abs().lt(1e-5) | total.eq(0)).all()


def test_the_single_foreground_head_knows_where_the_background_is() -> None:
    logits = A.view(1, 1, 4)
    first, second = Head("normrelu", 2, 0), Head("normrelu", 2, 1)
    assert (first.out_channels, first.foreground, second.foreground) == (1, 1, 0)
    torch.testing.assert_close(first.probabilities(logits)[0, 1], values(0, 0.5, 0.125, 1))
    torch.testing.assert_close(second.probabilities(logits)[0, 0], values(0, 0.5, 0.125, 1))
    assert Head("normrelu", 2, None).out_channels == 2


def test_wrong_use_is_refused() -> None:
    with pytest.raises(InputError, match=r"scope: scope must be one of sample, batch, volume; got 'image'"):
        NormReLU("image")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"head: expected softmax, normrelu or godin, got 'sigmoid'"):
        Head("sigmoid", 3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"head: a head needs at least 2 leaves"):
        Head("softmax", 1)
    with pytest.raises(ValueError, match=r"expected 3 channels, got 2"):
        Head("softmax", 3).probabilities(torch.zeros(1, 2, 4))
