"""Folders of known layout become DATA.json and tree.json that load and pass the check."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from softseg.data import (
    Dataset,
    check_dataset,
    import_bids,
    import_decathlon,
    import_folder,
    import_nnunet,
)
from softseg.data.importers.bids import person
from softseg.data.importers.people import split_people
from softseg.errors import InputError
from softseg.image import read_image

SHAPE = (6, 7, 8)


def write(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    return path


def noise(seed: int = 0, channels: int = 0) -> np.ndarray:
    shape = (channels, *SHAPE) if channels else SHAPE
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def labels(*values: int) -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8)
    for place, value in enumerate(values):
        array[place] = value
    return array


def loaded(path: Path) -> Dataset:
    content = json.loads(path.read_text())
    assert not any(Path(name).is_absolute() for case in content["cases"] for name in case["images"].values())
    dataset = Dataset.load(path)
    check_dataset(dataset)
    return dataset


def test_people_are_split_the_same_way_whatever_the_order():
    names = [f"p{number}" for number in range(20)]
    split = split_people(names)
    assert split == split_people(names[::-1] * 2)
    assert [list(split.values()).count(name) for name in ("train", "val", "test")] == [14, 3, 3]
    assert set(split_people(["a", "b", "c"]).values()) == {"train", "val", "test"}
    assert set(split_people(["a"]).values()) == {"train"}
    assert set(split_people(names, (0.5, 0.5, 0)).values()) == {"train", "val"}
    with pytest.raises(InputError, match="three fractions that sum to 1"):
        split_people(names, (0.5, 0.5, 0.5))


# -- plain folders ------------------------------------------------------------------------------------------------


def test_plain_folders(tmp_path):
    for name in ("a", "b", "c"):
        write(tmp_path / "src/images" / f"{name}.nrrd", noise())
        write(tmp_path / "src/labels" / f"{name}.nii.gz", labels(1, 5))
    write(tmp_path / "src/masks/b.mha", labels(1, 1))
    dataset = loaded(import_folder(tmp_path / "src", tmp_path / "out/DATA.json"))
    assert dataset.channels == ("image",)
    assert [leaf.value for leaf in dataset.tree.leaves] == [0, 1, 5]
    assert dataset.case("b").mask.name == "b.mha"
    assert {case.split for case in dataset.cases} == {"train", "val", "test"}


def test_plain_folders_with_channels_raters_and_a_tree(tmp_path, make):
    for name in ("a", "b"):
        for channel in ("T1", "T2"):
            write(tmp_path / "src/images" / channel / f"{name}.mha", noise())
        for rater in ("one", "two"):
            write(tmp_path / "src/labels" / name / f"{rater}.mha", labels(1, 3))
    tree = make.head_tree().save(tmp_path / "head.json")
    dataset = loaded(import_folder(tmp_path / "src", tmp_path / "DATA.json", tree=tree))
    assert dataset.channels == ("T1", "T2")
    assert len(dataset.case("a").labels) == 2
    assert dataset.tree == make.head_tree()


def test_plain_soft_labels_have_one_structure(tmp_path):
    write(tmp_path / "src/images/a.mha", noise())
    write(tmp_path / "src/labels/a.mha", labels(1).astype(np.float32) * 0.5)
    dataset = loaded(import_folder(tmp_path / "src", tmp_path / "DATA.json"))
    assert len(dataset.tree.leaves) == 2


def test_plain_folders_that_lack_something(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        import_folder(tmp_path / "src", tmp_path / "DATA.json")
    write(tmp_path / "src/images/a.mha", noise())
    with pytest.raises(InputError, match="no such folder of labels"):
        import_folder(tmp_path / "src", tmp_path / "DATA.json")
    write(tmp_path / "src/labels/b.mha", labels(1))
    with pytest.raises(InputError, match="there are no labels for the image 'a'; give both the same stem"):
        import_folder(tmp_path / "src", tmp_path / "DATA.json")
    write(tmp_path / "src/labels/a.mha", labels())
    with pytest.raises(InputError, match="hold nothing but 0"):
        import_folder(tmp_path / "src", tmp_path / "DATA.json")
    assert not (tmp_path / "DATA.json").exists()


@pytest.mark.parametrize("value", [-2, 70_000])
def test_a_label_value_that_no_tree_can_hold_is_refused_with_its_file(tmp_path, value):
    for name in ("a", "b"):
        write(tmp_path / "src/images" / f"{name}.mha", noise())
    write(tmp_path / "src/labels/a.mha", labels(1))
    write(tmp_path / "src/labels/b.mha", np.where(labels(1) == 1, value, 0).astype(np.int32))
    with pytest.raises(InputError, match=rf"b\.mha: labels: expected label values in 0\.\.65535, got {value}"):
        import_folder(tmp_path / "src", tmp_path / "DATA.json")
    assert not (tmp_path / "DATA.json").exists()


# -- nnU-Net ------------------------------------------------------------------------------------------------------


def nnunet(folder: Path, description: dict, values=(1, 2, 3), names=("case_1", "case_2", "case_3", "case_4")) -> Path:
    for name in names:
        for channel in range(len(description["channel_names"])):
            write(folder / "imagesTr" / f"{name}_{channel:04d}.nii.gz", noise(channel))
        write(folder / "labelsTr" / f"{name}.nii.gz", labels(*values))
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


def test_nnunet(tmp_path):
    description = {"channel_names": {"0": "FLAIR", "1": "T1"}, "labels": {"background": 0, "a": 1, "b": 2, "c": 3}}
    source = nnunet(tmp_path / "Dataset001_Test", description)
    write(source / "imagesTs/t_0000.nii.gz", noise())
    write(source / "imagesTs/t_0001.nii.gz", noise())
    write(source / "labelsTs/t.nii.gz", labels(1))
    dataset = loaded(import_nnunet(source, tmp_path / "DATA.json"))
    assert dataset.channels == ("FLAIR", "T1")
    assert {leaf.id: leaf.value for leaf in dataset.tree.leaves} == {"background": 0, "a": 1, "b": 2, "c": 3}
    assert [case.id for case in dataset.split("test")] == ["t"]
    assert len(dataset.split("train", "val")) == 4


def test_nnunet_regions_become_inner_nodes(tmp_path):
    description = {
        "channel_names": {"0": "T1"},
        "labels": {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": [3], "ignore": 4},
        "regions_class_order": [1, 2, 3],
    }
    dataset = loaded(import_nnunet(nnunet(tmp_path / "src", description, (1, 2, 3, 4)), tmp_path / "DATA.json"))
    tree = dataset.tree
    assert [node.id for node in tree.path("enhancing")] == ["root", "whole", "core", "enhancing"]
    assert {leaf.value for leaf in tree.leaves_under("whole")} == {1, 2, 3}
    assert {leaf.value for leaf in tree.leaves_under("core")} == {2, 3}
    assert tree.root.value == 4


def test_nnunet_regions_that_cross_are_refused(tmp_path):
    description = {"channel_names": {"0": "T1"}, "labels": {"background": 0, "x": [1, 2], "y": [2, 3]}}
    with pytest.raises(InputError, match="the regions 'x' and 'y' overlap without nesting"):
        import_nnunet(nnunet(tmp_path / "src", description), tmp_path / "DATA.json")


def test_nnunet_that_lacks_something(tmp_path):
    description = {"channel_names": {"0": "T1"}, "labels": {"background": 0, "a": 1}}
    source = nnunet(tmp_path / "src", description, (1,))
    (source / "imagesTr/case_2_0000.nii.gz").unlink()
    with pytest.raises(InputError, match="channel T1: there is no image case_2_0000"):
        import_nnunet(source, tmp_path / "DATA.json")
    (source / "dataset.json").write_text('{"labels": {}}')
    with pytest.raises(InputError, match=r"dataset\.json: channel_names: expected names by number"):
        import_nnunet(source, tmp_path / "DATA.json")
    (source / "dataset.json").write_text("{\n,}")
    with pytest.raises(InputError, match="line 2: is not valid JSON"):
        import_nnunet(source, tmp_path / "DATA.json")
    (source / "dataset.json").unlink()
    with pytest.raises(InputError, match="no such file"):
        import_nnunet(source, tmp_path / "DATA.json")


# -- Decathlon ----------------------------------------------------------------------------------------------------


def decathlon(folder: Path, modality: dict, channels: int) -> Path:
    entries = []
    for name in ("x_1", "x_2", "x_3"):
        if channels:
            volume = sitk.JoinSeries([sitk.GetImageFromArray(noise(seed)) for seed in range(channels)])
            (folder / "imagesTr").mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(volume, str(folder / "imagesTr" / f"{name}.nii.gz"))
        else:
            write(folder / "imagesTr" / f"{name}.nii.gz", noise())
        write(folder / "labelsTr" / f"{name}.nii.gz", labels(1, 2))
        entries.append({"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"})
    description = {
        "name": "Task",
        "modality": modality,
        "labels": {"0": "background", "1": "organ", "2": "tumour"},
        "training": entries,
    }
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


def test_decathlon_channels_are_split_into_files(tmp_path):
    source = decathlon(tmp_path / "src", {"0": "T2", "1": "ADC"}, 2)
    dataset = loaded(import_decathlon(source, tmp_path / "out/DATA.json"))
    assert dataset.channels == ("T2", "ADC")
    assert [leaf.id for leaf in dataset.tree.leaves] == ["background", "organ", "tumour"]
    for seed, channel in enumerate(dataset.channels):
        np.testing.assert_array_equal(read_image(dataset.case("x_1").images[channel]).array, noise(seed))


def test_decathlon_3d_images_stay_where_they_are(tmp_path):
    source = decathlon(tmp_path / "src", {"0": "CT"}, 0)
    dataset = loaded(import_decathlon(source, tmp_path / "DATA.json"))
    assert dataset.case("x_2").images["CT"] == source / "imagesTr/x_2.nii.gz"


def test_decathlon_that_lacks_something(tmp_path):
    source = decathlon(tmp_path / "src", {"0": "T2", "1": "ADC", "2": "T1"}, 2)
    with pytest.raises(InputError, match=r"modality: expected 3 channels, got 2"):
        import_decathlon(source, tmp_path / "DATA.json")
    (source / "labelsTr/x_2.nii.gz").unlink()
    (source / "dataset.json").write_text((source / "dataset.json").read_text().replace(', "2": "T1"', ""))
    with pytest.raises(InputError, match=r"training\[1\]\.label: no such file"):
        import_decathlon(source, tmp_path / "DATA.json")
    (source / "dataset.json").write_text('{"modality": {"0": "a"}, "labels": {"0": "b"}, "training": 3}')
    with pytest.raises(InputError, match="training: expected a list"):
        import_decathlon(source, tmp_path / "DATA.json")


# -- BIDS ---------------------------------------------------------------------------------------------------------


def test_a_session_in_the_subjects_name_is_the_same_person():
    assert person("sub-9709Ses1_run-1") == person("sub-9709Ses2_run-1") == "sub-9709"
    assert person("sub-01_ses-02_run-1") == "sub-01"
    assert person("sub-0102") == "sub-0102"


def test_bids_dseg_with_sessions_and_desc(tmp_path):
    source = tmp_path / "src"
    for subject in ("sub-1", "sub-2", "sub-3"):
        for session in ("ses-a", "ses-b"):
            anat = f"{subject}/{session}/anat"
            for suffix in ("T1w", "T2w"):
                write(source / anat / f"{subject}_{session}_{suffix}.nii.gz", noise())
            write(source / "derivatives/x" / anat / f"{subject}_{session}_desc-manual_dseg.nii.gz", labels(1, 4))
    dataset = loaded(import_bids(source, tmp_path / "DATA.json", suffixes=["T1w", "T2w"]))
    assert dataset.channels == ("T1w", "T2w")
    assert len(dataset.cases) == 6
    assert dataset.case("sub-1_ses-a").group == "sub-1"
    assert [leaf.value for leaf in dataset.tree.leaves] == [0, 1, 4]


def test_the_real_cord_dataset_nests_by_itself(shared_data, tmp_path):
    dataset = Dataset.load(import_bids(shared_data / "cord", tmp_path / "DATA.json"))
    assert dataset.channels == ("T2starw",)
    assert len(dataset.cases) == 7
    assert len({case.group for case in dataset.cases}) == 5
    assert [node.id for node in dataset.tree.path("gmseg-manual")] == ["root", "seg-manual", "gmseg-manual"]


def test_the_real_cord_dataset_with_a_tree_and_names(shared_data, tmp_path, resources):
    tree = resources / "LabelTrees/spinal-cord-grey-matter.json"
    names = {"grey-matter": "gmseg-manual", "cord": "_seg-manual"}
    dataset = Dataset.load(import_bids(shared_data / "cord", tmp_path / "DATA.json", labels=names, tree=tree))
    case = dataset.case("sub-9669_run-1")
    assert {node: path.name.split("T2starw_")[1] for node, path in case.labels.items()} == {
        "grey-matter": "gmseg-manual.nii.gz",
        "cord": "seg-manual.nii.gz",
    }
    with pytest.raises(InputError, match="has no label file 'csf'"):
        import_bids(shared_data / "cord", tmp_path / "DATA.json", labels={"grey-matter": "csf"}, tree=tree)


def test_bids_that_lacks_something(tmp_path):
    source = tmp_path / "src"
    source.mkdir()
    with pytest.raises(InputError, match="no such folder of labels"):
        import_bids(source, tmp_path / "DATA.json")
    write(source / "derivatives/x/sub-1/anat/sub-1_seg.nii.gz", labels(1))
    with pytest.raises(InputError, match=r"has no folder sub-\*: is it a BIDS dataset\?"):
        import_bids(source, tmp_path / "DATA.json")
    write(source / "sub-2/anat/sub-2_T1w.nii.gz", noise())
    with pytest.raises(InputError, match="no label file belongs to an image"):
        import_bids(source, tmp_path / "DATA.json")
    with pytest.raises(InputError, match="no such folder of labels"):
        import_bids(source, tmp_path / "DATA.json", derivatives="none")
