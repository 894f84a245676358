"""Tables for spreadsheets: no cell is a formula, and what was written is what is read."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softseg.prediction.outputs import write_volumes
from softseg.spreadsheets import guarded, plain, read_rows, write_rows
from softseg.studies.work.tables import write_rows as write_study_rows
from softseg.tree import LabelTree, Node

FORMULAS = ('=HYPERLINK("http://x")', "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\r=1", "'=1", "''@x")
NUMBERS = ("-5", "+1e3", "-0.25", "-inf", "nan", "3")


def calculates(cell: str) -> bool:
    """Whether a spreadsheet would calculate a cell, by its first sign; numbers do no harm."""
    try:
        float(cell)
    except ValueError:
        return cell[:1] in tuple("=+-@\t\r")
    return False


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_become_text_and_come_back(text: str) -> None:
    assert not calculates(guarded(text))
    assert plain(guarded(text)) == text


@pytest.mark.parametrize("value", [*NUMBERS, -5, -0.5, None, "", "left", "a=b", "'quoted'"])
def test_numbers_and_other_texts_stay_as_they_are(value: object) -> None:
    assert guarded(value) is value


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, max_size=4))
def test_any_row_is_read_as_it_was_written(cells: list[str]) -> None:
    columns = [f"={number}" for number in range(len(cells))]
    stream = io.StringIO(newline="")
    write_rows(stream, columns, [dict(zip(columns, cells, strict=True))])
    stream.seek(0)
    assert not any(calculates(cell) for row in csv.reader(stream) for cell in row)
    stream.seek(0)
    assert list(read_rows(stream)) == [dict(zip(columns, cells, strict=True))]


@pytest.mark.parametrize("name", ["levels.csv", "slicer.csv"])
def test_trees_keep_such_names_in_csv(name: str, tmp_path: Path) -> None:
    nodes = [Node("body", "body", None), Node("background", "background", "body", value=0)]
    nodes += [Node(f"n{number}", text, "body", value=number) for number, text in enumerate(("=1+1", "@x", "-y"), 1)]
    tree = LabelTree(nodes)
    file = tmp_path / name
    tree.save(file, format="slicer-csv" if name == "slicer.csv" else "csv")
    with file.open(newline="", encoding="utf-8") as stream:
        assert not any(calculates(cell) for row in csv.reader(stream) for cell in row)
    assert [node.name for node in LabelTree.load(file).leaves] == [node.name for node in tree.leaves]


def test_results_are_written_so(tmp_path: Path) -> None:
    volumes = write_volumes({"=case": [{"id": "@x", "name": "=1", "level": 1, "soft_ml": -1.5}]}, tmp_path / "v.csv")
    study = write_study_rows(tmp_path / "s.csv", [{"case": "+case", "value": -0.5}])
    for file in (volumes, study):
        with file.open(newline="", encoding="utf-8") as stream:
            cells = [cell for row in csv.reader(stream) for cell in row]
        assert not any(map(calculates, cells))
        assert any(cell.startswith("'") for cell in cells)
    with volumes.open(newline="", encoding="utf-8") as stream:
        assert next(read_rows(stream))["case"] == "=case"
