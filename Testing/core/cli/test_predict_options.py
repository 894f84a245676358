"""``softseg predict``: cleaning, precision and overlap reach the prediction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from softseg.soft.parcellation import SoftParcellation


def test_cleaning_precision_and_overlap(cli: Callable, world: Path, model: Path) -> None:
    command = ("predict", model, world / "scan0.nii.gz", "--device", "cpu", "--precision", "float32", "--overlap", "0")
    cleaned = ("--postprocess", "remove-small:organ:1000", "--out", world / "cleaned")
    assert cli(*command, "--out", world / "plain").code == 0
    assert cli(*command, *cleaned).code == 0
    plain, clean = (
        SoftParcellation.load(world / out / "scan0" / "soft.soft.npz").probability("organ")
        for out in ("plain", "cleaned")
    )
    assert plain.max() > 0.1
    assert clean.max() == 0, "no part of the organ has a litre"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--postprocess", "polish:organ"), "postprocess: expected keep-largest:NODE"),
        (("--postprocess", "keep-largest:background"), "background, which cannot be cleaned"),
        (("--precision", "float8"), "precision: expected auto, float32"),
        (("--overlap", "1"), "overlap: expected a number from 0 to below 1, got 1.0"),
    ],
)
def test_wrong_options_are_told_before_anything_is_read(
    cli: Callable, world: Path, model: Path, options: tuple[str, ...], message: str
) -> None:
    answer = cli("predict", model, world / "scan0.nii.gz", "--out", world / "out", "--device", "cpu", *options)
    assert answer.code == 2
    assert message in answer.err
    assert not (world / "out").exists()
