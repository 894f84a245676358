from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

from softseg.data import NetworkSpec
from softseg.errors import InputError
from softseg.network import NETWORKS, build_network, set_output_bias

SMALL: dict[str, dict[str, Any]] = {
    "DynUNet": {"filters": [4, 8, 8]},
    "UNet": {"channels": [4, 8]},
    "SegResNet": {"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]},
    "FlexibleUNet": {},
}


@pytest.mark.parametrize(
    ("name", "dimensions"), [(name, n) for name in NETWORKS for n in (2, 3) if (name, n) != ("FlexibleUNet", 3)]
)
def test_any_channels_in_any_out_at_the_input_resolution(name: str, dimensions: int) -> None:
    torch.manual_seed(0)
    network = build_network(NetworkSpec(name=name, options=SMALL[name]), 3, 5, dimensions).eval()
    image = torch.rand(1, 3, *[32] * dimensions)
    with torch.no_grad():
        before = network(image)
        assert before.shape == (1, 5, *[32] * dimensions)
        assert set_output_bias(network, torch.arange(5) * 100.0)
        after = network(image)
    means = (after - before).mean(dim=(0, *range(2, after.ndim)))
    torch.testing.assert_close(means, torch.arange(5) * 100.0, atol=2, rtol=0)


def test_bfloat16_stays_close_to_float32() -> None:
    torch.manual_seed(0)
    network = build_network(NetworkSpec(options={"filters": [4, 8, 8]}), 1, 4, 3).eval()
    image = torch.randn(1, 1, 16, 16, 16)
    with torch.no_grad():
        full = network(image)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = network(image)
    assert half.dtype == torch.bfloat16
    difference = torch.softmax(full, 1) - torch.softmax(half.float(), 1)
    assert difference.abs().max() < 0.02


@pytest.mark.parametrize(
    ("spec", "dimensions", "message"),
    [
        (NetworkSpec(name="VNet"), 3, r"network.name: unknown network 'VNet'; there are DynUNet, UNet, SegResNet"),
        (NetworkSpec(options={"depth": 3}), 3, r"network.options.depth: DynUNet has no such option"),
        (NetworkSpec(options={"out_channels": 3}), 3, r"network.options.out_channels: DynUNet has no such option"),
        (NetworkSpec(name="FlexibleUNet"), 3, r"FlexibleUNet is offered in 2D only; use DynUNet"),
        (NetworkSpec(name="FlexibleUNet", options={"pretrained": True}), 2, r"pretrained encoders are not downloaded"),
        (NetworkSpec(options={"filters": [4, 8]}), 3, r"network.options: DynUNet refuses its options"),
    ],
)
def test_wrong_networks_are_refused(spec: NetworkSpec, dimensions: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_network(spec, 1, 2, dimensions)


def test_an_efficientnet_encoder_takes_any_number_of_bands() -> None:
    torch.manual_seed(0)
    network = build_network(NetworkSpec(name="FlexibleUNet", options={"backbone": "efficientnet-b0"}), 200, 16, 2)
    image = torch.randn(2, 200, 64, 32, requires_grad=True)
    out = network(image)
    assert out.shape == (2, 16, 64, 32)
    (gradient,) = torch.autograd.grad(out.square().mean(), image)
    assert (gradient.abs().amax(dim=(0, 2, 3)) > 0).all()
    with pytest.raises(InputError, match="efficientnet-b99"):
        build_network(NetworkSpec(name="FlexibleUNet", options={"backbone": "efficientnet-b99"}), 3, 2, 2)


def test_weights_are_counted_without_pytorchs_compiler() -> None:
    """Counting comes before every prediction: it takes no memory and loads nothing that takes half a second."""
    code = """
import sys
from softseg.data.plan import NetworkSpec
from softseg.network.architectures import build_network, weight_count
spec = NetworkSpec(options={"filters": [4, 8, 16]})
counted = weight_count(spec, 1, 3, 3)
assert "torch._dynamo" not in sys.modules
assert counted == sum(parameter.numel() for parameter in build_network(spec, 1, 3, 3).parameters())
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
