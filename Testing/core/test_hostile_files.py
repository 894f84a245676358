"""Files that declare more than there is, name what is not theirs, or hold numbers nobody measured."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

from softseg.arrays import read_arrays
from softseg.data import Dataset, NetworkSpec, Plan
from softseg.data.plan import Normalization
from softseg.data.preprocess import normalize, preprocess_images
from softseg.errors import InputError, OutOfMemoryError, SoftSegError
from softseg.files import leaves_folder
from softseg.image import Geometry, Image, read_image, write_image
from softseg.network import ModelFolder, build_network, read_weights
from softseg.prediction.model_summary import ModelSummary
from softseg.soft import SoftParcellation
from softseg.texts import read_text
from softseg.tree import LabelTree, Node

TREE = LabelTree([Node("r", "r", None), Node("background", "background", "r", value=0), Node("a", "a", "r", value=1)])


def _peak(call: Callable[[], Any], *errors: type[Exception]) -> tuple[Exception, int]:
    """Return the error of a call, and the bytes that it took."""
    tracemalloc.start()
    try:
        with pytest.raises(errors) as caught:
            call()
        return caught.value, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _npz(file: Path, name: str, shape: tuple[int, ...], content: bytes) -> Path:
    """An archive with one array whose header says any shape."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.npy", header.getvalue() + content)
    return file


def _parcellation(file: Path) -> Path:
    probabilities = np.zeros((2, 4, 4, 4), np.float32)
    probabilities[1] = 1
    return SoftParcellation.from_dense(probabilities, TREE, Geometry((4, 4, 4))).save(file)


def test_an_archive_declares_what_it_does_not_hold(tmp_path: Path) -> None:
    file = _npz(tmp_path / "x.npz", "a", (2000, 2000, 1500), b"\0" * 100)
    error, peak = _peak(lambda: read_arrays(file), InputError)
    assert "x.npz: a: declares 2000 x 2000 x 1500 numbers" in str(error)
    assert peak < 1 << 20


def test_a_parcellation_declares_a_grid_that_no_file_of_its_size_has(tmp_path: Path) -> None:
    file = _parcellation(tmp_path / "x.soft.npz")
    with np.load(file) as archive:
        arrays = dict(archive)
    header = json.loads(arrays["header"].tobytes())
    header["geometry"]["size"] = [20_000, 20_000, 15_000]
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez_compressed(file, **arrays)
    error, peak = _peak(lambda: SoftParcellation.load(file), InputError, OutOfMemoryError)
    assert "x.soft.npz" in str(error)
    assert peak < 10 << 20


def test_a_packed_scan_that_unpacks_to_more_than_there_is(tmp_path: Path) -> None:
    """400 GB of zeros in 400 MB would pass the ratio of deflate; the memory there is decides."""
    file = tmp_path / "x.nii.gz"
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, 20_000, 20_000, 20_000, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 2, 8)
    struct.pack_into("<8f", header, 76, *[1.0] * 8)
    struct.pack_into("<f", header, 108, 352)
    header[344:348] = b"n+1\0"
    with file.open("wb") as stream:
        stream.write(gzip.compress(bytes(header)))
        stream.truncate(10 << 30)  # a hole: nothing is on the disk
    error, peak = _peak(lambda: read_image(file), SoftSegError)
    assert "x.nii.gz" in str(error)
    assert peak < 10 << 20


def test_zeros_behind_a_scan_are_not_unpacked_for_ever(tmp_path: Path) -> None:
    file = tmp_path / "x.nii.gz"
    write_image(Image(np.arange(8, dtype=np.uint8).reshape(2, 2, 2), Geometry((2, 2, 2))), tmp_path / "x.nii")
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b"\0" * (1 << 20)
    parts = [packer.compress((tmp_path / "x.nii").read_bytes()), *(packer.compress(block) for _ in range(300))]
    file.write_bytes(b"".join(parts) + packer.flush()[:-8] + b"damaged.")
    assert read_image(file).array.tolist() == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]


def test_weights_that_unpack_to_more_than_their_file(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1 << 22)}, tmp_path / "w.pt")
    with (
        zipfile.ZipFile(tmp_path / "w.pt") as archive,
        zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for info in archive.infolist():
            bomb.writestr(info.filename, archive.read(info))
    assert read_weights(tmp_path / "w.pt")["w"].shape == (1 << 22,)
    with pytest.raises(InputError, match=r"bomb\.pt: is damaged or not a file of weights: \d+ bytes that unpack to"):
        read_weights(tmp_path / "bomb.pt")


@pytest.mark.parametrize(
    "options",
    [{"filters": [10**9] * 3}, {"filters": [4] * 5000}, {"num_res_units": 10**6}, {"kernel_size": [[9999] * 3] * 4}],
)
def test_networks_that_nobody_could_build(options: dict[str, Any]) -> None:
    name = "UNet" if "num_res_units" in options else "DynUNet"
    error, peak = _peak(
        lambda: build_network(NetworkSpec(name=name, options=options), 1, 2, 3), InputError, OutOfMemoryError
    )
    assert peak < 10 << 20, error


def _plan(**changes: Any) -> Plan:
    fields: dict[str, Any] = {"channels": ("T1",), "spacing": (1.0,) * 3, "patch_size": (16, 16, 16)}
    return Plan(**fields | {"normalization": {"T1": {"kind": "z-score"}}} | changes)


def test_a_patch_that_no_memory_holds() -> None:
    with pytest.raises(ValueError, match="patch_size of more than"):
        _plan(patch_size=(4000, 4000, 4000))


def test_a_model_declares_more_weights_than_its_file_has(tmp_path: Path) -> None:
    plan = _plan(network={"name": "DynUNet", "options": {"filters": [4, 8, 16]}})
    ModelFolder.save(tmp_path / "m", build_network(plan.network, 1, 2, 3), plan, TREE, "head: softmax\n")
    file = tmp_path / "m" / "configs" / "metadata.json"
    content = json.loads(file.read_text())
    content["softseg"]["plan"]["network"]["options"]["filters"] = [8000, 8000, 8000]
    file.write_text(json.dumps(content))
    error, peak = _peak(lambda: ModelFolder.load(tmp_path / "m"), InputError)
    assert "metadata.json: softseg.plan.network: the network of its plan has" in str(error)
    assert peak < 100 << 20


@pytest.mark.parametrize("spacing", [100.0, 1e6, 1e30])
def test_voxels_of_metres_are_no_scan(spacing: float) -> None:
    array = np.random.default_rng(0).random((10, 10, 10)).astype(np.float32)
    image = Image(array, Geometry((10, 10, 10), (spacing,) * 3))
    with pytest.raises(InputError, match=r"far\.nii: spacing: voxels of .* mm would become .* voxels"):
        preprocess_images([image], _plan(spacing=(0.5, 0.5, 0.5)), ["far.nii"])


@pytest.mark.parametrize("kind", ["z-score", "z-score-nonzero", "percentile"])
@pytest.mark.parametrize(("unit", "dtype"), [(2.0**990, np.float64), (2.0**-990, np.float64), (2.0**-100, np.float32)])
def test_the_unit_of_an_image_changes_nothing(kind: str, unit: float, dtype: type) -> None:
    array = np.random.default_rng(0).normal(100, 20, (6, 7, 8)).astype(np.float32)
    how = Normalization(kind=kind)  # type: ignore[arg-type]
    np.testing.assert_allclose(normalize(array.astype(dtype) * dtype(unit), how), normalize(array, how), atol=1e-5)


def test_values_beyond_every_number_are_refused() -> None:
    array = np.array([[[1e308, -1e308], [1.0, 2.0]]])
    how = {"kind": "ct", "lower": -1e39, "upper": 1e39, "mean": 0, "sd": 1}
    plan = _plan(spacing=(None,) * 3, normalization={"T1": how})
    with pytest.raises(InputError, match=r"x\.nii: channel T1: its values are too large"):
        preprocess_images([Image(array, Geometry((2, 2, 1)))], plan, ["x.nii"])


def test_a_pipe_or_a_device_is_no_text(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    for file in (tmp_path / "pipe.json", Path("/dev/zero")):
        with pytest.raises(InputError, match="got a device or a pipe"):
            read_text(file)


def test_links_inside_a_model_stay_inside(tmp_path: Path) -> None:
    plan = _plan(network={"name": "DynUNet", "options": {"filters": [4, 8, 16]}})
    ModelFolder.save(tmp_path / "m", build_network(plan.network, 1, 2, 3), plan, TREE, "head: softmax\n")
    (tmp_path / "linked").symlink_to(tmp_path / "m")  # a link to the whole model is the user's own
    assert ModelFolder.load(tmp_path / "linked").tree == TREE
    for name in ("tree.json", "models/model.pt", "configs/metadata.json"):
        outside = tmp_path / Path(name).name
        (tmp_path / "m" / name).rename(outside)
        (tmp_path / "m" / name).symlink_to(outside)
        for load in (ModelFolder.load, ModelSummary.load):
            with pytest.raises(InputError, match="is a link out of m"):
                load(tmp_path / "m")
        (tmp_path / "m" / name).unlink()
        outside.rename(tmp_path / "m" / name)


def test_links_inside_a_dataset_stay_inside(tmp_path: Path) -> None:
    folder, secret = tmp_path / "data", tmp_path / "secret.nii.gz"
    folder.mkdir()
    write_image(Image(np.zeros((2, 2, 2), np.uint8), Geometry((2, 2, 2))), secret)
    (folder / "scan.nii.gz").symlink_to(secret)
    TREE.save(folder / "tree.json")
    case = {"id": "a", "group": "a", "split": "train", "images": {"T1": "scan.nii.gz"}, "labels": "../secret.nii.gz"}
    description = {"name": "x", "channels": ["T1"], "tree": "tree.json", "cases": [case]}
    (folder / "DATA.json").write_text(json.dumps(description))
    with pytest.raises(InputError, match=r"DATA\.json: cases\[0\]\.images\.T1: is a link out of the dataset's folder"):
        Dataset.load(folder / "DATA.json")
    case["images"] = {"T1": str(secret)}  # said plainly
    (folder / "DATA.json").write_text(json.dumps(description))
    assert Dataset.load(folder / "DATA.json").cases[0].images["T1"] == secret


def test_what_leaves_a_folder(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "file").touch()
    (tmp_path / "in" / "deep" / "up").symlink_to("../file")
    (tmp_path / "in" / "deep" / "out").symlink_to("../..")
    (tmp_path / "in" / "loop").symlink_to("loop")
    assert not leaves_folder(tmp_path / "in" / "deep" / "up", tmp_path / "in")
    assert leaves_folder(tmp_path / "in" / "deep" / "out" / "x", tmp_path / "in")
    assert not leaves_folder(tmp_path / "in" / "loop", tmp_path / "in")
    assert not leaves_folder(tmp_path / "in" / ".." / "x", tmp_path / "in")


@pytest.mark.parametrize("name", ["x" * 5000 + ".nii", "a\0b.nii", "../" * 3000 + "x.nii"])
def test_names_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    TREE.save(tmp_path / "tree.json")
    case = {"id": "a", "group": "a", "split": "train", "images": {"T1": name}, "labels": "l.nii"}
    description = {"name": "x", "channels": ["T1"], "tree": "tree.json", "cases": [case]}
    (tmp_path / "DATA.json").write_text(json.dumps(description))
    with pytest.raises(InputError, match=r"DATA\.json: cases\[0\]\.images\.T1: no such file"):
        Dataset.load(tmp_path / "DATA.json")


def test_a_form_code_that_the_output_cannot_hold(tmp_path: Path) -> None:
    """NIfTI-2 keeps codes in 32 bits, NIfTI-1 in 16."""
    file = tmp_path / "second.nii"
    nibabel.save(nibabel.Nifti2Image(np.arange(8, dtype=np.int16).reshape(2, 2, 2), np.eye(4)), file)
    content = bytearray(file.read_bytes())
    struct.pack_into("<i", content, 344, 3_287_918)
    file.write_bytes(bytes(content))
    written = write_image(read_image(file), tmp_path / "out.nii")
    assert read_image(written).array.tolist() == read_image(file).array.tolist()


def test_weights_whose_version_is_a_book(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(4)}, tmp_path / "w.pt")
    with zipfile.ZipFile(tmp_path / "w.pt") as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(tmp_path / "book.pt", "w") as book:
        for name, data in members.items():
            book.writestr(name, bytes(17 << 20) if name.endswith("/version") else data)
    error, peak = _peak(lambda: read_weights(tmp_path / "book.pt"), InputError)
    assert "book.pt: is damaged" in str(error)
    assert peak < 10 << 20
