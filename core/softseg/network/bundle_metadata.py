"""``configs/metadata.json`` of a MONAI bundle: what goes in and comes out, in the fields of MONAI's schema."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any

import monai
import numpy as np
import torch

from softseg.bundle_text import escaped, shown
from softseg.data.plan import Plan
from softseg.network.heads import Head
from softseg.tree import LabelTree

SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"


def metadata_config(
    plan: Plan, tree: LabelTree, head: Head, details: Mapping[str, Any], own: Mapping[str, Any]
) -> dict[str, Any]:
    """Return ``configs/metadata.json``: the fields of MONAI's schema, and ``own`` under ``softseg``."""
    names = [
        f"{name} {n - place.start}" if name in plan.bands else name
        for name, place in plan.input_slices.items()
        for n in range(place.start, place.stop)
    ]
    channels = {str(n): shown(name) for n, name in enumerate(names)}
    image = {
        "type": "image",
        "format": "magnitude",
        "modality": shown(str(details.get("modality", "MR"))),
        "num_channels": plan.inputs,
        "spatial_shape": list(plan.patch_size),
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": True,
        "channel_def": channels,
    }
    label = {
        "type": "image",
        "format": "segmentation",
        "num_channels": head.out_channels,
        "spatial_shape": list(plan.patch_size),
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": True,
        "channel_def": {str(n): shown(name) for n, name in enumerate(_channel_names(tree, head))},
    }
    fields = {key: shown(str(value)) for key, value in details.items()}
    return {
        "schema": SCHEMA,
        "version": fields.get("version", "0.1.0"),
        "changelog": {fields.get("version", "0.1.0"): "first version"},
        "monai_version": monai.__version__.partition("+")[0],
        "pytorch_version": torch.__version__.partition("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {"nibabel": "5.2.0", "pytorch-ignite": "0.4.11"},
        "name": fields.get("name", shown(tree.name)),
        "task": f"soft segmentation into {head.classes} leaves of the label tree {shown(tree.name)!r}",
        "description": fields.get("description", ""),
        "authors": fields.get("authors", ""),
        "copyright": fields.get("copyright", ""),
        "license": fields.get("licence", ""),
        "data_source": fields.get("data_source", ""),
        "intended_use": fields.get("intended_use", "Research. Not for clinical decisions."),
        "python_version": platform.python_version(),
        "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": label}},
        "softseg": escaped(own),
    }


def ensemble_metadata_config(
    plan: Plan, tree: LabelTree, name: str, members: Sequence[str], details: Mapping[str, Any]
) -> dict[str, Any]:
    """Return ``configs/metadata.json`` of an ensemble: a head of its own kind, since it answers with probabilities.

    Parameters
    ----------
    plan: of its first member, whose windows are named; the others may have other ones.
    tree: of all of them.
    name: of the ensemble.
    members: their folders.
    details: fields of its card.
    """
    background = None if tree.background is None else tree.leaf_index(tree.background.id)
    head = Head("softmax", len(tree.leaves), background)
    config = metadata_config(
        plan, tree, head, {**details, "name": name}, {"members": list(members), "details": dict(details)}
    )
    task = f"the mean of {len(members)} models: {config['task']}"
    output = {**config["network_data_format"]["outputs"]["pred"], "value_range": [0, 1]}
    return {
        **config,
        "task": task,
        "network_data_format": {**config["network_data_format"], "outputs": {"pred": output}},
    }


def _channel_names(tree: LabelTree, head: Head) -> list[str]:
    names = [leaf.name for leaf in ([tree.leaves[head.foreground]] if head.single else tree.leaves)]
    return [*names, "divisor (before its sigmoid)"] if head.name == "godin" else names
