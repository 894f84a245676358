"""Networks from MONAI by name, with the defaults that fit this product.

Every network here puts out one map per output channel at the resolution of its input.
"""

from __future__ import annotations

import inspect
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
from softseg.data.network_options import COUNTS, MOST_FILTERS, MOST_LEVELS, completed
from softseg.errors import InputError
from softseg.system import raise_out_of_memory

if TYPE_CHECKING:
    from softseg.data.plan import NetworkSpec

_FILLING = frozenset(name for name in (*vars(nn.init), *vars(torch.Tensor)) if name.endswith("_") and name[0] != "_")
"""Functions that change a tensor's values in place."""


NETWORKS: Mapping[str, Callable[..., nn.Module]] = {
    "DynUNet": DynUNet,
    "UNet": UNet,
    "SegResNet": SegResNet,
    "FlexibleUNet": FlexibleUNet,
}
"""Name in the plan: MONAI's class."""


def network_config(spec: NetworkSpec, in_channels: int, out_channels: int, dimensions: int) -> dict[str, Any]:
    """Return MONAI's bundle definition of the network: ``_target_`` and every argument.

    Raises
    ------
    InputError: the name or an option is unknown, with the names there are.
    """
    options = completed(spec, dimensions)
    allowed = set(inspect.signature(NETWORKS[spec.name]).parameters)
    for option, value in options.items():
        if not is_inert(value):
            raise InputError("holds a text that MONAI would run as code", field=f"network.options.{option}")
        if not _is_modest(value) or (option in COUNTS and not _is_small(value)):
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
        return NETWORKS[spec.name](**arguments)
    except Exception as error:  # whatever MONAI makes of options that do not go together
        raise_out_of_memory(error)
        raise InputError(f"{spec.name} refuses its options: {error}", field="network.options") from error


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
