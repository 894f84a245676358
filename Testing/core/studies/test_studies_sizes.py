"""Gain by size of structures, and what the report says first."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softseg.studies import Study
from softseg.studies.findings.sizes import size_gains, size_groups, structure_sizes
from softseg.studies.findings.summary import findings
from softseg.studies.report import charts
from softseg.studies.report.markdown import write_markdown
from softseg.studies.report.overview import all_columns, amount, leaf_columns, mean_table, signed
from softseg.studies.work.tables import Result

SIZES = {"tiny": 0.1, "small": 0.5, "middle": 2.0, "large": 8.0, "huge": 30.0}


def row(variant: str, unit: str, node: str, value: float, metric: str = "dice", **more: object) -> Result:
    base = Result("whole", variant, 0, "0", "", unit, unit, 2, node, "", "", metric, value)
    return replace(base, **more)  # type: ignore[arg-type]


def table() -> list[Result]:
    """Two people; tree gains 0.1 on what is below 1 ml and nothing above, and bob has nothing tiny."""
    rows = []
    for variant in ("plain", "tree"):
        for unit, level in (("ann", 0.5), ("bob", 0.7)):
            for node, size in SIZES.items():
                if (unit, node) != ("bob", "tiny"):
                    rows.append(row(variant, unit, node, level + (0.1 if variant == "tree" and size < 1 else 0)))
                rows.append(row(variant, unit, node, size if unit == "ann" else 3 * size, "volume_reference_ml"))
            rows.append(row(variant, unit, "", level))
            rows.append(row(variant, unit, "", 3.0 - level, "tree_distance", level=0))
    return rows


@settings(deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0.01, 100), min_size=3, max_size=40))
def test_thirds_are_equally_many_and_rise(sizes: dict[str, float]) -> None:
    groups = size_groups(sizes, "thirds")
    counts = [len(group.nodes) for group in groups]
    assert sum(counts) == len(sizes)
    assert max(counts) - min(counts) <= 1
    assert sorted(node for group in groups for node in group.nodes) == sorted(sizes)
    ends = [end for group in groups for end in (group.low_ml, group.high_ml)]
    assert ends == sorted(ends)


def test_bounds_of_the_study() -> None:
    groups = size_groups(SIZES | {"none": 0.0}, [0.5, 3.0, 5.0])
    assert [(group.name, group.nodes) for group in groups] == [
        ("up to 0.5 ml", ("tiny", "small")),
        ("0.5 to 3 ml", ("middle",)),
        ("above 5 ml", ("large", "huge")),
    ]
    assert size_groups({"a": 1.0, "b": 2.0}, "thirds") == []


def test_each_subject_counts_once_with_the_structures_that_both_have() -> None:
    rows = table()
    assert structure_sizes(rows, 2)["tiny"] == pytest.approx(0.2)
    gains = {gain.group.name: gain for gain in size_gains(rows, "whole", 2, ["plain", "tree"], "plain", [1.5])}
    small = gains["up to 1.5 ml"]
    assert small.group.nodes == ("tiny", "small")
    assert (small.paired.units, small.variant) == (2, "tree")
    assert small.paired.difference == pytest.approx(0.1)
    assert small.paired.baseline == pytest.approx(0.6)
    assert gains["above 1.5 ml"].paired.difference == pytest.approx(0.0)
    assert small.p_holm == pytest.approx(1.0)
    assert small.row()["structures"] == 2


def test_markdown_has_means_differences_and_sizes(study_file: Callable[..., Path], tmp_path: Path) -> None:
    study = Study.load(study_file(metrics=["dice", "tree_distance"], subgroups={"old": ["bob"]}, sizes=[1.5]))
    found = findings(study, table(), [])
    assert [(c.metric, c.level) for c in leaf_columns(study, found, "whole")] == [("dice", 2), ("tree_distance", 0)]
    write_markdown(study, found, 1, tmp_path / "report.md", ["softseg", "study"])
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    lines = text.splitlines()
    assert "| Variant | Dice, leaves | tree distance, all voxels (edges) ↓ |" in lines
    assert "| plain (baseline) | 0.600 (0.500 to 0.700) | 2.400 (2.300 to 2.500) |" in lines
    assert "| Dice, leaves | tree | 0.000 (0.000 to 0.000) | 1.000 | 1.000 | 0 / 2 / 0 |" in lines
    assert "**old**" in lines
    assert any(line.startswith("| tree | +0.100 (+0.100 to +0.100) |") for line in lines)
    assert "1 trainings are not finished" in text
    widths = [line.count("|") for line in lines if line.startswith("|")]
    assert len(set(widths)) <= 3


def test_the_best_is_the_least_where_less_is_better(study_file: Callable[..., Path]) -> None:
    study = Study.load(study_file(metrics=["dice", "mae"]))
    rows = [row("plain", "ann", "", 0.5), row("tree", "ann", "", 0.6)]
    rows += [row("plain", "ann", "", 0.1, "mae"), row("tree", "ann", "", 0.2, "mae")]
    found = findings(study, rows, [])
    columns = all_columns(study, found, "whole")
    cells = dict(mean_table(found, "whole", columns))
    assert [cell.best for cell in cells["plain"]] == [False, True]
    assert [cell.best for cell in cells["tree"]] == [True, False]
    assert not cells["tree"][0].known, "one person has no interval"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"),
        (0.0, "0.000"),
        (-0.0004, "-0.0004"),
        (6e-5, "0.0001"),
        (0.0042, "0.004"),
        (12.34, "12.3"),
        (4321.5, "4322"),
        (math.nan, "–"),
    ],
)
def test_numbers_for_tables(value: float, text: str) -> None:
    assert amount(value) == text


def test_differences_carry_their_sign() -> None:
    assert (signed(0.05), signed(-0.05), signed(0.0)) == ("+0.050", "-0.050", "0.000")


def test_panels_on_one_scale_show_every_bar() -> None:
    bars = {"small": {"b": (0.1, 0.05, 0.2)}, "large": {"b": (-0.4, -0.5, -0.3)}}
    panels = charts.gains(bars, ["a", "b"], "a", one_scale=True).axes
    assert {axes.get_xlim() for axes in panels} == {panels[0].get_xlim()}
    low, high = panels[0].get_xlim()
    assert low < -0.5
    assert high > 0.2


def test_a_loss_is_shown_as_a_probability_of_its_first_value() -> None:
    assert charts.settled([1, 2, 3], [2.0, 1.0, 0.5]) == ([1, 2, 3], [1.0, 0.5, 0.25])
    steps, constant = charts.settled(range(1, 201), [3.0] * 200)
    assert constant == pytest.approx([1.0] * 120)
    assert (steps[0], steps[-1], len(steps)) == (1, 200, 120), "a page of many trainings stays small"
    steps, noisy = charts.settled(range(200), [2.0, 4.0] * 100)
    late = [value for step, value in zip(steps, noisy, strict=True) if step > 3]
    assert late == pytest.approx([1.5] * len(late)), "a mean over four steps"
    rows = [{"step": "1", "loss": "2", "dice": ""}, {"step": "2", "loss": "1", "dice": "0.5"}]
    assert charts.runs_of([("a", rows), ("a", rows), ("b", [])], "dice") == {"a": [([2], [0.5]), ([2], [0.5])]}
