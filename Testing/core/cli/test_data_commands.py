"""``softseg data`` on files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from softseg.data import Dataset
from softseg.image import Geometry, Image, read_image, write_image


def _mask(path: Path, inside: slice, size: tuple[int, int, int] = (8, 9, 10)) -> Path:
    array = np.zeros(size[::-1], np.uint8)
    array[:, :, inside] = 1
    write_image(Image(array, Geometry(size)), path)
    return path


def test_fuse_keeps_disagreement(cli: Callable, tmp_path: Path) -> None:
    raters = [_mask(tmp_path / f"rater{number}.nii.gz", slice(0, 2 + number)) for number in range(4)]
    answer = cli("data", "fuse", *raters, "--out", tmp_path / "soft.nii.gz")
    assert answer.code == 0
    np.testing.assert_allclose(
        read_image(tmp_path / "soft.nii.gz").array[0, 0], [1, 1, 0.75, 0.5, 0.25, 0, 0, 0], atol=1e-6
    )


def test_fuse_refuses_masks_on_other_grids(cli: Callable, tmp_path: Path) -> None:
    raters = [_mask(tmp_path / "a.nii.gz", slice(3)), _mask(tmp_path / "b.nii.gz", slice(3), (8, 9, 11))]
    answer = cli("data", "fuse", *raters, "--out", tmp_path / "soft.nii.gz", "--method", "staple")
    assert answer.code == 2
    assert answer.err.startswith(f"softseg: {raters[1]}: not on the grid of {raters[0]}")
    assert not (tmp_path / "soft.nii.gz").exists()


def test_import_writes_a_dataset_that_check_accepts(cli: Callable, world: Path) -> None:
    for folder, name in (("imagesTr", "scan"), ("labelsTr", "labels")):
        (world / "raw" / folder).mkdir(parents=True)
        for case in range(2):
            ending = "_0000.nii.gz" if name == "scan" else ".nii.gz"
            (world / "raw" / folder / f"case{case}{ending}").write_bytes((world / f"{name}{case}.nii.gz").read_bytes())
    description = {
        "channel_names": {"0": "T1"},
        "labels": {"background": 0, "core": 1, "shell": 2},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }
    (world / "raw" / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    answer = cli("data", "import", "nnunet", world / "raw", "--out", world / "imported" / "DATA.json")
    assert answer.code == 0, answer.err
    assert f"dataset: {world / 'imported' / 'DATA.json'}" in answer.out
    assert cli("data", "check", world / "imported" / "DATA.json").code == 0


def _bids(folder: Path) -> Path:
    for person in range(3):
        name = f"sub-{person}"
        for place, endings in (("", ("T1w",)), ("derivatives/labels", ("T1w_gm", "T1w_cord"))):
            (folder / place / name / "anat").mkdir(parents=True)
            for ending in endings:
                inside = slice(2, 4 if ending == "T1w_gm" else 6)
                _mask(folder / place / name / "anat" / f"{name}_{ending}.nii.gz", inside)
    return folder


def test_import_takes_people_splits_and_a_fold_and_says_what_is_left_out(cli: Callable, tmp_path: Path) -> None:
    for name in ("p1_a", "p1_b", "p2_a", "p3_a"):
        _mask(tmp_path / "src/images" / f"{name}.nii.gz", slice(4))
        if name != "p3_a":
            _mask(tmp_path / "src/labels" / f"{name}.nii.gz", slice(2))
    (tmp_path / "people.tsv").write_bytes("\ufeffscan\tperson\r\np1_a\tA\r\np1_b\tA\r\np2_a\tB\r\n".encode("utf-16-le"))
    folds = [{"train": ["p1_a", "p1_b", "p2_a"], "val": []}, {"train": ["p2_a"], "val": ["p1_a", "p1_b"]}]
    (tmp_path / "splits.json").write_text(json.dumps(folds))
    command = ("data", "import", "folder", tmp_path / "src", "--out", tmp_path / "D.json")
    answer = cli(*command)
    assert answer.code == 0, answer.err
    assert "there are no labels for 'p3_a'; left out" in answer.err + answer.out
    assert "these names look like scans of one person" in answer.err + answer.out
    answer = cli(*command, "--people", tmp_path / "people.tsv", "--splits", tmp_path / "splits.json", "--fold", "1")
    assert answer.code == 0, answer.err
    assert "look like scans of one person" not in answer.err + answer.out
    dataset = Dataset.load(tmp_path / "D.json")
    assert {case.id: (case.group, case.split) for case in dataset.cases} == {
        "p1_a": ("A", "val"), "p1_b": ("A", "val"), "p2_a": ("B", "train"),
    }  # fmt: skip
    answer = cli(*command, "--label-map", "dseg")
    assert (answer.code, "the layout folder has no such option" in answer.err) == (2, True)


def test_import_takes_tree_labels_suffix_and_fractions(cli: Callable, tmp_path: Path) -> None:
    command = ("data", "import", "bids", _bids(tmp_path / "src"), "--out", tmp_path / "DATA.json", "--suffix", "T1w")
    tree = ("--tree", "spinal-cord-grey-matter", "--label", "grey-matter=gm", "--label", "cord=_cord")
    answer = cli(*command, *tree, "--fractions", "0.5,0.5,0")
    assert answer.code == 0, answer.err
    content = json.loads((tmp_path / "DATA.json").read_text(encoding="utf-8"))
    assert content["tree"] == "spinal-cord-grey-matter"
    assert set(content["cases"][0]["labels"]) == {"grey-matter", "cord"}
    assert sorted(case["split"] for case in content["cases"]) == ["train", "val", "val"]
    assert Dataset.load(tmp_path / "DATA.json").tree.name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--channel", "x"), "--channel: the layout bids has no such option"),
        (("--label", "gm"), "--label: expected NODE=ENDING, got 'gm'"),
        (("--label", "gm=other"), "has no label file 'other'"),
        (("--fractions", "1,0"), "--fractions: expected three numbers such as 0.7,0.15,0.15, got '1,0'"),
        (("--fractions", "0.5,0.5,0.5"), "expected three fractions that sum to 1"),
        (("--tree", "spine"), "no shipped label tree 'spine'"),
    ],
)
def test_import_says_which_option_is_wrong(
    cli: Callable, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    answer = cli("data", "import", "bids", _bids(tmp_path / "src"), "--out", tmp_path / "DATA.json", *options)
    assert answer.code == 2
    assert message in answer.err
    assert not (tmp_path / "DATA.json").exists()


def test_fuse_keeps_what_raters_disagree_about_and_warns_where_soft_masks_become_decisions(
    cli: Callable, tmp_path: Path
) -> None:
    geometry = Geometry(size=(3, 1, 1))
    paths = [tmp_path / f"rater{n}.nii.gz" for n in range(3)]
    for path, values in zip(paths, ([1, 1, 0], [1, 0, 0], [1, 0.4, 0]), strict=True):
        write_image(Image(np.array(values, np.float32).reshape(1, 1, 3), geometry), path)
    mean = cli("data", "fuse", *paths, "--out", tmp_path / "mean.nii.gz")
    assert (mean.code, "above 0.5" in mean.err + mean.out) == (0, False)
    np.testing.assert_allclose(read_image(tmp_path / "mean.nii.gz").array.ravel(), [1, 1.4 / 3, 0], atol=1e-6)
    voted = cli("data", "fuse", *paths, "--method", "majority", "--out", tmp_path / "vote.nii.gz")
    assert voted.code == 0
    assert "rater2.nii.gz: majority takes probabilities above 0.5 as drawn" in voted.err + voted.out
    np.testing.assert_array_equal(read_image(tmp_path / "vote.nii.gz").array.ravel(), [1, 0, 0])


def test_scribbles_with_a_branch_held_out(cli: Callable, world: Path, tmp_path: Path) -> None:
    data = world / "DATA.json"
    answer = cli("data", "scribbles", data, "--out", tmp_path / "s", "--per-structure", 2, "--hold-out", "core")
    assert answer.code == 0, answer.err
    before, after = Dataset.load(data), Dataset.load(tmp_path / "s" / "DATA.json")
    core = before.tree.find("core").value
    for old, new in zip(before.cases, after.cases, strict=True):
        whole, painted = read_image(old.labels).array, read_image(new.labels).array
        if old.split != "test":
            assert core in whole
            assert core not in painted
            assert 0 < (painted > 0).sum() < (whole > 0).sum()


def test_scribbles_need_an_amount(cli: Callable, world: Path, tmp_path: Path) -> None:
    answer = cli("data", "scribbles", world / "DATA.json", "--out", tmp_path / "s")
    assert answer.code == 2
    assert "--per-structure" in answer.err
    assert not (tmp_path / "s").exists()


def test_old_names_of_scribbles_still_work_and_are_hidden(cli: Callable, world: Path, tmp_path: Path) -> None:
    data = world / "DATA.json"
    assert cli("data", "strokes", data, "--out", tmp_path / "old", "--share", 0.2).code == 0
    assert cli("data", "scribbles", data, "--out", tmp_path / "new", "--fraction", 0.2).code == 0
    old, new = (Dataset.load(tmp_path / name / "DATA.json").cases for name in ("old", "new"))
    for one, other in zip(old, new, strict=True):
        assert (read_image(one.labels).array == read_image(other.labels).array).all()
    assert "strokes" not in cli("data", "--help").out
    assert "--share" not in cli("data", "scribbles", "--help").out
