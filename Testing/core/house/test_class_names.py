"""One name, one thing: no two classes of engine and Slicer module have the same name."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = ("core/softseg", "SoftSegSlicer")


def classes(source: str) -> Iterator[str]:
    """Return the names of classes at the top of a module, private ones too."""
    yield from (part.name for part in ast.parse(source).body if isinstance(part, ast.ClassDef))


def test_no_two_classes_have_one_name() -> None:
    places = defaultdict(list)
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            for name in classes(file.read_text(encoding="utf-8")):
                places[name].append(file.relative_to(ROOT).as_posix())
    assert len(places) > 500
    twice = [f"{name}: {', '.join(files)}" for name, files in sorted(places.items()) if len(files) > 1]
    assert not twice, "say what each is in its name:\n" + "\n".join(twice)


def test_what_is_found() -> None:
    assert list(classes("class A:\n    class B: ...\ndef f():\n    class C: ...\nclass _D(A): ...\n")) == ["A", "_D"]
