"""Objects of trainings as numbers of cases and levels."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from softseg.studies import Study, run_study
from softseg.studies.plan.data_specs import ObjectsSpec
from softseg.studies.plan.study_file import StudyFile
from softseg.studies.work.objects import FoundObject, JobObjects, object_results, read_objects, small_bounds
from softseg.studies.work.tables import Result, read_results

LIKE = Result("whole", "a", 0, "0", "", "x", "x", 1, "", "", "", "dice", 0.0)
UNITS = {"one": "ann", "two": "bob"}


def found(case: str, volume: float, covered: float, node: str = "lesion", side: str = "reference") -> FoundObject:
    return FoundObject(case, 1, node, side, volume, covered)


ONE = [found("one", 1, 0.0), found("one", 2, 0.5), found("one", 9, 1.0)]
TWO = [found("two", 3, 0.49), found("two", 4, 1.0), found("two", 8, 1.0)]
OTHER = [found("two", 7, 0.2, "bleeding"), found("two", 1, 0.6, side="prediction")]


def values(spec: ObjectsSpec) -> dict[tuple[str, str, str], float]:
    rows = object_results([JobObjects(LIKE, UNITS, (*ONE, *TWO, *OTHER))], spec)
    assert {(row.case, row.unit) for row in rows} == set(UNITS.items())
    return {(row.metric, row.case, row.node): row.value for row in rows}


def test_found_real_and_small() -> None:
    """Of lesions of 1, 2, 3, 4, 8, 9 ml the smallest third are those up to 2.67 ml: both in the first case."""
    assert values(ObjectsSpec()) == {
        ("object_sensitivity", "one", "lesion"): pytest.approx(2 / 3),
        ("object_sensitivity", "one", ""): pytest.approx(2 / 3),
        ("object_sensitivity", "two", "lesion"): pytest.approx(2 / 3),
        ("object_sensitivity", "two", "bleeding"): 0.0,
        ("object_sensitivity", "two", ""): pytest.approx(1 / 3),
        ("small_object_sensitivity", "one", "lesion"): 0.5,
        ("small_object_sensitivity", "one", ""): 0.5,
        ("small_object_sensitivity", "two", "bleeding"): 0.0,
        ("small_object_sensitivity", "two", ""): 0.0,
        ("object_precision", "two", "lesion"): 1.0,
        ("object_precision", "two", ""): 1.0,
    }


def test_thresholds_are_the_studys() -> None:
    wide = values(ObjectsSpec(covered=0.2, small_ml=3))
    assert wide["object_sensitivity", "two", ""] == 1.0
    assert wide["small_object_sensitivity", "two", "lesion"] == 1.0
    assert ("small_object_sensitivity", "two", "bleeding") not in wide


def test_the_smallest_third_counts_each_case_once() -> None:
    """The same test cases judged for another variant (or seed) change nothing, whatever that one predicts."""
    once = JobObjects(LIKE, UNITS, (*ONE, *TWO))
    second = JobObjects(replace(LIKE, variant="b"), UNITS, (*ONE, *TWO, found("one", 0.1, 0, side="prediction")))
    assert small_bounds([once, second], ObjectsSpec()) == small_bounds([once], ObjectsSpec())
    assert small_bounds([once], ObjectsSpec())[1, "lesion"] == pytest.approx(8 / 3)


def test_from_study_file_to_results(study_file: Callable[..., Path], tmp_path: Path) -> None:
    only = [{"name": "tree", "recipe": "sparse"}]
    out = tmp_path / "out"
    run_study(study_file(variants=only, objects=True, keep_models=True), out, device="cpu")
    folder = out / "jobs" / "whole_tree_seed-0_fold-split"
    metrics = {row.metric for row in read_results(out / "results.csv")}
    assert {"object_sensitivity", "small_object_sensitivity", "object_precision", "tree_distance"} <= metrics
    objects = read_objects(folder / "objects.csv")
    assert {item.side for item in objects} == {"reference", "prediction"}
    assert read_objects(tmp_path / "none.csv") == ()
    before = json.loads((folder / "job.json").read_text())
    run_study(study_file(variants=only, objects={"covered": 0.1}, keep_models=True), out, device="cpu")
    assert json.loads((folder / "job.json").read_text()) == before, "another threshold needs no judgement anew"


@pytest.mark.parametrize("objects", [{"connectivity": "edge"}, {"covered": 0}, {"small_ml": -1}])
def test_wrong_ways_to_count_are_refused(study_file: Callable[..., Path], objects: dict[str, object]) -> None:
    spec = Study.load(study_file()).spec.model_dump()
    with pytest.raises(ValidationError):
        StudyFile.model_validate(spec | {"objects": objects})
