"""Text, JSON and YAML that nobody wrote in good faith: refused in a line, quickly, before anything is made of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from softseg.errors import LONGEST, InputError
from softseg.identifiers import identifier
from softseg.texts import MAX_DEPTH, read_json
from softseg.yaml_text import MAX_NODES, load_yaml

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        "9" * 5000,
        "[" * 3000,
        "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
        '{"a":' * 2000 + "1" + "}" * 2000,
        '["\\ud800"]',
        '{"\\udfff": 1}',
    ],
)
def test_json_that_would_break_its_reader(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=r"x\.json: .*is not valid JSON"):
        read_json(tmp_path / "x.json")


def test_nesting_that_people_use_is_read(tmp_path: Path) -> None:
    value: object = 1
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    (tmp_path / "x.json").write_text(json.dumps(value))
    assert read_json(tmp_path / "x.json") == value


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        "a: &a {x: 1, y: 2}\nb: &b {<<: [" + ", ".join(["*a"] * 9) + "]}\n" + LAUGHS,
        "a: &a [1, *a]",
        "a: &a {b: *a}",
        "[" * 3000,
        "- " * 3000,
        "x: " + "9" * 5000,
        "key: 1\nkey: 2",
        "!!python/object/apply:os.system ['true']",
        "!!timestamp 2001-99-99",
        "? [a, b]\n: 1",
        "<<: *nowhere",
        '"\\ud800"',
        "[" + "1, " * (MAX_NODES + 1) + "1]",
    ],
)
def test_yaml_that_would_break_its_reader(text: str) -> None:
    with pytest.raises(yaml.YAMLError) as caught:
        load_yaml(text)
    assert len(str(InputError(f"is not YAML: {caught.value}", file="x.yaml"))) < LONGEST + 20


def test_dates_are_text_and_aliases_are_values() -> None:
    assert load_yaml("when: 2001-99-99") == {"when": "2001-99-99"}
    assert load_yaml("a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}") == {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1, "y": 2}}


def test_a_message_is_one_line_that_a_terminal_can_take() -> None:
    line = str(InputError("got \x1b[2J\u202e" + "a" * 10**7, file="x\n.json", field="\x07"))
    assert line.isprintable()
    assert len(line) < LONGEST + 40
    assert "\\x1b[2J\\u202e" in line


@pytest.mark.parametrize("text", ["", " a", "a\nb", "a\x00", "\u202egnp", "\ud800", "a" * 256, 3])
def test_what_is_no_identifier(text: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        identifier(text)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["T1", "T2*", "CT (portal)", "Großhirn", "$x", "../x"])
def test_what_is_an_identifier(text: str) -> None:
    assert identifier(text) == text
