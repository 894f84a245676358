"""Every scan has a folder of its own, finds it again, and never takes that of another."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_kit import STRAIGHT, ball, make_model

from softseg.errors import InputError
from softseg.image import write_image
from softseg.prediction import predict
from softseg.prediction.inputs import CaseInput, find_cases
from softseg.prediction.places import case_folders
from softseg.prediction.record import RECORD_FILE
from softseg.requests.manifest import Manifest
from softseg.requests.names import file_name, folded

NAMES = st.text(st.sampled_from("aAbBé ()-._1~/\\e\u0301"), max_size=5)


def prediction_of(folder: Path, *images: str, **record: object) -> Path:
    """Make what is left of an older prediction, as far as it decides whose folder it is."""
    folder.mkdir(parents=True)
    (folder / "soft.soft.npz").touch()
    (folder / RECORD_FILE).write_text(json.dumps({"images": [{"path": image} for image in images], **record}))
    return folder


def case(name: str, *images: str) -> CaseInput:
    return CaseInput(name, tuple(map(Path, images or [f"/data/{name}.nii.gz"])))


def test_scans_whose_names_read_alike_all_keep_their_result(tmp_path: Path) -> None:
    names = ["scan (1)", "scan 1", "scan-1", "Scan-1", "."]
    image = write_image(ball(STRAIGHT), tmp_path / "ball.nii.gz")
    (tmp_path / "in").mkdir()
    scans = [Path(shutil.copy(image, tmp_path / "in" / f"{name}.nii.gz")) for name in names]
    out = tmp_path / "out"
    found = predict(make_model(), scans, out, device="cpu")
    assert [result.name for result in found] == names
    assert len({folded(result.folder.name) for result in found}) == len(names)
    assert all((result.folder / "soft.soft.npz").is_file() for result in found)
    assert all(result.folder.parent == out for result in found)
    assert Manifest.read(out).of_images([scans[1]]).folder == found[1].folder
    again = predict(make_model(), scans, out, device="cpu")
    assert [(result.folder, result.skipped) for result in again] == [(result.folder, True) for result in found]


def test_scans_of_one_name_from_two_folders_never_meet(tmp_path: Path) -> None:
    first, second = (
        write_image(ball(STRAIGHT, value=value), tmp_path / person / "scan.nii.gz")
        for person, value in (("ada", 100.0), ("bob", 50.0))
    )
    out = tmp_path / "out"
    one = predict(make_model(), [first], out, device="cpu")[0]
    before = (one.folder / "soft.soft.npz").read_bytes()
    two = predict(make_model(), [second], out, device="cpu")[0]
    assert two.folder != one.folder
    assert (one.folder / "soft.soft.npz").read_bytes() == before
    assert [c.images for c in Manifest.read(out).cases] == [(str(second),), (str(first),)]
    both = predict(make_model(), [first, second], out, device="cpu")
    assert [(result.folder, result.skipped) for result in both] == [(one.folder, True), (two.folder, True)]
    assert [c.case for c in Manifest.read(out).cases] == ["ada_scan", "bob_scan"]


def test_a_scan_that_was_moved_finds_its_result(scan: Callable[..., Path], tmp_path: Path) -> None:
    first = predict(make_model(), [scan()], tmp_path / "out", device="cpu")[0]
    elsewhere = tmp_path / "elsewhere" / "scan.nii.gz"
    elsewhere.parent.mkdir()
    shutil.move(scan(), elsewhere)
    again = predict(make_model(), [elsewhere], tmp_path / "out", device="cpu")[0]
    assert (again.folder, again.skipped) == (first.folder, True)


def test_a_changed_scan_replaces_its_own_result(scan: Callable[..., Path], tmp_path: Path) -> None:
    first = predict(make_model(), [scan()], tmp_path / "out", device="cpu")[0]
    again = predict(make_model(), [scan(value=50.0)], tmp_path / "out", device="cpu")[0]
    assert (again.folder, again.skipped) == (first.folder, False)


def test_links_to_one_file_are_two_cases(tmp_path: Path) -> None:
    """As in folders that version control fills with links to its own store."""
    image = write_image(ball(STRAIGHT), tmp_path / "store.nii.gz")
    (tmp_path / "in").mkdir()
    for name in "ab":
        (tmp_path / "in" / f"{name}.nii.gz").symlink_to(image)
    for _ in range(2):
        found = predict(make_model(), [tmp_path / "in"], tmp_path / "out", device="cpu")
        assert [(result.name, result.folder.name) for result in found] == [("a", "a"), ("b", "b")]


def test_a_folder_that_does_not_say_whose_it_is_stays(tmp_path: Path) -> None:
    old = tmp_path / "scan"
    old.mkdir()
    (old / "soft.soft.npz").touch()
    assert case_folders(tmp_path, [case("scan")])["scan"].name.startswith("scan~")


def test_a_record_of_before_still_finds_its_folder(tmp_path: Path) -> None:
    """Format 1 followed links and did not list its files."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    old = prediction_of(tmp_path / "out" / "scan", str((tmp_path / "real" / "scan.nii.gz").resolve()), format_version=1)
    assert case_folders(tmp_path / "out", [case("scan", str(tmp_path / "link" / "scan.nii.gz"))])["scan"] == old


def test_no_case_takes_the_name_of_the_tables(tmp_path: Path) -> None:
    for name in ("results.json", "Volumes.CSV"):
        assert case_folders(tmp_path, [case(name)])[name].name.startswith(f"{name}~")


def test_what_is_no_prediction_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "thesis.txt").touch()
    with pytest.raises(InputError, match="exists already and is not an older prediction"):
        case_folders(tmp_path, [case("scan")])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.tuples(st.sampled_from("xyX"), NAMES), min_size=1, max_size=4, unique=True), max_size=3))
def test_commands_one_after_another_never_take_a_folder_of_another_scan(tmp_path_factory, commands) -> None:
    out = tmp_path_factory.mktemp("out")
    owner: dict[str, str] = {}
    for command in commands:
        images = [f"/data/{folder}/{file_name(name)}/{number}.nii.gz" for number, (folder, name) in enumerate(command)]
        cases = [case(f"{folder}{name}", image) for (folder, name), image in zip(command, images, strict=True)]
        cases = list({c.name: c for c in cases}.values())
        folders = case_folders(out, cases)
        assert len({folded(folder.name) for folder in folders.values()}) == len(cases)
        for each in cases:
            folder = folders[each.name]
            assert folder.parent == out
            assert owner.setdefault(folded(folder.name), str(each.images[0])) == str(each.images[0])
            if not folder.exists():
                prediction_of(folder, str(each.images[0]))
        assert case_folders(out, list(reversed(cases))) == folders


def test_names_tell_cases_apart_by_as_many_folders_as_it_takes(tmp_path: Path) -> None:
    paths = [tmp_path / part for part in ("a/x/scan.nii.gz", "b/x/scan.nii.gz", "a/y/scan.nii.gz", "c/z/t1.nii.gz")]
    assert [c.name for c in find_cases(paths, ["T1"])] == ["a_x_scan", "b_x_scan", "y_scan", "t1"]
    twins = [tmp_path / "scan.nii", tmp_path / "scan.nii.gz"]
    assert [c.name for c in find_cases(twins, ["T1"])] == list(map(os.fspath, twins))


def test_a_file_with_a_comma_is_a_channel_in_quotes(tmp_path: Path) -> None:
    flair, t1 = (tmp_path / name for name in ("a,b FLAIR.nii.gz", "a,b T1.nii.gz"))
    assert find_cases([f'"{flair}","{t1}"'], ["FLAIR", "T1"])[0].images == (flair, t1)
