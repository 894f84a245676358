"""Networks from MONAI by name, with the defaults that fit this product.

Every network here puts out one map per output channel at the resolution of its input. The defaults are ours: they keep
the last convolution at 1 x 1 x 1 where the architecture allows it, which matters with more than a hundred classes.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from monai.networks.nets.dynunet import DynUNet
from monai.networks.nets.flexible_unet import FlexibleUNet
from monai.networks.nets.segresnet import SegResNet
from monai.networks.nets.unet import UNet
from torch import nn
from torch.overrides import TorchFunctionMode

from softseg.bundle_text import is_inert
from softseg.errors import InputError
from softseg.system import raise_out_of_memory

if TYPE_CHECKING:
    from softseg.data.plan import NetworkSpec

_FILLING = frozenset(name for name in (*vars(nn.init), *vars(torch.Tensor)) if name.endswith("_") and name[0] != "_")
"""Functions that change a tensor's values in place."""


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


_COUNTS = ("num_res_units", "blocks_down", "blocks_up")  # of layers

MOST_LEVELS, MOST_FILTERS = 32, 16_384
"""Larger options of a network are refused before anything is built of them."""

NETWORKS: Mapping[str, tuple[Callable[..., nn.Module], Callable[[dict[str, Any], int], dict[str, Any]]]] = {
    "DynUNet": (DynUNet, _dynunet),
    "UNet": (UNet, _unet),
    "SegResNet": (SegResNet, _segresnet),
    "FlexibleUNet": (FlexibleUNet, _flexible_unet),
}
"""Name in the plan: MONAI's class and the function that completes its options."""


def _completed(spec: NetworkSpec, dimensions: int) -> tuple[Callable[..., nn.Module], dict[str, Any]]:
    """Return MONAI's class and all options; InputError where the name is unknown."""
    if spec.name not in NETWORKS:
        raise InputError(f"unknown network {spec.name!r}; there are {', '.join(NETWORKS)}", field="network.name")
    network, complete = NETWORKS[spec.name]
    try:
        return network, complete(dict(spec.options), dimensions)
    except TypeError as error:
        raise InputError(f"options of the network {spec.name} have odd values: {error}", field="network") from error


def network_config(spec: NetworkSpec, in_channels: int, out_channels: int, dimensions: int) -> dict[str, Any]:
    """Return MONAI's bundle definition of the network: ``_target_`` and every argument.

    Raises
    ------
    InputError: the name or an option is unknown, with the names there are.
    """
    network, options = _completed(spec, dimensions)
    allowed = set(inspect.signature(network).parameters)
    for option, value in options.items():
        if not is_inert(value):
            raise InputError("holds a text that MONAI would run as code", field=f"network.options.{option}")
        if not _is_modest(value) or (option in _COUNTS and not _is_small(value)):
            raise InputError("is far more than any network has", field=f"network.options.{option}")
        if option not in allowed or option in ("in_channels", "out_channels"):
            raise InputError(f"{spec.name} has no such option", field=f"network.options.{option}")
    return {
        "_target_": f"monai.networks.nets.{spec.name}",
        "in_channels": in_channels,
        "out_channels": out_channels,
        **options,
    }


def _is_small(value: Any) -> bool:
    numbers = value if isinstance(value, (list, tuple)) else [value]
    return all(not isinstance(number, (int, float)) or number <= MOST_LEVELS for number in numbers)


def _is_modest(value: Any) -> bool:
    """Whether an option is of a size that networks have: building one takes time and memory by its numbers."""
    if isinstance(value, (list, tuple)):
        return len(value) <= MOST_LEVELS and all(map(_is_modest, value))
    if isinstance(value, Mapping):
        return len(value) <= MOST_LEVELS and all(map(_is_modest, value.values()))
    return not isinstance(value, (int, float)) or abs(value) <= MOST_FILTERS


def build_network(spec: NetworkSpec, in_channels: int, out_channels: int, dimensions: int) -> nn.Module:
    """Return the network with random weights (from torch's global generator), in channels-last layout.

    Input ``[B, in_channels, *spatial]``, output ``[B, out_channels, *spatial]``.

    Raises
    ------
    InputError: the name or an option is unknown, or MONAI refuses the combination.
    """
    arguments = network_config(spec, in_channels, out_channels, dimensions)
    del arguments["_target_"]
    return _built(spec, arguments).to(memory_format=memory_format(dimensions))  # type: ignore[call-overload, no-any-return]


def weight_count(spec: NetworkSpec, in_channels: int, out_channels: int, dimensions: int) -> int:
    """Return how many weights a network has, without the memory for them.

    Raises
    ------
    InputError: as :func:`build_network`.
    """
    arguments = network_config(spec, in_channels, out_channels, dimensions)
    del arguments["_target_"]
    with torch.device("meta"), _WithoutValues():
        return sum(parameter.numel() for parameter in _built(spec, arguments).parameters())


class _WithoutValues(TorchFunctionMode):
    """Leaves out what fills weights with values: without memory that does nothing, and loads PyTorch's compiler."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func.__name__ in _FILLING:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def _built(spec: NetworkSpec, arguments: dict[str, Any]) -> nn.Module:
    try:
        return NETWORKS[spec.name][0](**arguments)
    except Exception as error:  # whatever MONAI makes of options that do not go together
        raise_out_of_memory(error)
        raise InputError(f"{spec.name} refuses its options: {error}", field="network.options") from error


def window_multiple(spec: NetworkSpec, dimensions: int) -> tuple[int, int, int]:
    """Return what each side ``(k, j, i)`` of a window must be a multiple of; 1 along ``k`` in 2D.

    The network halves its maps several times and must be able to double them again to the same size.

    Raises
    ------
    InputError: the name is unknown.
    """
    _, options = _completed(spec, dimensions)
    steps: list[int]
    if spec.name in ("DynUNet", "UNet"):
        strides = [[s] * dimensions if isinstance(s, int) else list(s) for s in options["strides"]]
        steps = [math.prod(along) for along in zip(*strides, strict=True)]
    else:
        halvings = len(options.get("blocks_down", (1, 2, 2, 4))) - 1 if spec.name == "SegResNet" else 5
        steps = [2**halvings] * dimensions
    k, j, i = [1, *steps] if dimensions == 2 else steps
    return k, j, i


def memory_format(dimensions: int) -> torch.memory_format:
    """Return channels-last, the faster layout of convolutions in 2 or 3 dimensions."""
    return torch.channels_last_3d if dimensions == 3 else torch.channels_last


def set_output_bias(network: nn.Module, bias: torch.Tensor) -> bool:
    """Set the bias of the network's last convolution to ``bias`` ``[out_channels]``; return whether it has one.

    Starting at the logarithm of the class frequencies spares a short training the steps that learn them.
    """
    outputs = [
        module
        for module in network.modules()
        if isinstance(module, (nn.Conv2d, nn.Conv3d)) and module.out_channels == len(bias) and module.bias is not None
    ]
    if not outputs or outputs[-1].bias is None:
        return False
    with torch.no_grad():
        outputs[-1].bias.copy_(bias)
    return True
