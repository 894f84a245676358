"""Ensemble folders as MONAI bundles: the mean of members that see the scan in different ways."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from bundle_kit import TREE, fit, run_by_monai, scan
from monai.bundle import ConfigParser

from softseg.data import NetworkSpec, Plan
from softseg.image import read_image
from softseg.network import Head, ModelFolder, build_network
from softseg.prediction.ensemble_folder import save_ensemble
from softseg.prediction.in_memory import predict
from softseg.soft.parcellation import SoftParcellation

REQUIRED = {
    *("schema", "version", "changelog", "monai_version", "pytorch_version", "numpy_version"),
    *("required_packages_version", "task", "description", "authors", "copyright", "network_data_format"),
}
"""What MONAI's specification of bundles asks for."""


def trained(folder: Path, head: str, **changes: object) -> Path:
    """Write a model that has seen the ball."""
    torch.manual_seed(1)
    options = {"channels": ("T1",), "spacing": (2.0, 2.0, 2.0), "patch_size": (16, 16, 16), "precision": "float32"}
    options |= {"normalization": {"T1": {"kind": "z-score-nonzero"}}, **changes}
    plan = Plan(**options, network=NetworkSpec(options={"filters": [4, 4, 4]}))
    kind = Head(head, 3)  # type: ignore[arg-type]
    network = build_network(plan.network, 1, kind.out_channels, 3)
    fit(network, kind, plan, scan(folder.parent / "images" / "ball.nii.gz"))
    return ModelFolder.save(folder, network, plan, TREE, f"head: {head}\n")


def leaves_of(found: SoftParcellation) -> np.ndarray:
    return np.stack([found.probability(leaf.id) for leaf in found.tree.leaves])


def compare(folder: Path, images: Path, name: str, out: Path) -> None:
    """Of what is structure for either, at least 99.9 % have the same label."""
    run_by_monai(folder, images, out)
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(out / f"{name}_labels.nii.gz")))
    leaves = leaves_of(predict(read_image(images / f"{name}.nii.gz"), folder, precision="float32", device="cpu"))
    own = np.array([leaf.value for leaf in ModelFolder.load(next(folder.glob("members/*"))).tree.leaves])[
        leaves.argmax(axis=0)
    ]
    there = (found > 0) | (own > 0)
    assert there.sum() > 200  # the comparison has something to compare
    assert np.mean((found == own)[there]) >= 0.999
    assert np.mean(found == own) >= 0.999
    soft = sitk.GetArrayFromImage(sitk.ReadImage(str(out / f"{name}_probabilities.nii.gz")))
    assert soft.shape == leaves.shape
    assert np.abs(soft - leaves).max() < 0.01  # of which 0.005 is the rounding of what is stored


def test_monai_predicts_the_mean_of_different_members(tmp_path: Path) -> None:
    """Other sides, voxels, windows and heads."""
    crop = {"kind": "nonzero", "margin_mm": 4.0}
    one = trained(tmp_path / "one", "softmax", crop=crop)
    other = trained(
        tmp_path / "other", "normrelu", orientation="RAI", spacing=(1.5, None, 1.8), patch_size=(24, 16, 8), crop=crop
    )
    folder = save_ensemble([one, other], tmp_path / "both")
    assert len({model.name for model in (folder / "members").iterdir()}) == 2
    compare(folder, tmp_path / "images", "ball", tmp_path / "out")


@pytest.mark.parametrize("name", ["cord-gm-soft"])
def test_a_shipped_ensemble_gives_the_same_labels(
    name: str, shared_data: Path, resources: Path, tmp_path: Path
) -> None:
    """Of one slice, which stays an image of three axes, on a grid that the model resamples."""
    cord = sitk.ReadImage(str(shared_data / "cord" / "sub-9604" / "anat" / "sub-9604_run-1_T2starw.nii.gz"))
    (tmp_path / "images").mkdir()
    sitk.WriteImage(cord[56:-56, 40:-40, 9:10], str(tmp_path / "images" / "cord.nii.gz"))
    compare(resources / "Models" / name, tmp_path / "images", "cord", tmp_path / "out")
    labels = sitk.ReadImage(str(tmp_path / "out" / "cord_labels.nii.gz"))
    assert labels.GetSize() == (176, 208, 1)


@pytest.mark.parametrize("name", ["brain-134", "cord-gm-soft"])
def test_metadata_of_shipped_models_is_complete(name: str, resources: Path) -> None:
    folder = resources / "Models" / name
    members = sorted(member.name for member in (folder / "members").iterdir())
    for place in (folder, *(folder / "members" / member for member in members)):
        metadata = ConfigParser.load_config_file(str(place / "configs" / "metadata.json"))
        assert set(metadata) >= REQUIRED
        data = metadata["network_data_format"]
        assert len(data["inputs"]["image"]["channel_def"]) == data["inputs"]["image"]["num_channels"]
        assert len(data["outputs"]["pred"]["channel_def"]) == data["outputs"]["pred"]["num_channels"]
    whole = json.loads((folder / "configs" / "metadata.json").read_text())
    assert sorted(whole["softseg"]["members"]) == members
    assert whole["name"] == name
