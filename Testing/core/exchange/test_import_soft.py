"""``softseg import-soft``: files written as other tools write them, in every orientation, against SimpleITK."""

from __future__ import annotations

import itertools
import json
import pickle
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).resolve().parent))
from exchange_kit import NAMES, SIZE, distribution, image, stack

from softseg.errors import InputError
from softseg.events import Events, ListSink
from softseg.exchange.importing import run_import_soft
from softseg.requests import ImportSoftRequest
from softseg.soft import SoftParcellation
from softseg.tree import LabelTree, Node

ORIENTATIONS = [
    "".join(letters) for order in itertools.permutations(("LR", "PA", "SI")) for letters in itertools.product(*order)
]


def tree() -> LabelTree:
    return LabelTree(
        [
            Node("body", "body", None),
            Node("background", "background", "body", value=0),
            Node("kidneys", "kidneys", "body"),
            Node("left-kidney", "left kidney", "kidneys", value=2),
            Node("right-kidney", "right kidney", "kidneys", value=3),
            Node("liver", "liver", "body", value=1),
        ],
        name="abdomen",
    )


def imported(tmp_path: Path, *inputs: Path, **asked) -> tuple[SoftParcellation, list[str]]:
    sink = ListSink()
    out = tmp_path / "out.soft.npz"
    run_import_soft(ImportSoftRequest(inputs, out, **asked), Events(sink))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".unfinished")]
    said = [event["text"] for event in sink.events if event["event"] in ("log", "warning")]
    return SoftParcellation.load(out), said


def in_lps(parcellation: SoftParcellation, node: str) -> np.ndarray:
    """Return a node's map brought to LPS by SimpleITK."""
    made = sitk.GetImageFromArray(parcellation.probability(node))
    made.SetSpacing(parcellation.geometry.spacing)
    made.SetOrigin(parcellation.geometry.origin)
    made.SetDirection(parcellation.geometry.direction)
    turned = sitk.DICOMOrient(made, "LPS")
    reference = image(distribution()[0])
    assert turned.GetSize() == SIZE
    np.testing.assert_allclose(turned.GetOrigin(), reference.GetOrigin(), atol=1e-3)
    np.testing.assert_allclose(turned.GetDirection(), reference.GetDirection(), atol=1e-5)
    return sitk.GetArrayFromImage(turned)


def require_same(parcellation: SoftParcellation, values: np.ndarray | None = None, names=NAMES) -> None:
    values = distribution() if values is None else values
    bound = parcellation.node_error + 1e-4
    for name, volume in zip(names, values, strict=True):
        found = in_lps(parcellation, parcellation.tree.find(name).id)
        assert np.abs(found - volume).max() <= bound


def write_nnunet(folder: Path, values: np.ndarray, properties: dict, key: str = "probabilities", **options) -> Path:
    folder.mkdir(exist_ok=True)
    np.savez_compressed(folder / "case.npz", **{key: values})
    with (folder / "case.pkl").open("wb") as stream:
        pickle.dump(properties, stream, **options)
    labels = {name: value for value, name in enumerate(NAMES)}
    (folder / "dataset.json").write_text(json.dumps({"labels": {**labels, "ignore": 4}}))
    return folder / "case.npz"


def sitk_properties(scan: sitk.Image) -> dict:
    return {
        "sitk_stuff": {"spacing": scan.GetSpacing(), "origin": scan.GetOrigin(), "direction": scan.GetDirection()},
        "spacing": list(np.abs(scan.GetSpacing()[::-1])),
        "bbox_used_for_cropping": [[0, np.int64(5)], [0, 7], [0, 9]],
        "shape_before_cropping": (5, 7, 9),
    }


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_stacks_of_every_orientation_hold_the_same_voxels(tmp_path: Path, orientation: str) -> None:
    sitk.WriteImage(stack(distribution(), orientation), str(tmp_path / "post.nii.gz"))
    tree().save(tmp_path / "tree.json")
    found, said = imported(tmp_path, tmp_path / "post.nii.gz", tree=str(tmp_path / "tree.json"))
    require_same(found)
    assert any("no names" in text and "label values" in text for text in said)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nnunet_version_2_by_simpleitk(tmp_path: Path, protocol: int) -> None:
    turned = [image(volume, "PIR") for volume in distribution()]
    values = np.stack([sitk.GetArrayFromImage(volume) for volume in turned])
    path = write_nnunet(tmp_path / "out", values, sitk_properties(turned[0]), protocol=protocol)
    found, said = imported(tmp_path, path)
    require_same(found)
    assert [leaf.value for leaf in found.tree.leaves] == [0, 1, 2, 3]
    assert any("flat tree" in text for text in said)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nnunet_version_2_by_nibabel_turned_to_ras(tmp_path: Path, protocol: int) -> None:
    nibabel = pytest.importorskip("nibabel")
    files, arrays = [], []
    for number, volume in enumerate(distribution()):
        files.append(tmp_path / f"{number}.nii.gz")
        sitk.WriteImage(image(volume, "SAR"), str(files[-1]))
        loaded = nibabel.as_closest_canonical(nibabel.load(files[-1]))
        arrays.append(loaded.get_fdata().transpose(2, 1, 0).astype(np.float32))
    stuff = {"original_affine": nibabel.load(files[0]).affine, "reoriented_affine": loaded.affine}
    path = write_nnunet(tmp_path / "out", np.stack(arrays), {"nibabel_stuff": stuff, "spacing": [3.0, 2, 1.5]},
                        protocol=protocol)  # fmt: skip
    require_same(imported(tmp_path, path)[0])
    found, _ = imported(tmp_path, path, like=files[0])
    require_same(found)
    assert found.geometry.shape == sitk.GetArrayFromImage(sitk.ReadImage(str(files[0]))).shape


def test_nnunet_version_1_is_put_back_where_it_was_cropped(tmp_path: Path) -> None:
    values = distribution()
    scan = image(values[0])
    properties = OrderedDict(
        itk_spacing=scan.GetSpacing(), itk_origin=scan.GetOrigin(), itk_direction=scan.GetDirection(),
        original_size_of_raw_data=np.array([5, 7, 9]), crop_bbox=[[0, 5], [1, 7], [2, 9]], classes=np.arange(4.0),
    )  # fmt: skip
    path = write_nnunet(tmp_path / "out", values[:, :, 1:, 2:].astype(np.float16), properties, "softmax")
    found, _ = imported(tmp_path, path)
    expected = np.zeros_like(values)
    expected[0] = 1
    expected[:, :, 1:, 2:] = values[:, :, 1:, 2:]
    require_same(found, expected)


def test_without_properties_an_image_says_where_it_lies(tmp_path: Path) -> None:
    path = write_nnunet(tmp_path / "out", distribution(), {})
    path.with_suffix(".pkl").unlink()
    with pytest.raises(InputError, match=r"nothing says where the array lies.*--like IMAGE"):
        imported(tmp_path, path)
    sitk.WriteImage(image(distribution()[0]), str(tmp_path / "scan.nii.gz"))
    found, said = imported(tmp_path, path, like=tmp_path / "scan.nii.gz")
    require_same(found)
    assert any("taken to lie on the voxels of scan.nii.gz" in text for text in said)


@pytest.mark.parametrize(
    ("stems", "names"),
    [
        (("sub-1_space-T1w_label-GM_probseg", "sub-1_space-T1w_label-WM_probseg", "sub-1_space-T1w_label-CSF_probseg"),
         ("grey matter", "white matter", "CSF")),
        (("T1_brain_pve_0", "T1_brain_pve_1", "T1_brain_pve_2"), ("CSF", "grey matter", "white matter")),
        (("c1head", "c2head", "c3head"), ("grey matter", "white matter", "CSF")),
        (("posterior_liver", "posterior_spleen", "posterior_aorta"), ("liver", "spleen", "aorta")),
    ],
)  # fmt: skip
def test_folders_of_maps_are_named_by_their_files(tmp_path: Path, stems, names) -> None:
    folder = tmp_path / "maps"
    folder.mkdir()
    for stem, volume in zip(stems, distribution()[1:], strict=True):
        sitk.WriteImage(image(volume, "RAS"), str(folder / f"{stem}.nii.gz"))
    found, _ = imported(tmp_path, folder)
    assert {leaf.name for leaf in found.tree.leaves} == {"background", *names}
    require_same(found, names=("background", *names))


@pytest.mark.parametrize(("scale", "kind"), [(255, np.uint8), (100, np.float32)])
def test_other_units_are_recognised_and_said(tmp_path: Path, scale: int, kind: type) -> None:
    values = (distribution() * scale).round().astype(kind)
    sitk.WriteImage(stack(values), str(tmp_path / "maps.nii.gz"))
    tree().save(tmp_path / "tree.json")
    asked = {"tree": str(tmp_path / "tree.json")}
    # floats do not say that they were rounded: their sums above 1 need a word
    found, said = imported(tmp_path, tmp_path / "maps.nii.gz", normalize=kind is np.float32, **asked)
    assert any(f"divided by {scale}" in text for text in said)
    for name, volume in zip(NAMES, values, strict=True):
        assert np.abs(in_lps(found, tree().find(name).id) - volume / scale).max() <= 0.01 + 2.5 / scale


def test_numbers_that_are_no_clear_unit_are_refused(tmp_path: Path) -> None:
    sitk.WriteImage(stack(distribution() * 37), str(tmp_path / "maps.nii.gz"))
    with pytest.raises(InputError, match=r"neither 0..1 nor clearly percentages.*--scale"):
        imported(tmp_path, tmp_path / "maps.nii.gz")


def test_sums_above_1_are_refused_or_normalised_and_said(tmp_path: Path) -> None:
    values = distribution()[1:]
    values[:, 2, 3, 4] = (0.8, 0.6, 0.2)
    for name, volume in zip(NAMES[1:], values, strict=True):
        sitk.WriteImage(image(volume), str(tmp_path / f"{name}.nii.gz"))
    files = [tmp_path / f"{name}.nii.gz" for name in NAMES[1:]]
    with pytest.raises(InputError, match=r"voxel \(4, 3, 2\) \(i, j, k\) sum to 1.6.*--normalize"):
        imported(tmp_path, *files)
    found, said = imported(tmp_path, *files, normalize=True)
    assert any("in 1 voxels the probabilities summed to more than 1, up to 1.6 at (4, 3, 2)" in text for text in said)
    assert abs(in_lps(found, "liver")[2, 3, 4] - 0.5) <= found.node_error


def test_inner_nodes_and_unknown_names_are_refused(tmp_path: Path) -> None:
    tree().save(tmp_path / "tree.json")
    for name, volume in zip(("liver", "kidneys"), distribution()[1:3], strict=True):
        sitk.WriteImage(image(volume), str(tmp_path / f"{name}.nii.gz"))
    files = (tmp_path / "liver.nii.gz", tmp_path / "kidneys.nii.gz")
    with pytest.raises(InputError, match="'kidneys' of the tree 'abdomen', which has parts"):
        imported(tmp_path, *files, tree=str(tmp_path / "tree.json"))
    found, _ = imported(tmp_path, *files, tree=str(tmp_path / "tree.json"), chosen=("kidneys=left-kidney",))
    assert np.abs(in_lps(found, "left-kidney") - distribution()[2]).max() <= found.node_error
    with pytest.raises(InputError, match="no map is called 'spleen'"):
        imported(tmp_path, *files, tree=str(tmp_path / "tree.json"), chosen=("spleen=liver",))


def test_damaged_files_are_named(tmp_path: Path) -> None:
    sitk.WriteImage(stack(distribution()), str(tmp_path / "maps.nii.gz"))
    content = (tmp_path / "maps.nii.gz").read_bytes()
    (tmp_path / "maps.nii.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"maps\.nii\.gz.*damaged or truncated"):
        imported(tmp_path, tmp_path / "maps.nii.gz")
    assert not (tmp_path / "out.soft.npz").exists()
