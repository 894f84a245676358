"""Options of the networks: our defaults, and what follows from them, without the libraries that build networks.

The defaults keep the last convolution at 1 x 1 x 1 where the architecture allows it, which matters with more than a
hundred classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from softseg.errors import InputError

if TYPE_CHECKING:
    from softseg.data.plan import NetworkSpec


def _dynunet(options: dict[str, Any], dimensions: int) -> dict[str, Any]:
    options.setdefault("filters", [32, 64, 128, 256])
    levels = len(options["filters"])
    options.setdefault("strides", [1] + [2] * (levels - 1))
    options.setdefault("kernel_size", [3] * levels)
    options.setdefault("upsample_kernel_size", list(options["strides"])[1:])
    options.setdefault("norm_name", options.pop("norm", "batch"))
    return {"spatial_dims": dimensions} | options


def _unet(options: dict[str, Any], dimensions: int) -> dict[str, Any]:
    options.setdefault("channels", [32, 64, 128, 256])
    options.setdefault("strides", [2] * (len(options["channels"]) - 1))
    options.setdefault("num_res_units", 2)
    options.setdefault("norm", "batch")
    return {"spatial_dims": dimensions} | options


def _segresnet(options: dict[str, Any], dimensions: int) -> dict[str, Any]:
    options.setdefault("init_filters", 16)
    return {"spatial_dims": dimensions} | options


def _flexible_unet(options: dict[str, Any], dimensions: int) -> dict[str, Any]:
    if dimensions != 2:
        raise InputError(
            "FlexibleUNet is offered in 2D only", field="network.name", hint="use DynUNet, UNet or SegResNet in 3D"
        )
    if options.get("pretrained"):
        raise InputError("pretrained encoders are not downloaded", field="network.options.pretrained")
    options.setdefault("backbone", "efficientnet-b0")
    return {"spatial_dims": 2, "pretrained": False} | options


COUNTS = ("num_res_units", "blocks_down", "blocks_up")  # of layers

MOST_LEVELS, MOST_FILTERS = 32, 16_384
"""Larger options of a network are refused before anything is built of them."""

_COMPLETE: Mapping[str, Callable[[dict[str, Any], int], dict[str, Any]]] = {
    "DynUNet": _dynunet,
    "UNet": _unet,
    "SegResNet": _segresnet,
    "FlexibleUNet": _flexible_unet,
}
"""Name in the plan: the function that completes its options."""


def completed(spec: NetworkSpec, dimensions: int) -> dict[str, Any]:
    """Return all options of a network but its channels.

    Raises
    ------
    InputError: the name is unknown, or options have odd values.
    """
    if spec.name not in _COMPLETE:
        raise InputError(f"unknown network {spec.name!r}; there are {', '.join(_COMPLETE)}", field="network.name")
    try:
        return _COMPLETE[spec.name](dict(spec.options), dimensions)
    except TypeError as error:
        raise InputError(f"options of the network {spec.name} have odd values: {error}", field="network") from error


def window_multiple(spec: NetworkSpec, dimensions: int) -> tuple[int, int, int]:
    """Return what each side ``(k, j, i)`` of a window must be a multiple of; 1 along ``k`` in 2D.

    The network halves its maps several times and must be able to double them again to the same size.

    Raises
    ------
    InputError: the name is unknown.
    """
    options = completed(spec, dimensions)
    steps: list[int]
    if spec.name in ("DynUNet", "UNet"):
        strides = [[s] * dimensions if isinstance(s, int) else list(s) for s in options["strides"]]
        steps = [math.prod(along) for along in zip(*strides, strict=True)]
    else:
        halvings = len(options.get("blocks_down", (1, 2, 2, 4))) - 1 if spec.name == "SegResNet" else 5
        steps = [2**halvings] * dimensions
    k, j, i = [1, *steps] if dimensions == 2 else steps
    return k, j, i
