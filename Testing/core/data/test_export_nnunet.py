"""A dataset written for nnU-Net says the same when it is read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from softseg.data import Dataset, export_nnunet, import_nnunet
from softseg.errors import InputError
from softseg.events import Events, ListSink
from softseg.image import read_image


def exported(dataset: Dataset, tmp_path: Path, events: Events | None = None) -> tuple[Path, dict[str, Any]]:
    folder = export_nnunet(dataset, tmp_path / "nnUNet_raw/Dataset007_Head", events)
    return folder, json.loads((folder / "dataset.json").read_text(encoding="utf-8"))


def array(file: Path) -> np.ndarray:
    return read_image(file, labels=True).array


@pytest.fixture(autouse=True)
def _no_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("nnUNet_preprocessed", raising=False)


def test_a_dataset_comes_back_with_labels_splits_and_tree(make: Any, tmp_path: Path) -> None:
    grid = {"spacing": (1.0, 1.5, 3.0), "origin": (4.0, -5.0, 6.0), "direction": (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1)}
    for name, split in (("a_1", "train"), ("b", "val"), ("c", "test")):
        make.head(name, split, **grid)
    dataset = make.load()
    folder, said = exported(dataset, tmp_path)
    assert said["labels"] == {"background": 0, "Left grey": 1, "Right grey": 2, "white matter": 3}
    assert said["channel_names"] == {"0": "T1"}
    assert said["numTraining"] == 2
    splits = [{"train": ["a-1"], "val": ["b"]}]
    assert json.loads((folder / "splits_final.json").read_text()) == splits
    beside = tmp_path / "nnUNet_preprocessed/Dataset007_Head/splits_final.json"
    assert json.loads(beside.read_text()) == splits, "where nnU-Net reads them"

    back = Dataset.load(import_nnunet(folder, tmp_path / "back.json"))
    assert [(case.id, case.split) for case in back.cases] == [("a-1", "train"), ("b", "val"), ("c", "test")]
    assert [node.id for node in back.tree.nodes] == [node.id for node in dataset.tree.nodes]
    for old, new in zip(dataset.cases, back.cases, strict=True):
        assert read_image(new.images["T1"]).geometry.same_grid(read_image(old.images["T1"]).geometry)
        np.testing.assert_array_equal(array(new.images["T1"]), array(old.images["T1"]))
        np.testing.assert_array_equal(array(new.labels), array(old.labels))  # type: ignore[arg-type]


def test_coarse_labels_and_unlabelled_voxels_have_values_of_their_own(make: Any, tmp_path: Path) -> None:
    labels = make.head_labels((20, 22, 24))
    labels[labels == 1] = 9  # grey matter, which side is not known
    labels[0] = 200
    image = make.write("a.nii.gz", labels.astype(np.float32))
    make.case("a", image, make.write("a-labels.nii.gz", labels), unlabelled=200)
    folder, said = exported(make.load(), tmp_path)
    assert said["labels"] == {
        "background": 0, "Left grey": 1, "Right grey": 2, "white matter": 3, "grey matter": 4, "ignore": 5,
    }  # fmt: skip
    written = array(folder / "labelsTr/a.nii.gz")
    for old, new in ((0, 0), (2, 2), (3, 3), (9, 4), (200, 5)):
        np.testing.assert_array_equal(written == new, labels == old)
    back = Dataset.load(import_nnunet(folder, tmp_path / "back.json"))
    assert back.tree.node("grey").value == 4
    assert back.tree.root.value == 5


def test_values_follow_the_leaves_wherever_the_background_stands(make: Any, tmp_path: Path) -> None:
    make.head("a")
    tree = make.head_tree()
    moved = tree.move("background", "root")  # now it is the last leaf
    assert [leaf.id for leaf in moved.leaves][-1] == "background"
    folder, said = exported(make.load(moved), tmp_path)
    assert said["labels"] == {"background": 0, "Left grey": 1, "Right grey": 2, "white matter": 3}
    np.testing.assert_array_equal(array(folder / "labelsTr/a.nii.gz"), make.head_labels((20, 22, 24)))


def test_soft_labels_are_named_where_they_are_lost(make: Any, tmp_path: Path) -> None:
    soft = np.zeros((8, 9, 10), np.float32)
    soft[2:6, 2:6, 2:6], soft[2] = 0.9, 0.4
    image = make.write("a.nii.gz", soft)
    make.case("a", image, {"lesion": make.write("lesion.nii.gz", soft)})
    sink = ListSink()
    folder, _ = exported(make.load(make.flat_tree()), tmp_path, Events(sink))
    warnings = [event["text"] for event in sink.events if event["event"] == "warning"]
    assert len(warnings) == 1
    assert f"case a: {int((soft > 0).sum())} voxels have soft labels" in warnings[0]
    np.testing.assert_array_equal(array(folder / "labelsTr/a.nii.gz"), soft > 0.5)


def test_what_nnunet_cannot_take_is_refused(make: Any, tmp_path: Path) -> None:
    make.head("a")
    dataset = make.load()
    with pytest.raises(InputError, match=r"DatasetNNN_NAME.*Dataset101_Cord"):
        export_nnunet(dataset, tmp_path / "raw")
    other = make.write("other.nii.gz", np.zeros((20, 22, 24), np.float32), spacing=(2.0, 1.0, 1.0))
    make.cases[0]["images"] = {"T1": "a.nii.gz", "T2": other}
    with pytest.raises(InputError, match=r"other\.nii\.gz: images\.T2: lies on another grid than a\.nii\.gz"):
        exported(make.load(channels=("T1", "T2")), tmp_path)
    assert not (tmp_path / "nnUNet_raw/Dataset007_Head").exists()
