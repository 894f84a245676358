"""From the long table to means, comparisons and the choice on inner folds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from softseg.errors import InputError
from softseg.events import Events
from softseg.studies import Study
from softseg.studies.findings.summary import CHOSEN, Key, findings, mean_rows, nested
from softseg.studies.plan.jobs import study_dataset
from softseg.studies.plan.metrics import MAIN
from softseg.studies.report.charts import wrapped
from softseg.studies.report.overview import main_metrics
from softseg.studies.work.tables import Result, read_results, write_results


def row(variant: str, value: float, *, unit: str = "a", fold: str = "0", seed: int = 0, **more: object) -> Result:
    content = {
        "density": "whole",
        "held_out": "",
        "case": unit,
        "level": 2,
        "node": "",
        "score": "",
        "rule": "",
        "metric": "dice",
    }
    return Result(**content | {"variant": variant, "value": value, "unit": unit, "fold": fold, "seed": seed} | more)


def test_the_table_comes_back(tmp_path: Path) -> None:
    rows = [row("plain", 0.123456), row("tree", math.nan, node="oak", held_out="group-0", score="energy")]
    back = read_results(write_results(tmp_path / "r.csv", rows))
    assert back[0] == rows[0]
    assert math.isnan(back[1].value)
    assert back[1].node == "oak"


def test_seeds_and_cases_of_a_subject_are_averaged_first(study_file: Callable[..., Path]) -> None:
    """One person with three scans counts as much as one with a single scan."""
    values = {"plain": {"a": [0.2, 0.4, 0.6], "b": [0.8]}, "tree": {"a": [0.3, 0.5, 0.7], "b": [0.7]}}
    rows = [
        row(variant, value, unit=unit, case=f"{unit}{number}", seed=number)
        for variant, units in values.items()
        for unit, numbers in units.items()
        for number, value in enumerate(numbers)
    ]
    found = findings(Study.load(study_file()), rows, [])
    key = Key("whole", "", "", 2, "dice")
    assert found.mean(key, "plain") == pytest.approx(0.6)
    [comparison] = found.comparisons
    assert (comparison.variant, comparison.baseline) == ("tree", "plain")
    assert comparison.paired.units == 2
    assert comparison.paired.difference == pytest.approx(0.0)
    assert (comparison.paired.wins, comparison.paired.losses) == (1, 1)


def test_numbers_of_nodes_inner_folds_and_held_out_trainings_stay_apart(study_file: Callable[..., Path]) -> None:
    rows = [row("plain", 0.5), row("tree", 0.6)]
    rows += [row("tree", 0.0, node="oak"), row("tree", 0.0, fold="0.1")]
    rows += [row("tree", 0.9, metric="inside_f1"), row("tree", 0.1, metric="inside_f1", held_out="group-0")]
    found = findings(Study.load(study_file()), rows, [])
    assert found.mean(Key("whole", "", "", 2, "dice"), "tree") == pytest.approx(0.6)
    assert found.mean(Key("whole", "", "", 2, "inside_f1"), "tree") == pytest.approx(0.9)


def test_a_smaller_error_is_a_win(study_file: Callable[..., Path]) -> None:
    rows = [row("plain", 5.0, metric="hd95_mm"), row("tree", 3.0, metric="hd95_mm")]
    [comparison] = findings(Study.load(study_file()), rows, []).comparisons
    assert (comparison.paired.wins, comparison.paired.losses) == (1, 0)
    assert comparison.paired.difference == pytest.approx(-2.0)


def test_nested_folds_choose_by_inner_numbers_alone() -> None:
    """Fold 0 chooses tree although plain is better on its test part; fold 1 chooses plain."""
    inner = [("0.0", 0.1, 0.5), ("0.1", 0.2, 0.4), ("1.0", 0.9, 0.3)]
    rows = [
        row(name, value, fold=fold)
        for fold, *pair in inner
        for name, value in zip(("plain", "tree"), pair, strict=True)
    ]
    rows += [row("plain", 0.9, fold="0"), row("tree", 0.6, fold="0")]
    rows += [row("plain", 0.7, fold="1"), row("tree", 0.95, fold="1")]
    chosen = nested(rows)
    assert {(r.variant, r.fold, r.value) for r in chosen} == {(CHOSEN, "0", 0.6), (CHOSEN, "1", 0.7)}


def test_long_names_break_at_hyphens() -> None:
    assert wrapped("level-max-softmax") == "level-max-\nsoftmax"
    assert wrapped("plain") == "plain"


def test_parts_of_the_people_are_compared_apart(study_file: Callable[..., Path]) -> None:
    """Parts are named by person or by case, may overlap, and have a Holm family each."""
    gains = {"a": 0.1, "b": 0.2, "c": -0.3}
    rows = [row("plain", 0.5, unit=unit) for unit in gains]
    rows += [row("tree", 0.5 + gain, unit=unit) for unit, gain in gains.items()]
    rows += [row("tree", 0.9, unit="c", case="c2"), row("plain", 0.9, unit="c", case="c2")]
    parts = {"young": ["farm0", "a", "b"], "scan": ["c2"], "nobody": ["farm1"]}
    study = Study.load(study_file())
    study = replace(study, spec=study.spec.model_copy(update={"subgroups": parts}))
    found = findings(study, rows, [])
    units = {c.key.subgroup: (c.paired.units, pytest.approx(c.paired.difference)) for c in found.comparisons}
    assert units == {"": (3, 0.05), "young": (2, 0.15), "scan": (1, 0.0)}
    assert found.mean(Key("whole", "", "", 2, "dice", "young"), "tree") == pytest.approx(0.65)
    assert [key.subgroup for key in found.keys("dice")] == [""]
    table = {(line["subgroup"], line["variant"]): line["mean"] for line in mean_rows(found)}
    assert table["young", "tree"] == pytest.approx(0.65)


def test_a_part_of_nobody_known_is_refused(study_file: Callable[..., Path], tmp_path: Path) -> None:
    study_dataset(Study.load(study_file(subgroups={"a": ["farm0", "field3"]})), tmp_path, Events())
    with pytest.raises(InputError, match="neither a case nor a person 'farm9'"):
        study_dataset(Study.load(study_file(subgroups={"a": ["farm0"], "b": ["farm9"]})), tmp_path, Events())


def test_signed_errors_are_averaged_but_not_compared(study_file: Callable[..., Path]) -> None:
    rows = [
        row("plain", 5.0, metric="soft_volume_error_percent"),
        row("tree", -3.0, metric="soft_volume_error_percent"),
    ]
    found = findings(Study.load(study_file()), rows, [])
    assert found.mean(Key("whole", "", "", 2, "soft_volume_error_percent"), "tree") == -3.0
    assert not found.comparisons


def test_the_report_shows_known_metrics_alone(study_file: Callable[..., Path]) -> None:
    assert main_metrics(Study.load(study_file(metrics=["mae", "tree_distance"]))) == ("mae", "tree_distance")
    assert main_metrics(Study.load(study_file())) == MAIN["compare"]
    with pytest.raises(InputError, match=r"no metric is called dize; there are dice, "):
        Study.load(study_file(metrics=["dize"]))
