"""Text and tables that people hand in: any byte order mark, any sign between cells, columns by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from softseg.errors import InputError
from softseg.tables import read_named_table
from softseg.texts import read_json, read_text

WANTED = {"person": ("participant_id", "subject"), "case": ("case", "scan")}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_and_json_in_any_encoding_with_a_mark(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "x.json"
    file.write_bytes('{"name": "Großhirn"}\r\n'.encode(encoding))
    assert read_json(file) == {"name": "Großhirn"}
    assert read_text(file) == '{"name": "Großhirn"}\n'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x.txt: the file is empty"),
        (b" \r\n", "x.txt: the file is empty"),
        (b"a\0b", "x.txt: not a text file"),
        (b"\xff\xfe\x00\x81", "x.txt: not a text file"),
        (b"a\nGro\xdf\n", "x.txt: line 2: not UTF-8 text; save it as UTF-8"),
        (b"\xff\xfea", "x.txt: line 1: not UTF-16 text"),
    ],
)
def test_what_is_no_text(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "x.txt").write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_text(tmp_path / "x.txt")
    assert message in str(caught.value)


@pytest.mark.parametrize("sign", ["\t", ",", ";", "|", "   "])
def test_columns_are_found_by_name_in_any_order(tmp_path: Path, sign: str) -> None:
    file = tmp_path / "people.tsv"
    rows = [["age", "Scan", "Subject"], ["7", "a.nii.gz", "p1"], ["9", '"b, c;d"', "p2"]]
    file.write_text("# ours\n" + "\n".join(sign.join(row) for row in rows) + "\n")
    table = read_named_table(file, WANTED)
    assert table.columns == {"person": "Subject", "case": "Scan"}
    assert [(row.line, dict(row.cells)) for row in table.rows] == [
        (3, {"person": "p1", "case": "a.nii.gz"}),
        (4, {"person": "p2", "case": "b, c;d"}),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("age,sex\n1,f\n", "line 1: no known column in 'age,sex'; looked for person: participant_id, subject; case"),
        ("subject,Subject\na,b\n", "line 1: the column 'subject' is there twice"),
        ("subject,case\na\n", "line 2: expected 2 cells as in the header, got 1"),
        ('subject,case\n"a,b\n', "line 2: not a table"),
        ("# nothing\n", "no row in the table"),
    ],
)
def test_tables_that_lack_something(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        read_named_table(tmp_path / "x.csv", WANTED)
    assert message in str(caught.value)


@pytest.mark.parametrize("digits", [309, 4000])
def test_an_integer_beyond_all_floating_point_numbers_is_named_by_its_place(tmp_path: Path, digits: int) -> None:
    file = tmp_path / "plan.json"
    file.write_text('{"name": "x", "options": {"filters": [4, 8, -' + "9" * digits + "]}}")
    with pytest.raises(InputError, match=r"plan\.json: is not valid JSON: options\.filters\[2\]: an integer is beyond"):
        read_json(file)
    file.write_text('{"seed": 1' + "0" * 308 + "}")
    assert float(read_json(file)["seed"]) == 1e308
