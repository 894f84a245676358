"""Cubes through the real command line: train, predict from every format, and what is wrong with a file in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.io import savemat

from softseg.image import read_image
from softseg.tree import LabelTree, Node

ROWS, COLUMNS, BANDS = 20, 18, 10
Cli = Callable[..., Any]


def cube() -> np.ndarray:
    classes = np.repeat([0, 1], [10, 10])[:, None].repeat(COLUMNS, axis=1)
    spectra = np.random.default_rng(1).uniform(100, 900, (2, BANDS))
    return (spectra[classes] + np.random.default_rng(2).normal(0, 20, (ROWS, COLUMNS, BANDS))).astype(np.float32)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, a tree and a model trained for two steps."""
    from softseg.cli import run

    folder = tmp_path_factory.mktemp("cubes")
    labels = np.zeros((ROWS, COLUMNS), np.uint8)
    labels[2:6, 3:9], labels[13:17, 8:15] = 1, 2
    np.savez(folder / "scene.npz", cube=cube(), labels=labels)
    nodes = [
        Node(id="field", name="field", parent=None),
        Node(id="corn", name="corn", parent="field", value=1),
        Node(id="woods", name="woods", parent="field", value=2),
    ]
    LabelTree(nodes, "field").save(folder / "tree.json")
    case = {
        "id": "scene", "group": "scene", "split": "train",
        "images": {"cube": "scene.npz:cube"}, "labels": "scene.npz:labels",
    }  # fmt: skip
    content = {"name": "fields", "channels": ["cube"], "tree": "tree.json", "cases": [case]}
    (folder / "DATA.json").write_text(json.dumps(content))
    sets = [
        "plan.precision=float32",
        "sparse=true",
        "steps=2",
        "plan.patch_size=[16,16]",
        "plan.batch_size=2",
        "average=null",
    ]
    sets.append("plan.network.options={filters: [4, 4, 4], kernel_size: [1, 3, 3], norm: batch}")
    options = [part for text in sets for part in ("--set", text)]
    train = ["train", str(folder / "DATA.json"), "--recipe", "tree-ce", "--out", str(folder / "run")]
    assert run([*train, "--device", "cpu", "--quiet", *options]) == 0
    return folder


def write_envi(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    cube().tofile(folder / "envi.bip")
    lines = f"ENVI\nsamples = {COLUMNS}\nlines = {ROWS}\nbands = {BANDS}\ndata type = 4\ninterleave = bip\n"
    (folder / "envi.hdr").write_text(lines)
    return folder / "envi.hdr"


def test_every_format_is_predicted_alike(world: Path, cli: Cli, tmp_path: Path) -> None:
    savemat(tmp_path / "mat.mat", {"cube": cube()})
    bands = np.moveaxis(cube(), -1, 0)
    sitk.WriteImage(sitk.GetImageFromArray(bands), str(tmp_path / "pages.tif"))
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(b[None]) for b in bands]), str(tmp_path / "four.nii.gz"))
    files = [f"{world / 'scene.npz'}:cube", tmp_path / "mat.mat", tmp_path / "pages.tif", tmp_path / "four.nii.gz"]
    files.append(write_envi(tmp_path / "envi"))
    answer = cli("predict", world / "run" / "model", *files, "--out", tmp_path / "out", "--device", "cpu")
    assert answer.code == 0, answer.err
    maps = [read_image(tmp_path / "out" / name / "labels_leaves.nii.gz") for name in
            ("scene", "mat", "pages", "four", "envi")]  # fmt: skip
    for one in maps:
        np.testing.assert_array_equal(one.array, maps[0].array)
        assert one.geometry.size == (COLUMNS, ROWS, 1)
        assert one.geometry.spacing == (1.0, 1.0, 1.0)
    judged = cli(
        "evaluate", "--prediction", tmp_path / "out" / "scene", "--reference", f"{world / 'scene.npz'}:labels",
        "--tree", world / "tree.json", "--image", f"{world / 'scene.npz'}:cube", "--out", tmp_path / "judged",
        "--labelled-only",
    )  # fmt: skip
    assert judged.code == 0, judged.err
    assert (tmp_path / "judged" / "report.html").stat().st_size > 10000


def _npz(name: str, array: np.ndarray) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        np.savez(folder / "bad.npz", **{name: array})
        return str(folder / "bad.npz")

    return make


def _nan(folder: Path) -> str:
    array = cube()
    array[3, 4, 7] = np.nan
    return _npz("cube", array)(folder)


def _edited_header(old: str, new: str) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        header = write_envi(folder)
        header.write_text(header.read_text().replace(old, new))
        return str(header)

    return make


def _lost_data(folder: Path) -> str:
    header = write_envi(folder)
    (folder / "envi.bip").unlink()
    return str(header)


def _other_key(folder: Path) -> str:
    return _npz("scene", cube())(folder) + ":cube"


def _matlab_7_3(folder: Path) -> str:
    (folder / "new.mat").write_bytes(b"MATLAB 7.3".ljust(512) + b"\x89HDF\r\n\x1a\n")
    return str(folder / "new.mat")


def _text(folder: Path) -> str:
    (folder / "notes.txt").write_text("no cube")
    return str(folder / "notes.txt")


BAD = {
    "more bands": (_npz("c", np.ones((5, 5, 12))), "channel cube: expected a cube of 10 bands, got a cube of 12 bands"),
    "one band": (_npz("c", np.ones((5, 5))), "expected a cube of 10 bands, got an image of one value per voxel"),
    "NaN": (_nan, "bad.npz: channel cube: 1 values are NaN or infinite, in band 7"),
    "constant": (_npz("c", np.ones((5, 5, BANDS))), "channel cube: the image is constant"),
    "too short": (_edited_header("lines = 20", "lines = 21"), "envi.bip: is shorter than declared"),
    "too long": (_edited_header("lines = 20", "lines = 19"), "envi.bip: is longer than declared"),
    "interleave": (_edited_header("= bip", "= bop"), "envi.hdr: interleave: expected bsq, bil or bip, got 'bop'"),
    "type": (_edited_header("type = 4", "type = 7"), "envi.hdr: data type: 7 is not read"),
    "no data": (_lost_data, "envi.hdr: there is no file of numbers beside this header"),
    "no key": (_other_key, "bad.npz: holds no array 'cube'; it holds scene (20 x 18 x 10)"),
    "MATLAB 7.3": (_matlab_7_3, "new.mat: is a MATLAB file of version 7.3 (HDF5), which is not read"),
    "text": (_text, "notes.txt: expected an image that ends in"),
    "missing": (lambda folder: f"{folder / 'none.npz'}:cube", "none.npz: no such file"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_cube_is_one_line(name: str, world: Path, cli: Cli, tmp_path: Path) -> None:
    make, message = BAD[name]
    answer = cli("predict", world / "run" / "model", make(tmp_path), "--out", tmp_path / "out", "--device", "cpu")
    assert answer.code == 2
    lines = [line for line in answer.err.splitlines() if line.startswith("softseg: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in answer.err
    assert not list((tmp_path / "out").glob("*/*"))


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ("plan.bands.select=8-12", "plan.bands.select: there is no band 10: the 10 bands are 0 to 9"),
        ("plan.bands.select=400-500 nm", "plan.bands.select: the file has no wavelengths of its bands"),
        ("plan.bands.per_pixel=l3", "bands.per_pixel: Input should be 'none', 'l1' or 'snv', got 'l3'"),
        ("plan.bands.pca=11", "plan.bands.pca: 11 components of 10 bands are too many"),
    ],
)
def test_a_wrong_choice_of_bands_is_one_line(sets: str, message: str, world: Path, cli: Cli, tmp_path: Path) -> None:
    train = ("train", world / "DATA.json", "--recipe", "tree-ce", "--set", "sparse=true", "--set", sets)
    answer = cli(*train, "--out", tmp_path / "run", "--device", "cpu")
    assert answer.code == 2
    assert message in answer.err.splitlines()[-1]
    assert not (tmp_path / "run" / "model").exists()


def test_cases_with_different_bands_are_found_by_the_check(world: Path, cli: Cli, tmp_path: Path) -> None:
    content = json.loads((world / "DATA.json").read_text())
    first = content["cases"][0]
    np.savez(tmp_path / "other.npz", cube=cube()[..., :7], labels=np.ones((ROWS, COLUMNS), np.uint8))
    other = {"id": "other", "group": "other", "images": {"cube": "other.npz"}, "labels": "other.npz"}
    first |= {"images": {"cube": f"{world / 'scene.npz'}:cube"}, "labels": f"{world / 'scene.npz'}:labels"}
    content["cases"].append(first | other)
    content["tree"] = str(world / "tree.json")
    (tmp_path / "DATA.json").write_text(json.dumps(content))
    for command in (("data", "check"), ("train", "--recipe", "tree-ce", "--out", tmp_path / "run")):
        answer = cli(command[0], *command[1:2], tmp_path / "DATA.json") if command[0] == "data" else cli(
            "train", tmp_path / "DATA.json", *command[1:], "--set", "sparse=true", "--device", "cpu"
        )  # fmt: skip
        assert answer.code == 2
        assert "bands" in answer.err.splitlines()[-1]


def test_false_colours_of_a_scene(world: Path, cli: Cli, tmp_path: Path) -> None:
    scene = f"{world / 'scene.npz'}:cube"
    assert cli("data", "false-colour", scene, "--out", tmp_path / "scene.png").code == 0
    assert cli("data", "false-colour", scene, "--out", tmp_path / "scene.nrrd", "--bands", "9,4,0").code == 0
    picture, volume = (sitk.ReadImage(str(tmp_path / f"scene.{ending}")) for ending in ("png", "nrrd"))
    assert picture.GetSize() == (COLUMNS, ROWS)
    assert volume.GetSize() == (COLUMNS, ROWS, 1)
    assert volume.GetNumberOfComponentsPerPixel() == picture.GetNumberOfComponentsPerPixel() == 3
    for options, message in (
        (("--bands", "1,2"), "--bands: expected three numbers such as 49,26,16, got '1,2'"),
        (("--bands", "1,2,10"), "bands: there is no band 10"),
        (("--percent", "9"), "--percent: expected two numbers such as 2,98, got '9'"),
    ):
        answer = cli("data", "false-colour", scene, "--out", tmp_path / "no.png", *options)
        assert answer.code == 2
        assert message in answer.err
        assert not (tmp_path / "no.png").exists()
