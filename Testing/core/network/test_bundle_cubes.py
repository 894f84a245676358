"""What MONAI does to the bands of a cube is what this product does to them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from softseg.data import Plan
from softseg.data.cubes.bands import BandsChoice, fit_bands
from softseg.network import Head
from softseg.network.bundle import inference_config
from softseg.network.bundle_metadata import metadata_config
from softseg.tree import LabelTree, Node

TREE = LabelTree(
    [
        Node(id="field", name="field", parent=None),
        Node(id="corn", name="corn", parent="field", value=1),
        Node(id="woods", name="woods", parent="field", value=2),
    ],
    "field",
)


@pytest.mark.parametrize("per_pixel", ["none", "l1", "snv"])
@pytest.mark.parametrize("pca", [None, 3])
def test_the_bundle_prepares_bands_alike(per_pixel: str, pca: int | None) -> None:
    cube = np.random.default_rng(0).gamma(2, 50, (9, 1, 8, 10)).astype(np.float32)
    choice = BandsChoice(select="1-5, 7", per_pixel=per_pixel, pca=pca)
    bands = fit_bands(cube.reshape(9, -1).T.copy(), choice)
    plan = Plan(
        dimensions=2,
        channels=("height", "cube"),
        spacing=(None, 1.0, 1.0),
        patch_size=(8, 8),
        normalization={"height": {"kind": "z-score"}, "cube": {"kind": "bands"}},
        bands={"cube": bands},
    )
    text = inference_config(plan, TREE, Head("softmax", 2))["normalize"]
    height = np.random.default_rng(1).normal(5, 2, (1, 1, 8, 10)).astype(np.float32)
    names = {"torch": torch, "numpy": np}
    out = eval(text.removeprefix("$"), names)(torch.from_numpy(np.concatenate([height, cube])))  # noqa: S307
    np.testing.assert_allclose(out[1:].numpy(), bands.apply(cube), atol=1e-4)
    np.testing.assert_allclose(out[:1].numpy(), (height - height.mean()) / height.std(), atol=1e-5)
    meta = metadata_config(plan, TREE, Head("softmax", 2), {}, {})["network_data_format"]["inputs"]["image"]
    assert meta["num_channels"] == plan.inputs == len(meta["channel_def"]) == 1 + (pca or 6)
