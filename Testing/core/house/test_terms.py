"""What people read uses the field's terms: pages, panels, tool tips, help and recipes (CONTRIBUTING.md, Language)."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from softseg.commands import application
from softseg.training import recipe_explanations

ROOT = Path(__file__).resolve().parents[3]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.parent.name != "reports"),
    *sorted((ROOT / "SoftSegSlicer").rglob("README.md")),
    *sorted((ROOT / "Resources" / "Models").rglob("README.md")),
]
FORMS = sorted((ROOT / "SoftSegSlicer" / "Resources" / "UI").glob("*.ui"))
MODULES = sorted((ROOT / "SoftSegSlicer").rglob("*.py"))

BANNED = {
    r"shares(?! (its|one|the|a|only)\b)|share of|(a|the|its|same|true|soft|largest|predicted) share": (
        "probability, fraction or percentage"
    ),
    r"(?<!brush )strokes?": "scribble",
    r"anew": "again",
    r"besides": "in addition, or beside",
    r"as ever": "still",
    r"(is|are) told": "is distinguished from, is listed",
    r"mend(s|ed|ing)?": "fix",
    r"hesitat\w+": "is uncertain",
    r"opinions?": "prediction",
    r"doubt(s|ful)?": "uncertainty",
    r"as deep as sure": "deepest certain label",
    r"judge[sd]?|judging": "evaluate, score",
    r"unsure|sureness": "uncertain, confidence",
    r"what (it|people|somebody|anybody|nobody) (said|say|says)": "the correction, the prediction",
    r"whole labels?": "complete labels",
    r"taught|teach(es)?": "train",
    r"the (present|said) (step|scan|case)": "the current step",
    r"under way": "running",
}
"""Patterns of whole words, and what to write instead."""

ALLOWED = {"thin strokes on single slices", "whole label values", "nearly whole label"}
"""Phrases that keep a banned word."""


def faults(text: str) -> list[str]:
    """Return the banned words of a text, each with what to write instead."""
    for phrase in ALLOWED:
        text = text.replace(phrase, "")
    return [
        f"'{found.group()}' in '{text[max(0, found.start() - 30) : found.end() + 20].strip()}': write {better}"
        for pattern, better in BANNED.items()
        for found in re.finditer(rf"\b(?:{pattern})\b", text, re.IGNORECASE)
    ]


def prose(page: str) -> str:
    """Return a page without code, keys, addresses, generated tables, and the column of terms that are not used."""
    page = re.sub(r"```.*?```|<!-- table.*?<!-- end of table -->", "", page, flags=re.DOTALL)
    page = re.sub(r"(\| term \| meaning \| not \|\n)(\|.*\n)+", "", page)
    return " ".join(re.sub(r"`[^`\n]*`|\]\([^)]*\)|<a [^>]*>", "", page).split())


def shown(module: str) -> Iterator[str]:
    """Yield the texts of a module of the extension that people can see: those in ``_()`` and those of errors."""
    for node in ast.walk(ast.parse(module)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_", "InputError"):
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_use_the_terms_of_the_field(page: Path) -> None:
    assert faults(prose(page.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_forms_use_the_terms_of_the_field(form: Path) -> None:
    texts = [each.text or "" for each in ElementTree.parse(form).iter("string")]  # noqa: S314
    assert texts
    assert [fault for text in texts for fault in faults(text)] == []


def test_messages_of_the_panels_use_the_terms_of_the_field() -> None:
    texts = [(module.name, text) for module in MODULES for text in shown(module.read_text(encoding="utf-8"))]
    assert len(texts) > 500
    assert [f"{name}: {fault}" for name, text in texts for fault in faults(text)] == []


def helps(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield the help of a command, of its options and of all commands in it, each with the name of the command."""
    yield " ".join(path), command.help or ""
    for each in command.params:
        yield " ".join(path), getattr(each, "help", None) or ""
    for name, inner in getattr(command, "commands", {}).items():
        yield from helps(inner, (*path, name))


def test_help_uses_the_terms_of_the_field() -> None:
    texts = list(helps(typer.main.get_command(application.app)))
    assert len(texts) > 200
    assert [f"softseg {name}: {fault}" for name, text in texts for fault in faults(text)] == []


def test_explanations_of_recipes_use_the_terms_of_the_field() -> None:
    assert [f"{name}: {fault}" for name, text in recipe_explanations().items() for fault in faults(text)] == []


def test_banned_words_are_found_and_others_are_not() -> None:
    assert len(faults("The share of a node is judged anew; a stroke as ever.")) == 5
    assert faults("Processes share the folder. A brush stroke. `share` is a key; the percentage of voxels.") == []
    assert faults(prose("Use `--share S`.\n\n```\nstrokes anew\n```\n")) == []


ENGINE = sorted((ROOT / "core" / "softseg").rglob("*.py"))
NAMES = re.compile(r"``[^`]*``|:\w+:`[^`]*`|`[^`]*`|--[\w-]+|^ *\w+(?:, \w+)*:(?= )|^\w+$", re.MULTILINE)
"""What is no prose in docstrings and errors: code, options, names of attributes and fields."""


def said_by_engine(module: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of the docstrings of a module and of what its errors, warnings and log lines say."""
    for node in ast.walk(ast.parse(module)):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text
        elif isinstance(node, ast.Call):
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if called.endswith("Error") or called in ("warning", "log"):
                for part in ast.walk(node):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield part.lineno, part.value


def test_docstrings_and_errors_of_the_engine_use_the_terms_of_the_field() -> None:
    texts = [(file, *found) for file in ENGINE for found in said_by_engine(file.read_text(encoding="utf-8"))]
    assert len(texts) > 3000
    found = [
        f"{file.relative_to(ROOT)}:{line}: {fault}"
        for file, line, text in texts
        for fault in faults(" ".join(NAMES.sub("", text).split()))
    ]
    assert found == []


def test_faults_of_an_engine_are_found() -> None:
    module = '"""Judged anew."""\ndef f():\n    """Fine.\n\n    shares: ``share of``, `a stroke`.\n    """\n'
    module += '    raise InputError("a whole label", field="strokes", hint="use --share")\n'
    texts = [(line, NAMES.sub("", text)) for line, text in said_by_engine(module)]
    assert [(line, len(faults(text))) for line, text in texts] == [(1, 2), (2, 0), (7, 1), (7, 0), (7, 0)]
