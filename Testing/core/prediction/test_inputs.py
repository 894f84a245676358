"""Which files make up which case."""

from __future__ import annotations

from pathlib import Path

import pytest

from softseg.errors import InputError
from softseg.prediction.inputs import find_cases


def touch(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return [folder / name for name in names]


def test_files_and_folders_of_one_channel(tmp_path: Path) -> None:
    single = touch(tmp_path, "a.nii.gz")[0]
    folder = tmp_path / "more"
    touch(folder, "b.nrrd", "c.mha", "notes.txt", ".hidden.nii.gz")
    cases = find_cases([single, folder], ["T1"])
    assert [(case.name, case.images) for case in cases] == [
        ("a", (single,)),
        ("b", (folder / "b.nrrd",)),
        ("c", (folder / "c.mha",)),
    ]


def test_numbered_files_of_one_channel_lose_their_number(tmp_path: Path) -> None:
    touch(tmp_path, "p1_0000.nii.gz", "p2_0000.nii.gz")
    assert [case.name for case in find_cases([tmp_path], ["T1"])] == ["p1", "p2"]


def test_files_joined_by_commas_are_one_case(tmp_path: Path) -> None:
    flair, t1 = touch(tmp_path, "p1_FLAIR.nii.gz", "p1_T1.nii.gz")
    cases = find_cases([f"{flair}, {t1}"], ["FLAIR", "T1"])
    assert [(case.name, case.images) for case in cases] == [("p1", (flair, t1))]


def test_a_comma_in_a_file_name_is_no_separator(tmp_path: Path) -> None:
    odd = touch(tmp_path, "a,b.nii.gz")[0]
    assert find_cases([odd], ["T1"])[0].images == (odd,)


@pytest.mark.parametrize("endings", [("0000", "0001"), ("FLAIR", "T1"), ("flair", "t1")])
def test_folder_of_several_channels(tmp_path: Path, endings: tuple[str, str]) -> None:
    touch(tmp_path, *[f"{case}_{ending}.nii.gz" for case in ("p_1", "p_2") for ending in reversed(endings)])
    cases = find_cases([tmp_path], ["FLAIR", "T1"])
    assert [case.name for case in cases] == ["p_1", "p_2"]
    assert [image.name for image in cases[1].images] == [f"p_2_{ending}.nii.gz" for ending in endings]


def test_a_missing_channel_is_a_problem_of_its_case_only(tmp_path: Path) -> None:
    touch(tmp_path, "p1_0000.nii.gz", "p1_0001.nii.gz", "p2_0000.nii.gz")
    good, bad = find_cases([tmp_path], ["FLAIR", "T1"])
    assert good.problem is None
    assert "channel T1: no file for this channel of case p2" in str(bad.problem)


def test_cases_of_one_name_get_their_folder_in_front(tmp_path: Path) -> None:
    scans = [touch(tmp_path / person, "T1w.nii.gz")[0] for person in ("sub-1", "sub-2")]
    assert [case.name for case in find_cases(scans, ["T1"])] == ["sub-1_T1w", "sub-2_T1w"]


def test_what_cannot_be_sorted_out_is_refused(tmp_path: Path) -> None:
    scan = touch(tmp_path / "one", "a.nii.gz")[0]
    with pytest.raises(InputError, match="no image was given"):
        find_cases([], ["T1"])
    with pytest.raises(InputError, match="IMAGE: given twice: a; give each image once"):
        find_cases([scan, scan], ["T1"])
    with pytest.raises(InputError, match=r"channels: the model needs 2 channels \(FLAIR, T1\), got 1 file"):
        find_cases([scan], ["FLAIR", "T1"])
    with pytest.raises(InputError, match=r"names must end in the channel .* not so: a.nii.gz"):
        find_cases([scan.parent], ["FLAIR", "T1"])
    touch(tmp_path / "two", "a_0000.nii.gz", "a_FLAIR.nii.gz")
    with pytest.raises(InputError, match="two files for channel FLAIR of case a"):
        find_cases([tmp_path / "two"], ["FLAIR", "T1"])
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no image"):
        find_cases([tmp_path / "none"], ["T1"])
