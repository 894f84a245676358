"""Model folders of nnU-Net as it writes them, small and untrained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

LABELS = {"background": 0, "white matter": 1, "grey matter": 2}
TRAINER = "nnUNetTrainer"


def plans(reader: str = "SimpleITKIO", **more: Any) -> dict[str, Any]:
    """Return plans of one small 3D configuration; the axes are turned, as nnU-Net does with thick slices."""
    resampling = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
    conv, norm = "torch.nn.modules.conv.Conv3d", "torch.nn.modules.instancenorm.InstanceNorm3d"
    configuration = {
        "data_identifier": "small",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [8, 16, 16],
        "spacing": [2.0, 1.0, 1.0],
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": resampling,
        "resampling_fn_seg_kwargs": {**resampling, "is_seg": True},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": resampling,
        "batch_dice": False,
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": {
                "n_stages": 2,
                "features_per_stage": [4, 8],
                "conv_op": conv,
                "kernel_sizes": [[3, 3, 3]] * 2,
                "strides": [[1, 1, 1], [1, 2, 2]],
                "n_conv_per_stage": [1, 1],
                "n_conv_per_stage_decoder": [1],
                "conv_bias": True,
                "norm_op": norm,
                "norm_op_kwargs": {"eps": 1e-5, "affine": True},
                "dropout_op": None,
                "dropout_op_kwargs": None,
                "nonlin": "torch.nn.LeakyReLU",
                "nonlin_kwargs": {"inplace": True},
            },
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
        **more,
    }
    return {
        "dataset_name": "Dataset001_Head",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [2.0, 1.0, 1.0],
        "original_median_shape_after_transp": [10, 20, 20],
        "image_reader_writer": reader,
        "transpose_forward": [1, 0, 2],
        "transpose_backward": [1, 0, 2],
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": {}},
        "configurations": {"3d_fullres": configuration},
    }


def checkpoint(weights: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return what nnU-Net saves, with the NumPy scalars of its log and the path of its device's folder."""
    return {
        "network_weights": weights or {},
        "optimizer_state": {"state": {}, "param_groups": [{"lr": np.float64(0.01)}]},
        "grad_scaler_state": None,
        "logging": {"ema_fg_dice": [np.float32(0.5)], "dice_per_class_or_region": [[np.float32(0), np.float64(1)]]},
        "_best_ema": np.float64(0.5),
        "current_epoch": 2,
        "init_args": {"configuration": "3d_fullres", "fold": 0, "device": torch.device("cpu")},
        "trainer_name": TRAINER,
        "inference_allowed_mirroring_axes": (0, 2),
        **more,
    }


def write_model(folder: Path, checkpoints: list[Any], **changes: Any) -> Path:
    """Write a model folder with a fold for each checkpoint."""
    description = {"channel_names": {"0": "T1"}, "labels": LABELS, "file_ending": ".nii.gz"}
    path = folder / f"{TRAINER}__nnUNetPlans__3d_fullres"
    for number, state in enumerate(checkpoints):
        (path / f"fold_{number}").mkdir(parents=True)
        torch.save(state, path / f"fold_{number}" / "checkpoint_final.pth")
    (path / "dataset.json").write_text(json.dumps({**description, **changes.pop("description", {})}))
    (path / "plans.json").write_text(json.dumps(plans(**changes)))
    return path
