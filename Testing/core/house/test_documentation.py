"""The documentation's site: docstrings as its reader expects them, every page in the menu."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[3] / "docs"


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_items_of_docstrings_become_parameters_and_errors() -> None:
    griffe: Any = pytest.importorskip("griffe")
    text = """Fold, see :meth:`load`.

Parameters
----------
first, second: two cuts,
    coarse to fine: at most two.

Raises
------
InputError: no such node.

Examples
--------
for each: a line that stays
"""
    rewritten = module("site_docstrings").rewritten(text)
    sections = griffe.parse_numpy(griffe.Docstring(rewritten), warnings=False)
    kinds = {section.kind.value: section.value for section in sections}
    assert kinds["text"] == "Fold, see `load`."
    found = [(each.name, each.description) for each in kinds["parameters"]]
    both = "two cuts,\ncoarse to fine: at most two."
    assert [name for name, _ in found] == ["first", "second"]
    assert found[1] == ("second", both)
    assert [(str(each.annotation), each.description.strip()) for each in kinds["raises"]] == [
        ("InputError", "no such node.")
    ]
    assert "for each: a line that stays" in rewritten


def test_links_out_of_the_documentation_lead_to_the_repository() -> None:
    config = {"repo_url": "https://host/us"}
    text = "[a](../Resources/a.png) [b](../README.md#x) [c](losses.md) [d](../losses.md)"
    assert module("site_hooks").on_page_markdown(text, config) == (
        "[a](https://host/us/blob/main/Resources/a.png) [b](https://host/us/blob/main/README.md#x) "
        "[c](losses.md) [d](../losses.md)"
    )


def test_every_page_is_in_the_menu_once() -> None:
    menu = re.findall(r"- ([a-z/-]+\.md)$", (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    pages = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if path.parent.name != "reports"]
    assert sorted(menu) == sorted(pages)
