"""What importers find in real layouts: derivatives in several spaces, old descriptions, files without partners."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from softseg.data import Dataset, check_dataset, import_bids, import_decathlon, import_folder, import_nnunet
from softseg.data.writing import companion
from softseg.errors import InputError
from softseg.events import Events, ListSink
from softseg.image import read_image
from softseg.tree import LabelTree

SHAPE = (6, 7, 8)


def write(path: Path, array: np.ndarray, spacing: float = 1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((spacing,) * 3)
    sitk.WriteImage(image, str(path))
    return path


def scan(path: Path, seed: int = 0) -> Path:
    return write(path, np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32))


def labels(path: Path, *values: float, kind: type = np.uint8) -> Path:
    array = np.zeros(SHAPE, kind)
    for place, value in enumerate(values):
        array[place] = value
    return write(path, array)


def said(sink: ListSink, kind: str = "warning") -> str:
    return "\n".join(str(event["text"]) for event in sink.events if event["event"] == kind)


def values_of(dataset: Dataset) -> list[int | None]:
    return [leaf.value for leaf in dataset.tree.leaves]


# -- a tree for each dataset ------------------------------------------------------------------------------------------


def test_two_imports_into_one_folder_keep_their_trees(tmp_path: Path) -> None:
    for name, value in (("one", 1), ("two", 7)):
        scan(tmp_path / name / "images/a.nii.gz")
        labels(tmp_path / name / "labels/a.nii.gz", value)
        import_folder(tmp_path / name, tmp_path / f"{name}.json")
    assert values_of(Dataset.load(tmp_path / "one.json")) == [0, 1]
    assert values_of(Dataset.load(tmp_path / "two.json")) == [0, 7]
    assert sorted(path.name for path in tmp_path.glob("*.json")) == [
        "one.json", "one.tree.json", "two.json", "two.tree.json",
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"one\.tree\.json: is a label tree; a dataset would replace it"):
        import_folder(tmp_path / "two", tmp_path / "one.tree.json")
    assert values_of(Dataset.load(tmp_path / "one.json")) == [0, 1]
    with pytest.raises(InputError, match=r"expected a name that ends in \.json"):
        import_folder(tmp_path / "two", tmp_path / "two")
    assert companion(tmp_path / "a.b.json", "tree.json").name == "a.b.tree.json"


def test_two_tasks_in_one_folder_keep_their_channels(tmp_path: Path) -> None:
    for name, shift in (("one", 0), ("two", 100)):
        volumes = [np.full(SHAPE, shift + channel, np.float32) for channel in range(2)]
        for volume in volumes:
            volume[0] += 1
        (tmp_path / name / "imagesTr").mkdir(parents=True)
        image = sitk.JoinSeries([sitk.GetImageFromArray(volume) for volume in volumes])
        sitk.WriteImage(image, str(tmp_path / name / "imagesTr/x 1.nii.gz"))
        labels(tmp_path / name / "labelsTr/x 1.nii.gz", 1)
        entry = {"image": "./imagesTr/x 1.nii.gz", "label": "./labelsTr/x 1.nii.gz"}
        content = {"modality": {"0": "T1", "1": "T2"}, "labels": {"0": "background", "1": "a"}, "training": [entry]}
        (tmp_path / name / "dataset.json").write_text(json.dumps(content))
        import_decathlon(tmp_path / name, tmp_path / f"{name}.json")
    for name, shift in (("one", 0), ("two", 100)):
        case = Dataset.load(tmp_path / f"{name}.json").case("x 1")
        assert [read_image(case.images[channel]).array.max() for channel in ("T1", "T2")] == [shift + 1, shift + 2]
    import_decathlon(tmp_path / "two", tmp_path / "one.json")  # another task under the same name
    case = Dataset.load(tmp_path / "one.json").case("x 1")
    assert read_image(case.images["T1"]).array.max() == 101


# -- fMRIPrep and other derivatives -----------------------------------------------------------------------------------


def fmriprep(folder: Path, endings: dict[str, tuple[float, ...]], subjects: tuple[str, ...] = ("1", "10", "2")) -> Path:
    for subject in subjects:
        scan(folder / f"sub-{subject}/anat/sub-{subject}_T1w.nii.gz")
        for ending, values in endings.items():
            kind = np.float32 if ending.endswith("probseg") else np.uint8
            labels(
                folder / f"derivatives/fmriprep/sub-{subject}/anat/sub-{subject}_{ending}.nii.gz", *values, kind=kind
            )
    return folder


MNI = "space-MNI152NLin2009cAsym"


def test_labels_in_the_images_own_space_are_taken(tmp_path: Path) -> None:
    endings = {
        "dseg": (1, 2, 3), f"{MNI}_dseg": (9,), "desc-aseg_dseg": (10, 11), "desc-brain_mask": (1,),
        "label-GM_probseg": (0.5,), "desc-preproc_T1w": (5,), f"{MNI}_res-2_desc-brain_mask": (1,),
    }  # fmt: skip
    source = fmriprep(tmp_path / "src", endings)
    (source / "derivatives/fmriprep/sub-1/anat/._sub-1_dseg.nii.gz").write_bytes(b"\0\5\x16\7" * 9)
    sink = ListSink()
    dataset = Dataset.load(import_bids(source, tmp_path / "D.json", events=Events(sink)))
    check_dataset(dataset)
    assert sorted(Path(str(case.labels)).name for case in dataset.cases) == [
        "sub-10_dseg.nii.gz", "sub-1_dseg.nii.gz", "sub-2_dseg.nii.gz",
    ]  # fmt: skip
    assert values_of(dataset) == [0, 1, 2, 3]
    assert "6 label files in other spaces are left out (MNI152NLin2009cAsym)" in said(sink, "log")
    assert "labels are 'dseg'; 'desc-aseg_dseg', 'desc-brain_mask', 'label-GM_probseg' left out" in said(sink)
    dataset = Dataset.load(import_bids(source, tmp_path / "D.json", label_map="desc-aseg_dseg"))
    assert values_of(dataset) == [0, 10, 11]
    dataset = Dataset.load(import_bids(source, tmp_path / "D.json", label_map="aseg"))
    assert values_of(dataset) == [0, 10, 11]


def test_labels_of_a_scan_are_those_of_its_t1w_and_not_of_functional_images(tmp_path: Path) -> None:
    source = fmriprep(tmp_path / "src", {"dseg": (1, 2)})
    for subject in ("1", "10", "2"):
        scan(source / f"sub-{subject}/anat/sub-{subject}_FLAIR.nii.gz")
        for task in "abcd":
            name = f"sub-{subject}/func/sub-{subject}_task-{task}"
            scan(source / f"{name}_bold.nii.gz")
            labels(source / f"derivatives/fmriprep/{name}_space-T1w_desc-aseg_dseg.nii.gz", 9)
            labels(source / f"derivatives/fmriprep/{name}_desc-brain_mask.nii.gz", 1)
    sink = ListSink()
    dataset = Dataset.load(import_bids(source, tmp_path / "D.json", events=Events(sink)))
    assert (dataset.channels, len(dataset.cases), values_of(dataset)) == (("T1w",), 3, [0, 1, 2])
    assert "12 label files in other spaces are left out (T1w)" in said(sink, "log")
    assert "labels of bold are left out; choose images with --suffix" in said(sink, "log")


def test_label_maps_that_no_rule_tells_apart_are_refused_with_their_names(tmp_path: Path) -> None:
    source = fmriprep(tmp_path / "src", {"desc-aseg_dseg": (1,), "desc-aparcaseg_dseg": (2,)})
    with pytest.raises(
        InputError, match=r"several label maps .* desc-aparcaseg_dseg and desc-aseg_dseg; choose one with"
    ):
        import_bids(source, tmp_path / "D.json")


def test_probability_maps_become_soft_maps(tmp_path: Path) -> None:
    source = fmriprep(
        tmp_path / "src", {"label-GM_probseg": (0.25, 1), "label-WM_probseg": (0.5,), "desc-brain_mask": (1,)}
    )
    dataset = Dataset.load(import_bids(source, tmp_path / "D.json"))
    check_dataset(dataset)
    assert isinstance(dataset.cases[0].labels, dict)
    assert set(dataset.cases[0].labels) == {"GM", "WM"}
    assert [leaf.id for leaf in dataset.tree.leaves] == ["background", "GM", "WM"]


def test_a_brain_mask_alone_is_the_label_map(tmp_path: Path) -> None:
    dataset = Dataset.load(import_bids(fmriprep(tmp_path / "src", {"desc-brain_mask": (1,)}), tmp_path / "D.json"))
    assert values_of(dataset) == [0, 1]


def test_labels_only_in_another_space_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds labels only in other spaces than the images' own: MNI152NLin2009cAsym"):
        import_bids(fmriprep(tmp_path / "src", {f"{MNI}_dseg": (1,)}), tmp_path / "D.json")


def test_what_bids_leaves_out_is_named(tmp_path: Path) -> None:
    source = fmriprep(tmp_path / "src", {"space-T1w_dseg": (1,)})
    scan(source / "sub-3/anat/sub-3_T1w.nii.gz")
    labels(source / "derivatives/fmriprep/sub-4/anat/sub-4_dseg.nii.gz", 1)
    labels(source / "derivatives/manual/sub-1/anat/sub-1_T1w_dseg.nii.gz", 1)
    sink = ListSink()
    dataset = Dataset.load(import_bids(source, tmp_path / "D.json", events=Events(sink)))
    assert len(dataset.cases) == 3
    for text in ("there are no labels for 'sub-3'", "no image belongs to 'sub-4_dseg.nii.gz'", "not from 'manual'"):
        assert text in said(sink)
    dataset = Dataset.load(import_bids(source, tmp_path / "D.json", derivatives="manual"))
    assert [case.id for case in dataset.cases] == ["sub-1"]


# -- nnU-Net ----------------------------------------------------------------------------------------------------------


def old(folder: Path, names: tuple[str, ...], **content: object) -> Path:
    for name in names:
        scan(folder / f"imagesTr/{name}_0000.nii.gz")
        labels(folder / f"labelsTr/{name}.nii.gz", 1, 2)
    entries = [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in names]
    written = {
        "name": "old", "modality": {"0": "MRI"}, "labels": {"0": "background", "2": "right", "1": "left"},
        "training": entries, "test": [], **content,
    }  # fmt: skip
    (folder / "dataset.json").write_bytes(
        b"\xef\xbb\xbf" + json.dumps(written, indent=1).replace("\n", "\r\n").encode()
    )
    return folder


def test_nnunet_1_with_labels_by_number_and_a_byte_order_mark(tmp_path: Path) -> None:
    dataset = Dataset.load(import_nnunet(old(tmp_path / "src", ("p1", "p2", "p10")), tmp_path / "D.json"))
    check_dataset(dataset)
    assert {leaf.id: leaf.value for leaf in dataset.tree.leaves} == {"background": 0, "left": 1, "right": 2}
    assert (dataset.channels, {case.id for case in dataset.cases}) == (("MRI",), {"p1", "p2", "p10"})


def test_nnunet_1_reads_the_cases_it_lists_and_names_the_others(tmp_path: Path) -> None:
    source = old(tmp_path / "src", ("p1", "p2"))
    scan(source / "imagesTr/q_0000.nii.gz")
    labels(source / "labelsTr/r.nii.gz", 1)
    sink = ListSink()
    dataset = Dataset.load(import_nnunet(source, tmp_path / "D.json", events=Events(sink)))
    assert {case.id for case in dataset.cases} == {"p1", "p2"}
    assert "there are no labels for 'q'; left out" in said(sink)
    assert "dataset.json does not list 'r'; left out" in said(sink)
    (source / "labelsTr/p2.nii.gz").unlink()
    with pytest.raises(InputError, match=r"training\[1\]\.label: no such file"):
        import_nnunet(source, tmp_path / "D.json")


def test_nnunet_2_with_listed_files_regions_and_ignore(tmp_path: Path) -> None:
    source = tmp_path / "src"
    scan(source / "x/one.nrrd")
    labels(source / "y/one.nrrd", 1, 2, 3)
    content = {
        "channel_names": {"0": "T1"}, "labels": {"background": 0, "whole": [1, 2], "core": [2], "ignore": 3},
        "dataset": {"one": {"images": ["x/one.nrrd"], "label": "y/one.nrrd"}},
    }  # fmt: skip
    (source / "dataset.json").write_text(json.dumps(content))
    dataset = Dataset.load(import_nnunet(source, tmp_path / "D.json"))
    check_dataset(dataset)
    assert [node.id for node in dataset.tree.path("core")] == ["root", "whole", "core"]
    assert dataset.tree.root.value == 3
    for wrong, message in (({"a": "x"}, "labels.a: expected a whole number"), ({"a": 1, "b": 1}, "'a' and 'b' have")):
        (source / "dataset.json").write_text(json.dumps({**content, "labels": wrong}))
        with pytest.raises(InputError, match=message):
            import_nnunet(source, tmp_path / "D.json")


def test_images_and_labels_without_partners_are_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        scan(tmp_path / f"src/images/{name}.nii.gz")
    labels(tmp_path / "src/labels/a.nii.gz", 1)
    labels(tmp_path / "src/labels/c.nii.gz", 1)
    labels(tmp_path / "src/masks/d.nii.gz", 1)
    sink = ListSink()
    dataset = Dataset.load(import_folder(tmp_path / "src", tmp_path / "D.json", events=Events(sink)))
    assert [case.id for case in dataset.cases] == ["a"]
    for text in (
        "labels: there are no labels for 'b'",
        "labels: no image belongs to 'c'",
        "masks: no image belongs to 'd'",
    ):
        assert text in said(sink)
    labels(tmp_path / "src/labels/a.nrrd", 1)
    with pytest.raises(InputError, match=r"a\.nii\.gz and a\.nrrd have the same stem"):
        import_folder(tmp_path / "src", tmp_path / "D.json")


# -- nearly whole label values ----------------------------------------------------------------------------------------


def test_nearly_whole_values_are_rounded_and_said(tmp_path: Path) -> None:
    scan(tmp_path / "src/images/a.nii.gz")
    labels(tmp_path / "src/labels/a.nii.gz", 0.99997, 2.9999, 2, kind=np.float32)
    sink = ListSink()
    dataset = Dataset.load(import_folder(tmp_path / "src", tmp_path / "D.json", events=Events(sink)))
    assert values_of(dataset) == [0, 1, 2, 3]
    count = 2 * SHAPE[1] * SHAPE[2]
    assert f"a.nii.gz: {count} values were rounded to whole label values, the largest difference was 0.0001" in said(
        sink
    )
    sink = ListSink()
    check_dataset(dataset, Events(sink))
    assert f"{count} values were rounded" in said(sink)


def test_values_farther_from_whole_are_refused_with_their_place(tmp_path: Path) -> None:
    scan(tmp_path / "src/images/a.nii.gz")
    path = labels(tmp_path / "src/labels/a.nii.gz", 1, 2, kind=np.float32)
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    array[3, 4, 5] = 2.37
    write(path, array)
    with pytest.raises(
        InputError, match=r"got 2\.37 at voxel \(5, 4, 3\); only values within 0\.001 of a whole number"
    ):
        import_folder(tmp_path / "src", tmp_path / "D.json")


def test_tables_beside_label_maps_name_their_values(tmp_path: Path) -> None:
    source = fmriprep(tmp_path / "src", {"dseg": (1, 2), "desc-aseg_dseg": (10, 49, 50)})
    place = source / "derivatives/fmriprep"
    (place / "desc-aseg_dseg.tsv").write_text("index\tname\n10\tLeft Thalamus\n49\tRight Thalamus\n77\tother\n")
    (place / "dseg.tsv").write_text("index\tname\n1\tGM\n2\tGM\n")
    dataset = Dataset.load(import_bids(source, tmp_path / "D.json", label_map="aseg"))
    named = [(leaf.value, leaf.name) for leaf in dataset.tree.leaves]
    assert named == [(0, "background"), (10, "Left Thalamus"), (49, "Right Thalamus"), (50, "label-50")]
    dataset = Dataset.load(import_bids(source, tmp_path / "D.json"))
    assert [leaf.name for leaf in dataset.tree.leaves] == ["background", "GM 1", "GM 2"]
    (place / "sub-1/anat/sub-1_dseg.tsv").write_text("index\tname\n1\tWM\n2\tGM\n")
    with pytest.raises(InputError, match=r"calls the label value 1 '(GM|WM)', which is '(GM|WM)' in .*dseg\.tsv"):
        import_bids(source, tmp_path / "D.json")


def test_bids_trees_can_be_given(tmp_path: Path) -> None:
    source = fmriprep(tmp_path / "src", {"dseg": (1, 2)})
    (tmp_path / "names.tsv").write_text("index\tname\n1\tGM\n2\tWM\n0\tbackground\n")
    dataset = Dataset.load(import_bids(source, tmp_path / "D.json", tree=tmp_path / "names.tsv"))
    assert dataset.tree == LabelTree.load(tmp_path / "names.tsv")
