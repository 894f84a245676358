"""Networks by name, their heads, and the model folder that training writes and prediction reads.

Names are loaded when they are first asked for: a model that ONNX Runtime runs needs neither PyTorch nor MONAI.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softseg.network.architectures import NETWORKS, build_network, memory_format, network_config, set_output_bias
    from softseg.network.ensemble_outliers import EnsembleOutliers
    from softseg.network.fitted_outliers import FittedOutliers
    from softseg.network.heads import Head
    from softseg.network.joint import Joint, load_members
    from softseg.network.model_folder import Model, ModelFolder
    from softseg.network.norm_relu import NormReLU
    from softseg.network.scope import Scope
    from softseg.network.states import load_state
    from softseg.network.weights import read_weights, write_weights

__all__ = [
    "NETWORKS",
    "EnsembleOutliers",
    "FittedOutliers",
    "Head",
    "Joint",
    "Model",
    "ModelFolder",
    "NormReLU",
    "Scope",
    "build_network",
    "load_members",
    "load_state",
    "memory_format",
    "network_config",
    "read_weights",
    "set_output_bias",
    "write_weights",
]

_HOME = {
    "NETWORKS": "architectures",
    "EnsembleOutliers": "ensemble_outliers",
    "FittedOutliers": "fitted_outliers",
    "Head": "heads",
    "Joint": "joint",
    "Model": "model_folder",
    "ModelFolder": "model_folder",
    "NormReLU": "norm_relu",
    "Scope": "scope",
    "build_network": "architectures",
    "load_members": "joint",
    "load_state": "states",
    "memory_format": "architectures",
    "network_config": "architectures",
    "read_weights": "weights",
    "set_output_bias": "architectures",
    "write_weights": "weights",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'softseg.network' has no attribute {name!r}")
    return getattr(import_module(f"softseg.network.{_HOME[name]}"), name)
