"""``softseg data`` on files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

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
