"""Networks by name, their heads, and the model folder that training writes and prediction reads."""

from softseg.network.architectures import NETWORKS, build_network, memory_format, network_config, set_output_bias
from softseg.network.ensemble_outliers import EnsembleOutliers
from softseg.network.fitted_outliers import FittedOutliers
from softseg.network.heads import Head, NormReLU, Scope
from softseg.network.joint import Joint, load_members
from softseg.network.model_folder import Model, ModelFolder, load_state
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
