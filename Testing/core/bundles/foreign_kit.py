"""MONAI bundles as people make them: a small network, the transforms of the model zoo, written with MONAI's tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser

from softseg.image import Geometry, Image, write_image

NAMES = {"0": "background", "1": "spleen", "2": "liver"}
OBLIQUE = Geometry((30, 26, 22), (1.4, 0.9, 1.6), (10.0, -20.0, 5.0), (-0.8, 0, 0.6, 0, 1, 0, 0.6, 0, 0.8))


def configuration(channels: int = 1, outputs: int = 3, activation: str = "softmax") -> dict[str, Any]:
    """Return ``inference.json`` of a segmentation, as bundles of the model zoo are written."""
    return {
        "imports": ["$import glob", "$import os", "$import numpy"],
        "bundle_root": ".",
        "image_key": "image",
        "output_dir": "$@bundle_root + '/eval'",
        "dataset_dir": "/workspace/data",
        "pixdim": [1.5, 1.5, 2.0],
        "datalist": "$list(sorted(glob.glob(@dataset_dir + '/*.nii.gz')))",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": {
            "_target_": "SegResNet",
            "spatial_dims": 3,
            "in_channels": channels,
            "out_channels": outputs,
            "init_filters": 4,
            "blocks_down": [1, 1],
            "blocks_up": [1],
            "norm": ["GROUP", {"num_groups": 2}],
        },
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "@image_key"},
                {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
                {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS"},
                {"_target_": "Spacingd", "keys": "@image_key", "pixdim": "@pixdim"},
                {"_target_": "CropForegroundd", "keys": "@image_key", "source_key": "@image_key", "margin": 2},
                {"_target_": "NormalizeIntensityd", "keys": "@image_key", "nonzero": True, "channel_wise": True},
                {"_target_": "EnsureTyped", "keys": "@image_key"},
            ],
        },
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': i} for i in @datalist]",
            "transform": "@preprocessing",
        },
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 16], "sw_batch_size": 2, "overlap": 0.5},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", activation: True},
                {
                    "_target_": "Invertd",
                    "keys": "pred",
                    "transform": "@preprocessing",
                    "orig_keys": "@image_key",
                    "nearest_interp": False,
                    "to_tensor": True,
                },
                {
                    "_target_": "AsDiscreted",
                    "keys": "pred",
                    **({"argmax": True} if activation == "softmax" else {"threshold": 0.5}),
                },
                {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"},
            ],
        },
        "handlers": [
            {
                "_target_": "CheckpointLoader",
                "load_path": "$@bundle_root + '/models/model.pt'",
                "load_dict": {"model": "@network"},
            }
        ],
    }


def bundle(
    folder: Path, config: dict[str, Any], names: dict[str, str] = NAMES, images: tuple[str, ...] = ("CT",)
) -> Path:
    """Write a bundle whose network has random weights, sure of itself here and there."""
    torch.manual_seed(3)
    network = ConfigParser(config).get_parsed_content("network_def")
    state = {key: value * 4 if "conv_final" in key else value for key, value in network.state_dict().items()}
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    torch.save(state, folder / "models" / "model.pt")
    form = {"type": "image", "dtype": "float32", "is_patch_data": True, "spatial_shape": [16, 16, 16]}
    listed = {str(number): name for number, name in enumerate(images)}
    metadata = {
        "name": "Abdomen",
        "version": "0.1.0",
        "task": "a test",
        "license": "CC0",
        "network_data_format": {
            "inputs": {"image": {**form, "num_channels": len(images), "channel_def": listed}},
            "outputs": {"pred": {**form, "num_channels": len(names), "channel_def": names}},
        },
    }
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    return folder


def scan(path: Path, seed: int = 0) -> Path:
    """Write an oblique scan of blocks in noise, with nothing around them."""
    values = np.random.default_rng(seed).normal(100, 20, OBLIQUE.shape).astype(np.float32)
    values[8:15, 6:16, 9:20] += 150
    values[:3], values[:, :2], values[:, :, -4:] = 0, 0, 0
    return write_image(Image(values, OBLIQUE), path)


def by_hand(folder: Path, config: dict[str, Any], images: list[Path]) -> np.ndarray:
    """Return the probabilities ``[channels, k, j, i]`` of the configuration's own steps, up to labels."""
    parser = ConfigParser({**config, "bundle_root": str(folder)})
    steps = parser["postprocessing"]["transforms"]
    parser["postprocessing"]["transforms"] = [
        step for step in steps if step["_target_"] not in ("AsDiscreted", "SaveImaged")
    ]
    network = parser.get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(folder / "models" / "model.pt", weights_only=True))
    files = [str(image) for image in images]
    case = parser.get_parsed_content("preprocessing")({"image": files if len(files) > 1 else files[0]})
    with torch.no_grad():
        case["pred"] = parser.get_parsed_content("inferer")(case["image"][None], network)[0]
    return parser.get_parsed_content("postprocessing")(case)["pred"].numpy().transpose(0, 3, 2, 1)
