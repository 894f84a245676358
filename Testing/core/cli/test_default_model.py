"""``softseg predict`` where no model is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from softseg.commands.predict import with_model
from softseg.errors import InputError
from softseg.requests.predict import DEFAULT_MODEL, PredictRequest
from softseg.resources import list_models


def asked(*arguments: str) -> PredictRequest:
    return with_model(PredictRequest.from_argv(["predict", *arguments, "--out", "out"]))


@pytest.mark.parametrize(
    ("arguments", "inputs"),
    [
        (("scan.nii.gz",), ("scan.nii.gz",)),
        (("A.NII.GZ", "b.nrrd"), ("A.NII.GZ", "b.nrrd")),
        (("T1.nii.gz,T2.nii.gz", "folder"), ("T1.nii.gz,T2.nii.gz", "folder")),
        (("folder",), ("folder",)),
    ],
)
def test_scans_alone_are_segmented_by_the_default_model(arguments: tuple[str, ...], inputs: tuple[str, ...]) -> None:
    request = asked(*arguments)
    assert (request.model, request.inputs) == (DEFAULT_MODEL, inputs)
    assert DEFAULT_MODEL in list_models()


@pytest.mark.parametrize("model", ["brain-134", "folder", "one,two"])
def test_a_model_that_is_named_is_taken(model: str) -> None:
    request = asked(model, "scan.nii.gz")
    assert (request.model, request.inputs) == (model, ("scan.nii.gz",))


def test_a_model_without_a_scan_is_refused(cli: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no scan is given"):
        asked("brain-134")
    answer = cli("predict", "brain-134", "--out", tmp_path / "out")
    assert answer.code == 2
    assert "no scan is given" in answer.err
    assert not (tmp_path / "out").exists()
