"""Which files make up which case."""

from __future__ import annotations

import gzip
import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from softseg.errors import InputError
from softseg.prediction.inputs import find_cases


def touch(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return [folder / name for name in names]


def too_large(file: Path) -> Path:
    """20,000^3 voxels, declared by a packed file that is long enough for them: a hole, nothing is on the disk."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, 20_000, 20_000, 20_000, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 2, 8)
    struct.pack_into("<8f", header, 76, *[1.0] * 8)
    struct.pack_into("<f", header, 108, 352)
    header[344:348] = b"n+1\0"
    with file.open("wb") as stream:
        stream.write(gzip.compress(bytes(header) + bytes(1 << 20)))
        stream.truncate(10 << 30)
    return file


@pytest.mark.parametrize(
    "command", ["predict brain-134 x.nii.gz --out out", "train DATA.json --recipe ce-dice --out out"]
)
def test_a_scan_that_no_memory_holds_is_refused_before_a_library_is_loaded(tmp_path: Path, command: str) -> None:
    too_large(tmp_path / "x.nii.gz")
    (tmp_path / "tree.txt").write_text("r\n  background = 0\n  a = 1\n", encoding="utf-8")
    case = {"id": "c", "group": "g", "split": "train", "images": {"T1": "x.nii.gz"}, "labels": "x.nii.gz"}
    data = {"name": "d", "channels": ["T1"], "tree": "tree.txt", "cases": [case]}
    (tmp_path / "DATA.json").write_text(json.dumps(data), encoding="utf-8")
    code = (
        f"import sys\nfrom softseg.cli import run\nassert run({command.split()}) == 3\n"
        "assert not {'torch', 'monai', 'onnxruntime'} & set(sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "x.nii.gz: its voxels would take 8e+03 GB of memory" in run.stderr
    assert not (tmp_path / "out").exists()


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
