"""Everything a file can be that training should not meet, each with file and field."""

from __future__ import annotations

import numpy as np
import pytest

from softseg.data import check_dataset
from softseg.errors import CancelledError, InputError
from softseg.events import CancelToken, Events, ListSink
from softseg.image import Geometry, Image, write_image


def check(make, **load) -> list[str]:
    """Return the warnings."""
    sink = ListSink()
    check_dataset(make.load(**load), Events(sink))
    return [event["text"] for event in sink.events if event["event"] == "warning"]


def refused(make, **load) -> str:
    with pytest.raises(InputError) as caught:
        check(make, **load)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def image_of(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(20, 22, 24)).astype(np.float32)


def test_a_sound_dataset_passes_and_is_summed_up(make):
    make.head("a")
    make.head("b", "val")
    sink = ListSink()
    dataset = make.load()
    summaries = check_dataset(dataset, Events(sink))
    assert not [event for event in sink.events if event["event"] == "warning"]
    assert sink.events[-1]["text"] == "2 cases (1 train, 1 val, 0 test) of 2 groups are sound"
    assert summaries[0].volumes.sum() == 20 * 22 * 24


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_a_truncated_file(make, ending):
    make.head("a")
    name = make.write(f"t{ending}", image_of())
    file = make.folder / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    make.cases[0]["images"]["T1"] = name
    assert name in refused(make)


def test_a_file_that_is_no_image(make):
    make.head("a")
    (make.folder / "a.nii.gz").write_text("hello")
    assert "a.nii.gz" in refused(make)


@pytest.mark.parametrize(("value", "expected"), [(np.nan, "NaN"), (np.inf, "infin")])
def test_nan_and_infinity(make, value, expected):
    make.head("a")
    for name in ("bad.nii.gz", "bad.mha"):
        array = image_of()
        array[3, 3, 3] = value
        make.write(name, array)
        make.cases[0]["images"]["T1"] = name
        text = refused(make)
        assert name in text
        assert expected in text


def test_a_constant_image(make):
    make.head("a")
    make.write("a.nii.gz", np.full((20, 22, 24), 3, np.uint8))
    assert "a.nii.gz: channel T1: the image is constant" in refused(make)


def test_labels_on_another_grid(make):
    make.head("a")
    make.write("a-labels.nii.gz", make.head_labels((20, 22, 23)))
    text = refused(make)
    assert "a-labels.nii.gz: labels: lies on another grid than the images: 23 x 22 x 20 voxels" in text
    make.write("a-labels.nii.gz", make.head_labels((20, 22, 24)), spacing=(1, 1, 1.1))
    assert "lies on another grid" in refused(make)


def test_channels_on_different_grids(make):
    make.case("a", {"T1": make.write("1.mha", image_of()), "T2": make.write("2.mha", image_of()[1:])}, "l.mha")
    make.write("l.mha", make.head_labels((20, 22, 24)))
    assert "2.mha: a: channel T2: lies on another grid than channel T1" in refused(make, channels=("T1", "T2"))


def test_a_label_value_that_the_tree_lacks(make):
    make.head("a")
    labels = make.head_labels((20, 22, 24))
    labels[0, 0, 0] = 77
    make.write("a-labels.nii.gz", labels)
    assert "a-labels.nii.gz: labels: label value 77 not in the label tree 'head'" in refused(make)


def test_soft_labels_outside_and_sums(make):
    make.case("a", make.write("a.mha", image_of()), make.write("soft.mha", np.abs(image_of(1)) * 2))
    text = refused(make, tree=make.flat_tree())
    assert "soft.mha: labels: expected soft labels in 0..1" in text
    half = np.full((20, 22, 24), 0.7, np.float32)
    make.cases[0]["labels"] = {node: make.write(f"{node}.mha", half) for node in ("grey", "white")}
    text = refused(make)
    assert "expected soft labels that sum to at most 1, got 1.4" in text
    assert "grey.mha" in text


def test_one_bad_rater_is_named(make):
    make.head("a")
    bad = make.write("rater2.nii.gz", np.full((20, 22, 24), 50, np.uint8))
    make.cases[0]["labels"] = [make.cases[0]["labels"], bad]
    assert "rater2.nii.gz: labels: label value 50" in refused(make)


def test_a_mask_on_another_grid_and_an_empty_one(make):
    make.head("a")
    make.cases[0]["mask"] = make.write("mask.nii.gz", np.ones((2, 2, 2), np.uint8))
    assert "mask.nii.gz: mask: lies on another grid" in refused(make)
    make.write("mask.nii.gz", np.zeros((20, 22, 24), np.uint8))
    assert any("the mask is empty" in text for text in check(make))


def test_a_4d_file_is_a_cube_in_every_case_or_in_none(make):
    import SimpleITK as sitk

    make.head("a")
    make.head("b")
    for name, message in (("b", "b.nii.gz: b: channel T1: has 2 bands where the first case has 1"), ("a", None)):
        own = sitk.ReadImage(str(make.folder / f"{name}.nii.gz"))
        sitk.WriteImage(sitk.JoinSeries([own, own * 2]), str(make.folder / f"{name}.nii.gz"))
        if message is not None:
            assert message in refused(make)
    check(make)


def test_warnings(make):
    make.head("a")
    make.head("b", spacing=(1, 1, 1))
    make.head("c", spacing=(1, 1, 4))
    labels = make.head_labels((20, 22, 24))
    labels[labels == 2] = 0
    for name in "abc":
        make.write(f"{name}-labels.nii.gz", labels, spacing=(1, 1, 4 if name == "c" else 1))
    warnings = check(make)
    assert any("no training case shows grey-right" in text for text in warnings)
    assert any("case c: voxels of 1 x 1 x 4 mm where the median is 1 x 1 x 1 mm" in text for text in warnings)
    assert any("no case is in the split 'val'" in text for text in warnings)


def test_grey_matter_outside_the_cord_is_said(shared_data, make):
    folder = shared_data / "cord"
    name = "sub-9604_run-1_T2starw"
    labels = folder / "derivatives/labels/sub-9604/anat"
    make.case(
        "sub-9604",
        str(folder / f"sub-9604/anat/{name}.nii.gz"),
        {
            "grey-matter": str(labels / f"{name}_gmseg-manual.nii.gz"),
            "cord": str(labels / f"{name}_seg-manual.nii.gz"),
        },
    )
    path = make.save()
    path.write_text(path.read_text().replace('"tree.json"', '"spinal-cord-grey-matter"'))
    from softseg.data import Dataset

    sink = ListSink()
    check_dataset(Dataset.load(path), Events(sink))
    texts = [event["text"] for event in sink.events if event["event"] == "warning"]
    assert any("the nodes under 'cord' exceed it; they were believed" in text for text in texts)


def test_it_can_be_cancelled(make):
    make.head("a")
    token = CancelToken()
    events = Events(cancel=token)
    dataset = make.load()
    token.cancel()
    with pytest.raises(CancelledError):
        check_dataset(dataset, events)


def test_geometry_in_messages_is_short(make):
    write_image(Image(image_of(), Geometry((24, 22, 20), (0.123456, 1, 1))), make.folder / "a.nii")
    make.case("a", "a.nii", make.write("l.nii", make.head_labels((20, 22, 24))))
    assert "voxels of 0.1235 x 1 x 1 mm at (0, 0, 0)" in refused(make)
