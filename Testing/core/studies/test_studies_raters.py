"""The study key ``raters``: several simulated raters per case, in the parts of the folds that are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from softseg.data import Dataset
from softseg.data.disagreement import Disagreement, simulate_raters
from softseg.errors import InputError
from softseg.events import Events
from softseg.image import read_image
from softseg.studies import Study
from softseg.studies.jobs import jobs_of

StudyFile = Callable[..., Path]
RATERS = {"count": 3, "shift_mm": 0.5, "border_mm": 1.5, "seed": 4}
FOLDS = {"by": "person", "count": 4, "validation": 1}


def datasets(study_file: StudyFile, out: Path, **changes: object) -> list[Dataset]:
    jobs = jobs_of(Study.load(study_file(**changes)), out, Events())
    return [Dataset.load(file) for file in dict.fromkeys(job.whole for job in jobs)]


def test_every_part_of_every_fold_has_the_same_raters(study_file: StudyFile, fields: Dataset, tmp_path: Path) -> None:
    folds = datasets(study_file, tmp_path / "out", raters=RATERS, folds=FOLDS)
    assert len(folds) == 4
    for number, case in enumerate(fields.cases):
        files = [fold.case(case.id).labels for fold in folds]
        assert all(file == files[0] for file in files)
        own = read_image(case.labels)
        how = Disagreement(3, 0.5, 1.5)
        expected = simulate_raters(own.array, how, own.geometry.spacing_kji, seed=4, scan=number, unlabelled=0)
        for file, drawn in zip(files[0], expected, strict=True):
            np.testing.assert_array_equal(read_image(file).array, drawn)


def test_parts_without_raters_keep_their_labels(study_file: StudyFile, fields: Dataset, tmp_path: Path) -> None:
    folds = datasets(study_file, tmp_path / "out", raters={**RATERS, "splits": ["train", "val"]}, folds=FOLDS)
    tested = set()
    for fold in folds:
        for case in fold.cases:
            if case.split == "test":
                assert case.labels == fields.case(case.id).labels
                tested.add(case.id)
            else:
                assert len(case.labels) == 3
    assert tested == {case.id for case in fields.cases}


def test_other_raters_are_other_trainings(study_file: StudyFile, tmp_path: Path) -> None:
    digests = set()
    for raters in (None, RATERS, {**RATERS, "border_mm": 1.0}, {**RATERS, "splits": ["train"]}, RATERS):
        study = Study.load(study_file(raters=raters))
        digests.add(jobs_of(study, tmp_path / "out", Events())[0].digest(study))
    assert len(digests) == 4


@pytest.mark.parametrize("wrong", [{"strokes": [{"share": 0.3}]}, {"folds": {"by": "block"}}, {"kind": "outliers"}])
def test_raters_need_whole_labels(study_file: StudyFile, wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match="raters need whole labels"):
        Study.load(study_file(raters=RATERS, **wrong))


def test_one_rater_cannot_disagree(study_file: StudyFile) -> None:
    with pytest.raises(InputError, match=r"raters\.count"):
        Study.load(study_file(raters={"count": 1}))
