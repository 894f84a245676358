"""The study key ``raters``: several simulated raters per case, in the parts of the folds that are named."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from softseg.data import Dataset
from softseg.data.disagreement import Disagreement, simulate_raters
from softseg.errors import InputError
from softseg.evaluation.disagreement import RATER_METRICS
from softseg.events import Events
from softseg.image import read_image
from softseg.studies import Study, run_study
from softseg.studies.findings.summary import findings
from softseg.studies.plan.jobs import jobs_of
from softseg.studies.report.raters import _mark_best, raters_section
from softseg.studies.work.tables import read_results

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
    with pytest.raises(InputError, match="raters need complete labels"):
        Study.load(study_file(raters=RATERS, **wrong))


def test_one_rater_cannot_disagree(study_file: StudyFile) -> None:
    with pytest.raises(InputError, match=r"raters\.count"):
        Study.load(study_file(raters={"count": 1}))


def test_the_report_says_what_is_left_of_the_disagreement(study_file: StudyFile, tmp_path: Path) -> None:
    variants = [
        {"name": f"{raters}-tree", "recipe": "sparse", "set": {"raters": raters}} for raters in ("mean", "random")
    ]
    file = study_file(raters=RATERS, variants=variants, metrics=["rater_brier", "calibration_error"])
    out = tmp_path / "out"
    run_study(file, out, device="cpu")
    rows = read_results(out / "results.csv")
    for metric in RATER_METRICS:
        assert {row.variant for row in rows if row.metric == metric and not row.node} == {"mean-tree", "random-tree"}
    least = {row.value for row in rows if row.metric == "rater_brier_least" and row.level == 2 and not row.node}
    assert len(least) == 1, "what the raters themselves are does not depend on who is judged"
    section = report_section(out, file)
    place = [column["name"] for column in section["columns"]].index("Brier score")
    assert section["limits"][place] == pytest.approx(least.pop(), rel=1e-4)
    for row in section["rows"]:
        own = [
            r.value for r in rows if (r.variant, r.metric, r.level) == (row["variant"], "rater_brier", 2) and not r.node
        ]
        assert row["cells"][place]["value"] == pytest.approx(np.mean(own), rel=1e-4)
        assert row["cells"][place]["value"] >= section["limits"][place]
    assert len(section["figures"]) == 2
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Disagreement of raters" in page
    assert "the raters themselves" in page


def report_section(out: Path, file: Path) -> dict[str, Any]:
    study = Study.load(file)
    jobs = [json.loads(job.read_text()) for job in sorted(out.glob("jobs/*/job.json"))]
    found = raters_section(findings(study, read_results(out / "results.csv"), jobs))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("metric", "values", "limit", "best"),
    [
        ("dice", [0.5, 0.7, math.nan], None, [False, True, False]),
        ("rater_brier", [0.3, 0.2, 0.2], 0.1, [False, True, True]),
        ("disputed_entropy", [0.1, 0.5, 0.69], 0.55, [False, True, False]),
        ("rater_log_loss", [math.nan, math.nan], 0.1, [False, False]),
    ],
)
def test_the_best_of_a_column(metric: str, values: list[float], limit: float | None, best: list[bool]) -> None:
    cells = [{"value": value, "best": False} for value in values]
    _mark_best(cells, metric, limit)
    assert [cell["best"] for cell in cells] == best


def test_a_study_without_raters_has_no_such_section(study_file: StudyFile) -> None:
    assert raters_section(findings(Study.load(study_file()), [], [])) is None
