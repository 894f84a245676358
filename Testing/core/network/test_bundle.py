"""The model folder as a MONAI bundle: run by MONAI in a process that cannot import this product."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor

from softseg.data import NetworkSpec, Plan, preprocess_images
from softseg.data.preprocess import crop_box
from softseg.errors import InputError
from softseg.image import Geometry, Image, read_image, write_image
from softseg.network import Head, ModelFolder, build_network, set_output_bias
from softseg.network.bundle import inference_config
from softseg.prediction import sliding_probabilities
from softseg.prediction.in_memory import predict
from softseg.requests.names import file_name
from softseg.soft.resample import resample_image
from softseg.tree import LabelTree, Node

RUN = """
import sys
sys.modules["softseg"] = None  # not importable
from monai.bundle import run
run(config_file="configs/inference.json", meta_file="configs/metadata.json", bundle_root=".", dataset_dir=sys.argv[1],
    output_dir=sys.argv[2], save_probabilities="true")
"""


def run_by_monai(folder: Path, images: Path, out: Path) -> None:
    """Run a bundle in a process that cannot import this product."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(images), str(out)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


TREE = LabelTree(
    [
        Node(id="root", name="root", parent=None),
        Node(id="background", name="background", parent="root", value=0),
        Node(id="core", name="core", parent="root", value=7),
        Node(id="rim", name="rim", parent="root", value=3),
    ],
    name="balls",
)


def scan(path: Path) -> Image:
    """A ball with a rim, turned, finer than the plan."""
    k, j, i = np.mgrid[:40, :44, :36]
    radius = np.sqrt((k - 18) ** 2 + (j - 24) ** 2 + (i - 16) ** 2)
    noise = np.random.default_rng(0).normal(0, 10, k.shape)
    array = np.where(radius < 7, 300, np.where(radius < 12, 200, 100)) + noise
    geometry = Geometry((36, 44, 40), (1.0, 1.2, 1.1), (5.0, -7.0, 3.0), (-1, 0, 0, 0, 1, 0, 0, 0, -1))
    image = Image(array.astype(np.float32), geometry)
    write_image(image, path)
    return image


@pytest.mark.parametrize("kind", ["z-score", "z-score-nonzero", "percentile"])
@pytest.mark.parametrize("crop", [{}, {"kind": "center", "size_mm": (None, 20.0, 15.0)}])
def test_the_bundle_normalises_alike(kind: str, crop: dict[str, object], tmp_path: Path) -> None:
    """Of a box around the middle, what lies around it takes no part, though it is brighter here."""
    array = scan(tmp_path / "ball.nii.gz").array.copy()
    array[:, :8] += 500
    array[:, :, -6:] = 0
    image = Image(array, Geometry((36, 44, 40), (1.0, 1.2, 1.1)))
    how = {"T1": {"kind": kind}}
    plan = Plan(
        channels=("T1",),
        spacing=(None,) * 3,
        patch_size=(16, 16, 16),
        crop=crop,
        normalization=how,
        precision="float32",
    )
    steps = inference_config(plan, TREE, Head("softmax", 3))["preprocessing"]["transforms"]
    text = next(step["func"] for step in steps if step["_target_"] == "Lambdad")
    given = MetaTensor(torch.from_numpy(array)[None], affine=torch.diag(torch.tensor([1.1, 1.2, 1.0, 1.0])))
    out = eval(text.removeprefix("$"), {"torch": torch, "numpy": np})(given)[0].numpy()  # noqa: S307
    own, grid = preprocess_images([image], plan)
    box = crop_box([array], image.geometry.spacing_kji, plan.crop)
    assert own[0].shape == grid.shape
    np.testing.assert_allclose(out[box], own[0], atol=1e-3)


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
    ours = own_prediction(ModelFolder.load(folder).network.eval(), Head(head, 3), plan, image)
    assert set(np.unique(found.array)) <= {0, 3, 7}
    assert np.mean(found.array == ours) > 0.98
    assert np.mean(ours > 0) > 0.02  # the comparison has something to compare


def test_a_shipped_model_gives_the_same_labels(shared_data: Path, resources: Path, tmp_path: Path) -> None:
    """Of one slice, which stays an image of three axes, on a grid that the model resamples."""
    scan = sitk.ReadImage(str(shared_data / "cord" / "sub-9604" / "anat" / "sub-9604_run-1_T2starw.nii.gz"))
    (tmp_path / "images").mkdir()
    sitk.WriteImage(scan[56:-56, 40:-40, 9:10], str(tmp_path / "images" / "cord.nii.gz"))
    model = resources / "Models" / "cord-gm-soft" / "members" / "wing"
    run_by_monai(model, tmp_path / "images", tmp_path / "out")

    image = read_image(tmp_path / "images" / "cord.nii.gz")
    ours = predict(image, model, precision="float32", device="cpu")
    leaves = np.stack([ours.probability(leaf.id) for leaf in ours.tree.leaves])
    labels = sitk.ReadImage(str(tmp_path / "out" / "cord_labels.nii.gz"))
    assert labels.GetSize() == (176, 208, 1)
    found = sitk.GetArrayFromImage(labels)
    expected = np.array([leaf.value for leaf in ours.tree.leaves])[leaves.argmax(axis=0)]
    assert np.mean(found == expected) >= 0.999
    assert np.sum(expected > 0) > 200  # the comparison has something to compare
    soft = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "cord_probabilities.nii.gz")))
    assert soft.shape == leaves.shape
    assert np.mean(np.abs(soft - leaves) < 0.01) > 0.99


def labels_of(image: Image) -> np.ndarray:
    """Class indices: background, core, rim."""
    return np.select([image.array > 250, image.array > 150], [1, 2], 0).astype(np.uint8)


def fit(network: torch.nn.Module, head: Head, plan: Plan, image: Image) -> None:
    """Teach the network its one image: a network that knows something does not amplify noise."""
    array, grid = preprocess_images([image], plan)
    labels = torch.from_numpy(
        resample_image(Image(labels_of(image), image.geometry), grid, "nearest").array.astype(int)
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    if head.name == "normrelu":
        set_output_bias(network, torch.full((3,), 0.2))  # as training does: nothing learns where all is below zero
    network.train()
    for step in range(50):
        where = (slice(2, 18), slice(5 + step % 6, 21 + step % 6), slice(step % 3, 16 + step % 3))
        patch = torch.from_numpy(array)[(None, slice(None), *where)]
        probabilities = head.probabilities(network(patch)).clamp(min=1e-4)
        loss = torch.nn.functional.nll_loss(probabilities.log(), labels[where][None])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()


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
