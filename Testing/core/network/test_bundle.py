"""The model folder as a MONAI bundle: run by MONAI in a process that cannot import this product."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from bundle_kit import TREE, fit, run_by_monai, scan
from monai.bundle import ConfigParser
from monai.data import MetaTensor

from softseg.data import NetworkSpec, Plan, preprocess_images
from softseg.errors import InputError
from softseg.image import Geometry, Image, read_image, write_image
from softseg.network import Head, ModelFolder, build_network
from softseg.network.bundle import inference_config
from softseg.prediction import sliding_probabilities
from softseg.prediction.layout import Picture
from softseg.requests.names import file_name
from softseg.soft.resample import resample_image
from softseg.tree import LabelTree, Node


def prepared_by_monai(plan: Plan, head: Head, images: list[Path], file: Path) -> MetaTensor:
    """Return what the configuration's own steps make of a case."""
    parser = ConfigParser(inference_config(plan, TREE, head))
    case = parser.get_parsed_content("preprocessing")({"image": [str(image) for image in images]})
    assert str(case["scan"].meta["filename_or_obj"]) == str(file)
    return case["image"]


PLANS = {
    "as it is": {"spacing": (None,) * 3},
    "coarser": {"spacing": (2.0, 1.7, 1.0)},
    "finer, other sides": {"spacing": (0.7, 0.9, 1.0), "orientation": "RIA"},
    "a box around the middle": {"crop": {"kind": "center", "size_mm": (None, 21.0, 15.0)}, "spacing": (None, 0.9, 1.3)},
    "a box around what is there": {"crop": {"kind": "nonzero", "margin_mm": 3.0}, "spacing": (1.5, 1.5, 1.5)},
    "slices": {"dimensions": 2, "patch_size": (16, 16), "orientation": "LSP", "spacing": (None, 1.5, 1.5)},
}


@pytest.mark.parametrize("kind", ["z-score", "z-score-nonzero", "percentile"])
@pytest.mark.parametrize("options", PLANS.values(), ids=PLANS)
def test_the_bundle_prepares_images_alike(kind: str, options: dict[str, object], tmp_path: Path) -> None:
    """Normalised, cropped and on the plan's grid to the place of every voxel, also of a scan that lies askew.

    Of a box around the middle, what lies around it takes no part, though it is brighter here.
    """
    array = scan(tmp_path / "ball.nii.gz").array.copy()
    array[:, :8] += 500
    array[:, :, -6:] = 0
    turned = Geometry((36, 44, 40), (1.0, 1.2, 1.1), (5.0, -7.0, 3.0), (-1, 0, 0, 0, 0.96, 0.28, 0, 0.28, -0.96))
    image = Image(array, turned)
    write_image(image, tmp_path / "ball.nii.gz")
    plan = Plan(
        **{"channels": ("T1",), "patch_size": (16, 16, 16), "normalization": {"T1": {"kind": kind}}, **options},
        precision="float32",
    )
    found = prepared_by_monai(plan, Head("softmax", 3, None), [tmp_path / "ball.nii.gz"], tmp_path / "ball.nii.gz")
    own, grid = preprocess_images([read_image(tmp_path / "ball.nii.gz")], plan)
    np.testing.assert_allclose(found[0].numpy(), own[0], atol=2e-3)
    corners = np.array([[0, 0, 0, 1], [*(n - 1 for n in own[0].shape), 1]], float)
    places = (found.affine.numpy() @ corners.T)[:3].T * (-1, -1, 1)  # MONAI's are RAS
    np.testing.assert_allclose(places, (grid.ijk_to_lps() @ corners[:, [2, 1, 0, 3]].T)[:3].T, atol=1e-3)


def test_only_what_is_there_is_predicted(tmp_path: Path) -> None:
    """With a background, the windows lie over the box of content, as in our own prediction."""
    image = scan(tmp_path / "ball.nii.gz")
    array = np.zeros_like(image.array)
    array[9:20, 10:31, 12:22] = image.array[9:20, 10:31, 12:22]
    write_image(Image(array, image.geometry), tmp_path / "ball.nii.gz")
    plan = Plan(
        channels=("T1",), spacing=(None,) * 3, patch_size=(16, 8, 24), normalization={"T1": {"kind": "percentile"}}
    )
    file = tmp_path / "ball.nii.gz"
    own, _ = preprocess_images([read_image(file)], plan)
    picture = Picture.of(own, plan.patch_size, 0.5, skip_empty=True)
    found = prepared_by_monai(plan, Head("softmax", 3, 0), [file], file)
    np.testing.assert_allclose(found.numpy(), own[(slice(None), *picture.grid.box)], atol=1e-3)
    assert found.shape[1:] != own.shape[1:]
    whole = prepared_by_monai(plan, Head("softmax", 3, None), [file], file)
    assert whole.shape == own.shape


@pytest.mark.parametrize("head", ["softmax", "normrelu", "godin"])
def test_monai_predicts_what_softseg_predicts(head: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    images = tmp_path / "images"
    image = scan(images / "ball.nii.gz")
    plan = Plan(
        channels=("T1",),
        spacing=(2.0, 2.0, 2.0),
        patch_size=(16, 16, 16),
        normalization={"T1": {"kind": "z-score-nonzero"}},
        network=NetworkSpec(options={"filters": [4, 4, 4]}),
        precision="float32",
    )
    network = build_network(plan.network, 1, Head(head, 3).out_channels, 3)  # type: ignore[arg-type]
    fit(network, Head(head, 3), plan, image)
    folder = ModelFolder.save(tmp_path / "model", network, plan, TREE, f"head: {head}\n")
    run_by_monai(folder, images, tmp_path / "out")
    found = read_image(tmp_path / "out" / "ball_labels.nii.gz")
    soft = sitk.ReadImage(str(tmp_path / "out" / "ball_probabilities.nii.gz"))
    assert soft.GetSize() == (36, 44, 40, 3)
    np.testing.assert_allclose(sitk.GetArrayFromImage(soft).sum(axis=0), 1, atol=1e-3)
    assert found.geometry.same_grid(image.geometry, tolerance_mm=0.05)
    ours = own_prediction(ModelFolder.load(folder).network.eval(), ModelFolder.load(folder).head, plan, image)
    assert set(np.unique(found.array)) <= {0, 3, 7}
    there = (ours > 0) | (found.array > 0)
    assert np.mean(found.array == ours) >= 0.999
    assert np.mean((found.array == ours)[there]) >= 0.999
    assert np.mean(ours > 0) > 0.02  # the comparison has something to compare


def own_prediction(network: torch.nn.Module, head: Head, plan: Plan, image: Image) -> np.ndarray:
    array, grid = preprocess_images([image], plan)
    probabilities = sliding_probabilities(network, head, array, plan)
    back = np.stack([resample_image(Image(one, grid), image.geometry).array for one in probabilities])
    return np.array([leaf.value for leaf in TREE.leaves])[back.argmax(axis=0)]


def test_metadata_has_what_monai_asks_for(tmp_path: Path) -> None:
    plan = Plan(
        channels=("FLAIR", "T1c"),
        spacing=(None, 0.5, 0.5),
        dimensions=2,
        patch_size=(32, 32),
        normalization={"FLAIR": {"kind": "percentile"}, "T1c": {"kind": "z-score"}},
        network=NetworkSpec(options={"filters": [4, 4, 4]}),
    )
    network = build_network(plan.network, 2, 3, 2)
    folder = ModelFolder.save(tmp_path / "model", network, plan, TREE, "head: softmax\n", {"version": "0.2.0"})
    metadata = json.loads((folder / "configs" / "metadata.json").read_text())
    required = "schema version changelog monai_version pytorch_version numpy_version required_packages_version task"
    required += " description authors copyright network_data_format"
    assert set(required.split()) <= set(metadata)
    inputs = metadata["network_data_format"]["inputs"]["image"]
    assert (inputs["num_channels"], inputs["channel_def"]) == (2, {"0": "FLAIR", "1": "T1c"})
    outputs = metadata["network_data_format"]["outputs"]["pred"]
    assert outputs["channel_def"] == {"0": "background", "1": "core", "2": "rim"}
    assert metadata["version"] == "0.2.0"


HOSTILE = ("$__import__('os').mkdir('ran')", "%/etc/passwd", "@network#0", "quote'; print(1) #", "x@####y", "[*]")


def test_no_text_from_people_is_run_by_monai(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Channels, names and descriptions that MONAI's parser would evaluate, in everything that it may resolve."""
    monkeypatch.chdir(tmp_path)
    plan = Plan(
        channels=HOSTILE,
        spacing=(1.0, 1.0, 1.0),
        patch_size=(16, 16, 16),
        normalization={name: {"kind": "z-score"} for name in HOSTILE},
        network={"name": "DynUNet", "options": {"filters": [4, 8, 8]}},
        precision="float32",
    )
    nodes = [Node("$root", "$root", None)]
    nodes += [Node(text, text, "$root", value=value) for value, text in enumerate(HOSTILE)]
    tree, head = LabelTree(nodes, name="%tree"), Head("softmax", len(HOSTILE))
    network = build_network(plan.network, plan.inputs, head.out_channels, 3)
    details = dict.fromkeys(("name", "description", "authors", "version", "licence"), HOSTILE[0])
    details |= {"_target_": "os.getcwd", "data_source": HOSTILE[1]}
    ModelFolder.save(tmp_path / "model", network, plan, tree, "head: softmax\n", details, head=head)

    parser = ConfigParser()
    parser.read_meta(tmp_path / "model" / "configs" / "metadata.json")
    parser.read_config(tmp_path / "model" / "configs" / "inference.json")
    parser["bundle_root"] = str(tmp_path / "model")
    parser.parse()
    for key in parser.get():
        if key not in ("run", "evaluator", "dataloader"):  # the dataset is empty
            parser.get_parsed_content(key)
    assert parser.get_parsed_content("suffix") == f"_{file_name(HOSTILE[0])}.nii.gz"
    assert not (tmp_path / "ran").exists()
    assert ModelFolder.load(tmp_path / "model").plan == plan


@pytest.mark.parametrize("options", [{"res_block": "$1"}, {"norm_name": ["x", {"_target_": "os.getcwd"}]}])
def test_options_of_networks_are_never_code(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match="MONAI would run as code"):
        build_network(NetworkSpec(options=options), 1, 2, 3)
