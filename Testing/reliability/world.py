"""The valid files that trials damage: a tiny dataset, its model and results, and one file of every format that is read.

Built once with the engine's own writers where it has them, so a trial always starts from something that works.
"""

from __future__ import annotations

import gzip
import json
import pickle
import shutil
from pathlib import Path

import numpy as np

SIZE = (16, 18, 20)  # i, j, k
LEAVES = ("background", "core", "shell")

TREE_FILES = {
    "indented.txt": "body\n  background = 0\n  organ\n    core = 1\n    shell = 2\n",
    "levels.csv": "level1,level2,level3,value\nbody,background,,0\nbody,organ,core,1\nbody,organ,shell,2\n",
    "lut.txt": "# colour table\n0 background 0 0 0 0\n1 core 200 10 10 0\n2 shell 10 200 10 0\n",
    "colours.ctbl": "# colours\n0 background 0 0 0 0\n1 core 200 10 10 255\n2 shell 10 200 10 255\n",
    "snap.label": '0 0 0 0 0 0 0 "Clear Label"\n1 200 10 10 1 1 1 "core"\n2 10 200 10 1 1 1 "shell"\n',
    "dseg.tsv": "index\tname\tcolor\n0\tbackground\t#000000\n1\tcore\t#c80a0a\n2\tshell\t#0ac80a\n",
}

STUDY = """name: tiny
data: DATA.json
budget: {steps: 2}
variants:
  - {name: plain, recipe: ce-dice}
  - {name: tree, recipe: tree-ce, set: {batch_size: 1}}
seeds: [0]
folds: {by: person, count: 2, validation: 0}
set: {plan.patch_size: [16, 16, 16], plan.network.options.filters: [4, 8, 16], batch_size: 1}
"""

RECIPE = """name: quick
extends: ce-dice
batch_size: 1
steps: 2
"""

ENVI_HEADER = """ENVI
samples = 6
lines = 5
bands = 4
header offset = 0
data type = 4
interleave = bsq
byte order = 0
wavelength = {400, 500, 600, 700}
"""


def build(folder: Path) -> Path:
    """Write the whole world into ``folder`` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    _dataset(folder)
    _trees(folder)
    _images(folder)
    _model(folder)
    _results(folder)
    _imports(folder)
    _probabilities(folder / "probabilities")
    _companions(folder)
    return folder


def _labels() -> np.ndarray:
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in SIZE[::-1]], indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in axes))
    return np.where(radius < 0.4, 1, np.where(radius < 0.75, 2, 0)).astype(np.uint8)


def _dataset(folder: Path) -> None:
    from softseg.image import Geometry, Image, write_image

    geometry, labels, cases = Geometry(SIZE, (1.0, 1.0, 1.5)), _labels(), []
    for number, split in enumerate(("train", "val")):
        noise = np.random.default_rng(number).normal(0, 10, labels.shape)
        write_image(Image((labels * 100 + 50 + noise).astype(np.int16), geometry), folder / f"scan{number}.nii.gz")
        write_image(Image(labels, geometry), folder / f"labels{number}.nii.gz")
        cases.append(
            {
                "id": f"case{number}",
                "group": f"person{number}",
                "split": split,
                "images": {"T1": f"scan{number}.nii.gz"},
                "labels": f"labels{number}.nii.gz",
            }
        )
    for value, leaf in enumerate(LEAVES):
        write_image(Image((labels == value).astype(np.float32), geometry), folder / f"soft_{leaf}.nii.gz")
    description = {"name": "tiny", "channels": ["T1"], "tree": "tree.json", "cases": cases}
    (folder / "DATA.json").write_text(json.dumps(description, indent=1), encoding="utf-8")
    (folder / "STUDY.yaml").write_text(STUDY, encoding="utf-8")
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")


def tree():
    """Return the label tree of the world."""
    from softseg.tree import LabelTree, Node

    return LabelTree(
        [
            Node("body", "body", None),
            Node("background", "background", "body", value=0),
            Node("organ", "organ", "body"),
            Node("core", "core", "organ", value=1, color=(200, 10, 10)),
            Node("shell", "shell", "organ", value=2, color=(10, 200, 10)),
        ],
        name="tiny",
    )


def _trees(folder: Path) -> None:
    tree().save(folder / "tree.json")
    for name, text in TREE_FILES.items():
        (folder / name).write_text(text, encoding="utf-8")


def _images(folder: Path) -> None:
    """One image of each format, with a header that is text or bytes."""
    from softseg.image import read_image, write_image

    scan = read_image(folder / "scan0.nii.gz")
    for name in ("plain.nii", "packed.nrrd", "apart.nhdr", "meta.mha", "apart.mhd"):
        write_image(scan, folder / name)
    (folder / "cube.hdr").write_text(ENVI_HEADER, encoding="utf-8")
    values = np.random.default_rng(0).random((4, 5, 6), np.float32)
    (folder / "cube.img").write_bytes(values.tobytes())
    np.savez(folder / "bands.npz", cube=values.transpose(1, 2, 0))


def _model(folder: Path) -> None:
    import torch

    from softseg.data import Plan
    from softseg.network import Head, ModelFolder, build_network

    plan = Plan(
        channels=("T1",),
        spacing=(1.5, 1.5, 1.5),
        patch_size=(16, 16, 16),
        normalization={"T1": {"kind": "z-score"}},
        network={"name": "DynUNet", "options": {"filters": [4, 8, 16]}},
        precision="float32",
    )
    head = Head("softmax", len(LEAVES), 0)
    torch.manual_seed(0)
    network = build_network(plan.network, 1, head.out_channels, 3)
    ModelFolder.save(folder / "model", network, plan, tree(), "name: test\nhead: softmax\n", head=head)


def _results(folder: Path) -> None:
    """A predicted case, and a run of two steps with its checkpoint."""
    from softseg.cli import run

    _must(
        run(["predict", str(folder / "model"), str(folder / "scan0.nii.gz"), "--out", str(folder / "out"), "--quiet"])
    )
    settings = ("plan.patch_size=[16,16,16]", "plan.spacing=[1.5,1.5,1.5]", "plan.network.options.filters=[4,8,16]")
    chosen = [
        part for value in (*settings, "batch_size=1", "steps=2", "validation.every=2") for part in ("--set", value)
    ]
    arguments = ["train", str(folder / "DATA.json"), "--recipe", "ce-dice", "--out", str(folder / "run"), "--quiet"]
    _must(run([*arguments, "--device", "cpu", *chosen]))
    shutil.copy(folder / "out" / "scan0" / "soft.soft.npz", folder / "result.soft.npz")
    out, mask = str(folder / "corrected.soft.npz"), ("--voxels", str(folder / "labels0.nii.gz"), "--quiet")
    _must(run(["correct", str(folder / "result.soft.npz"), "--node", "organ", *mask, "--author", "A B", "--out", out]))
    _must(run(["correct", out, "--node", "core", *mask, "--not", "--out", out]))


def _must(code: int) -> None:
    if code:
        raise SystemExit(f"the world could not be built: a command ended with {code}")


def _imports(folder: Path) -> None:
    """An nnU-Net folder, a Decathlon folder and a BIDS tree of the two scans."""
    source = folder / "nnunet"
    for part in ("imagesTr", "labelsTr"):
        (source / part).mkdir(parents=True)
    for number in range(2):
        shutil.copy(folder / f"scan{number}.nii.gz", source / "imagesTr" / f"case{number}_0000.nii.gz")
        shutil.copy(folder / f"labels{number}.nii.gz", source / "labelsTr" / f"case{number}.nii.gz")
    labels = {"background": 0, "core": 1, "shell": 2}
    description = {"channel_names": {"0": "T1"}, "labels": labels, "numTraining": 2, "file_ending": ".nii.gz"}
    (source / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    bids = folder / "bids"
    for number in range(2):
        anatomy = bids / f"sub-{number}" / "anat"
        masks = bids / "derivatives" / "labels" / f"sub-{number}" / "anat"
        anatomy.mkdir(parents=True)
        masks.mkdir(parents=True)
        shutil.copy(folder / f"scan{number}.nii.gz", anatomy / f"sub-{number}_T1w.nii.gz")
        shutil.copy(folder / f"labels{number}.nii.gz", masks / f"sub-{number}_T1w_dseg.nii.gz")
    (bids / "dataset_description.json").write_text('{"Name": "tiny", "BIDSVersion": "1.8.0"}', encoding="utf-8")
    (bids / "participants.tsv").write_text("participant_id\tage\nsub-0\t30\nsub-1\t40\n", encoding="utf-8")


def _probabilities(folder: Path) -> None:
    """Probabilities as nnU-Net writes them."""
    folder.mkdir()
    labels = _labels()
    values = np.stack([(labels == value).astype(np.float32) for value in range(len(LEAVES))])
    np.savez_compressed(folder / "case.npz", probabilities=values)
    place = {"spacing": (1.0, 1.0, 1.5), "origin": (0.0, 0.0, 0.0), "direction": tuple(np.eye(3).ravel().tolist())}
    properties = {"sitk_stuff": place, "spacing": [1.5, 1.0, 1.0], "bbox": np.array([[0, 20], [0, 18], [0, 16]])}
    (folder / "case.pkl").write_bytes(pickle.dumps(properties))
    named = {leaf: value for value, leaf in enumerate(LEAVES)}
    (folder / "dataset.json").write_text(json.dumps({"labels": named}), encoding="utf-8")


def _companions(folder: Path) -> None:
    """What stands beside models and predictions: an ensemble, a fitted score, a calibration, cuts and tables."""
    from softseg.cli import run

    source = folder / "plainset"
    for part, name in (("images", "scan"), ("labels", "labels")):
        (source / part).mkdir(parents=True)
        for number in range(2):
            shutil.copy(folder / f"{name}{number}.nii.gz", source / part / f"case{number}.nii.gz")
    decathlon = folder / "decathlon"
    for part in ("imagesTr", "labelsTr"):
        shutil.copytree(folder / "nnunet" / part, decathlon / part)
    pairs = [{"image": f"./imagesTr/case{n}_0000.nii.gz", "label": f"./labelsTr/case{n}.nii.gz"} for n in range(2)]
    labels = {"0": "background", "1": "core", "2": "shell"}
    description = {"name": "tiny", "modality": {"0": "T1"}, "labels": labels, "numTraining": 2, "training": pairs}
    (decathlon / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    (folder / "people.csv").write_text("case,person,split\ncase0,p0,train\ncase1,p1,val\n", encoding="utf-8")
    (folder / "splits.json").write_text(json.dumps([{"train": ["case0"], "val": ["case1"]}]), encoding="utf-8")
    (folder / "pairs.csv").write_text("prediction,reference\nresult.soft.npz,labels0.nii.gz\n", encoding="utf-8")
    (folder / "cut.txt").write_text("background\ncore\nshell\n", encoding="utf-8")
    _volume_files(folder)
    data, complete = str(folder / "DATA.json"), folder / "complete"
    shutil.copytree(folder / "model", complete)
    _must(run(["calibrate", str(complete), data, "--split", "train", "--device", "cpu", "--quiet"]))
    fit = ["outliers", "fit", str(complete), data, "--score", "mahalanobis", "--device", "cpu", "--quiet"]
    _must(run([*fit, "--cases", "case0"]))
    models = [str(folder / "model"), str(folder / "run" / "model")]
    _must(run(["ensemble", *models, "--out", str(folder / "joint"), "--quiet"]))


def _volume_files(folder: Path) -> None:
    """A FreeSurfer volume, a TIFF and a picture, by the libraries that own these formats."""
    import nibabel
    import SimpleITK as sitk

    scan = nibabel.load(folder / "scan0.nii.gz")
    values = np.asarray(scan.dataobj)
    nibabel.save(nibabel.MGHImage(values.astype(np.float32), scan.affine), folder / "volume.mgz")
    nibabel.save(nibabel.Nifti2Image(values, scan.affine), folder / "second.nii")
    nibabel.save(nibabel.Nifti1Pair(values, scan.affine), folder / "pair.img")
    sitk.WriteImage(sitk.GetImageFromArray(values.T[:3].astype(np.uint16)), str(folder / "pages.tiff"))
    sitk.WriteImage(sitk.GetImageFromArray(values.T[0].astype(np.uint8)), str(folder / "picture.png"))


def unpacked(path: Path) -> bytes:
    """Return the content of a file, without gzip if it has it."""
    content = path.read_bytes()
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
