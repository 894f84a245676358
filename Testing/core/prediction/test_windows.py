"""Sliding windows against MONAI's own, and what must not depend on how the windows are laid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.inferers import SliceInferer, sliding_window_inference
from prediction_kit import Intensity, make_plan

from softseg.data import NetworkSpec
from softseg.errors import CancelledError, InputError, OutOfMemoryError
from softseg.events import CancelToken, Events, ListSink
from softseg.network import Head, build_network
from softseg.prediction import sliding_probabilities, window_grid

PATCH = (16, 16, 16)


def small_network(channels: int, classes: int, dimensions: int = 3) -> torch.nn.Module:
    torch.manual_seed(3)
    return build_network(NetworkSpec(options={"filters": [4, 8, 8]}), channels, classes, dimensions).eval()


def picture(shape: tuple[int, ...], channels: int = 1) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).normal(size=(channels, *shape)).astype(np.float32)


@pytest.mark.parametrize("overlap", [0.25, 0.5])
@pytest.mark.parametrize("shape", [(24, 30, 17), (16, 16, 16)])
def test_equals_monai_with_several_channels(shape: tuple[int, int, int], overlap: float, precision: str) -> None:
    network, image = small_network(2, 4), picture(shape, 2)
    plan = make_plan(channels=("T1", "T2"), patch_size=PATCH)
    found = sliding_probabilities(network, Head("softmax", 4), image, plan, precision=precision, overlap=overlap)

    def probabilities(windows: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits = network(windows)
        assert logits.dtype == getattr(torch, precision)
        return logits.float().softmax(1)

    with torch.inference_mode():
        expected = sliding_window_inference(
            torch.from_numpy(image)[None], PATCH, 1, probabilities, overlap, mode="gaussian"
        )[0]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)


def test_2d_equals_monai_slice_by_slice() -> None:
    network, image = small_network(1, 3, 2), picture((5, 40, 33))
    plan = make_plan(dimensions=2, patch_size=(16, 16), spacing=(None, 1, 1))
    found = sliding_probabilities(network, Head("softmax", 3), image, plan, precision="float32", batch_size=4)
    inferer = SliceInferer(roi_size=(16, 16), spatial_dim=0, overlap=0.5, mode="gaussian")
    with torch.inference_mode():
        expected = inferer(torch.from_numpy(image)[None], lambda x: network(x).softmax(1))[0]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_image_smaller_than_a_window_has_its_border_repeated() -> None:
    network, image = small_network(1, 3), picture((10, 20, 7))
    found = sliding_probabilities(network, Head("softmax", 3), image, make_plan(patch_size=PATCH), precision="float32")
    padded = np.pad(image, [(0, 0), (3, 3), (0, 0), (4, 5)], mode="edge")
    larger = sliding_probabilities(
        network, Head("softmax", 3), padded, make_plan(patch_size=PATCH), precision="float32"
    )
    assert found.shape == (3, 10, 20, 7)
    np.testing.assert_allclose(found, larger[:, 3:-3, :, 4:-5], atol=1e-6)


def test_constant_network_gives_its_constant() -> None:
    class Constant(torch.nn.Module):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return torch.log(torch.tensor([0.2, 0.5, 0.3])).view(1, 3, 1, 1, 1).expand(batch.shape[0], 3, *PATCH)

    plan = make_plan(patch_size=PATCH)
    found = sliding_probabilities(Constant(), Head("softmax", 3), picture((21, 18, 40)), plan, precision="float32")
    np.testing.assert_allclose(found, np.array([0.2, 0.5, 0.3])[:, None, None, None] + 0 * found, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_normrelu_is_divided_once_however_windows_are_laid(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    head = Head("normrelu", classes)
    network, image = small_network(1, head.out_channels), picture((20, 24, 28))
    plan = make_plan(patch_size=PATCH)

    def predicted(batch_size: int) -> np.ndarray[Any, Any]:
        return sliding_probabilities(network, head, image, plan, precision="float32", batch_size=batch_size)

    found = predicted(1)
    with torch.inference_mode():
        raw = sliding_window_inference(
            torch.from_numpy(image)[None], PATCH, 1, lambda x: network(x).relu(), 0.5, mode="gaussian"
        )
        raw /= raw.max()
        expected = torch.cat([1 - raw, raw], 1) if classes == 2 else raw / raw.sum(1, keepdim=True).clamp(min=1e-20)
    np.testing.assert_allclose(found, expected[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(predicted(5), found, atol=1e-4)
    laid = window_grid.laid_windows
    monkeypatch.setattr(window_grid, "laid_windows", lambda *sizes: laid(*sizes)[::-1])
    np.testing.assert_allclose(predicted(2), found, atol=1e-4)


def test_normrelu_does_not_stretch_a_faint_window() -> None:
    class Same(torch.nn.Module):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return batch

    image = np.zeros((1, 16, 16, 64), np.float32)
    image[..., 5], image[..., 55] = 10.0, 0.1
    found = sliding_probabilities(Same(), Head("normrelu", 2), image, make_plan(patch_size=PATCH), precision="float32")
    assert found[1].max() == pytest.approx(1.0)
    assert found[1, ..., 55].max() == pytest.approx(0.01, rel=1e-4)


def test_empty_windows_are_skipped_and_become_background() -> None:
    seen: list[torch.Size] = []

    class Counting(Intensity):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            seen.append(batch.shape)
            return super().forward(batch)

    image = np.full((1, 64, 64, 64), -0.7, np.float32)
    image[0, 20:28, 40:48, 8:16] = 1.0
    plan = make_plan(patch_size=PATCH)
    found = sliding_probabilities(Counting(), Head("softmax", 2), image, plan, precision="float32")
    skipped = len(seen)
    whole = sliding_probabilities(Counting(), Head("softmax", 2), image, plan, precision="float32", skip_empty=False)
    assert skipped < 10 < len(seen) - skipped
    np.testing.assert_allclose(found[:, 20:28, 40:48, 8:16], whole[:, 20:28, 40:48, 8:16], atol=1e-6)
    assert found[0, :10].min() == 1
    assert found[1, 40:].max() == 0


class Seen(torch.nn.Module):
    """A network of slices, and how many windows it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.network, self.windows = small_network(1, 3, 2), 0

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        self.windows += len(batch)
        out: torch.Tensor = self.network(batch)
        return out


def test_slices_whose_content_fits_into_a_window_are_seen_once() -> None:
    image = np.full((1, 6, 40, 40), -0.5, np.float32)
    image[0, 1:5, 14:29, 3:19] = np.abs(picture((4, 15, 16)))
    network, plan = Seen(), make_plan(dimensions=2, patch_size=(16, 16), spacing=(None, 1, 1))
    found = sliding_probabilities(network, Head("softmax", 3), image, plan, precision="float32")
    assert network.windows == 4
    window = np.s_[:, 1:5, 13:29, 3:19]  # around the middle of what there is
    slices = torch.from_numpy(np.ascontiguousarray(image[window])).movedim(1, 0)
    with torch.inference_mode():
        expected = network.network(slices).softmax(1).movedim(0, 1)
    np.testing.assert_allclose(found[window], expected.numpy(), atol=1e-5)
    found[window] = np.array([1, 0, 0])[:, None, None, None]
    assert (found == np.array([1, 0, 0])[:, None, None, None]).all()


def test_only_slices_that_exceed_a_window_are_seen_several_times() -> None:
    image = np.full((1, 5, 16, 40), -0.5, np.float32)
    image[0, :, :, 2:10] = np.abs(picture((5, 16, 8)))
    image[0, 2, :, 2:30] = np.abs(picture((16, 28, 1)))[0, ..., 0]
    network, plan = Seen(), make_plan(dimensions=2, patch_size=(16, 16), spacing=(None, 1, 1))
    found = sliding_probabilities(network, Head("softmax", 3), image, plan, precision="float32")
    assert network.windows == 4 + 3
    whole = sliding_probabilities(
        network, Head("softmax", 3), image[:, 2:3, :, :32], plan, precision="float32", skip_empty=False
    )
    np.testing.assert_allclose(found[:, 2:3, :, :32], whole, atol=1e-5)


def test_an_empty_image_is_background() -> None:
    image = np.zeros((1, 20, 20, 20), np.float32)
    found = sliding_probabilities(Intensity(), Head("softmax", 2), image, make_plan())
    assert (found[0] == 1).all()
    assert (found[1] == 0).all()


def test_tree_without_background_computes_every_window() -> None:
    image = np.zeros((1, 20, 20, 20), np.float32)
    found = sliding_probabilities(Intensity(), Head("softmax", 2, None), image, make_plan())
    np.testing.assert_allclose(found, 0.5)


def test_bfloat16_is_close_to_float32() -> None:
    network, image = small_network(1, 3), picture((16, 20, 24))
    head, plan = Head("softmax", 3), make_plan(patch_size=PATCH)
    exact = sliding_probabilities(network, head, image, plan, precision="float32")
    rough = sliding_probabilities(network, head, image, plan, precision="bfloat16")
    assert rough.dtype == np.float32
    assert 0 < np.abs(exact - rough).max() < 0.05


def test_the_plan_says_the_precision_where_nobody_else_does(precision: str) -> None:
    network, image, head = small_network(1, 3), picture((16, 20, 24)), Head("softmax", 3)
    found = sliding_probabilities(network, head, image, make_plan(patch_size=PATCH, precision=precision))
    asked = sliding_probabilities(network, head, image, make_plan(patch_size=PATCH), precision=precision)
    np.testing.assert_array_equal(found, asked)


def test_cancelling_between_windows_stops_at_once() -> None:
    token, sink = CancelToken(), ListSink()

    class Cancelling(Intensity):
        calls = 0

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            if self.calls == 3:
                token.cancel()
            return super().forward(batch)

    network = Cancelling()
    with pytest.raises(CancelledError):
        sliding_probabilities(
            network, Head("softmax", 2), picture((40, 40, 40)), make_plan(patch_size=PATCH), events=Events(sink, token)
        )
    assert network.calls == 3
    assert [event["done"] for event in sink.events] == [0, 1, 2]


def test_out_of_memory_says_how_much_was_needed() -> None:
    class Huge(torch.nn.Module):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError(f"no memory for {batch.shape}")

    with pytest.raises(OutOfMemoryError, match=r"2 classes on 16 x 16 x 16 voxels ran out of memory on cpu"):
        sliding_probabilities(Huge(), Head("softmax", 2), picture(PATCH), make_plan(patch_size=PATCH))


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(InputError, match="precision: expected auto, float32, bfloat16, float16, got 'half'"):
        sliding_probabilities(Intensity(), Head("softmax", 2), picture(PATCH), make_plan(), precision="half")
