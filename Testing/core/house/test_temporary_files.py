"""Temporary files have one owner, in the engine and in the Slicer module."""

from __future__ import annotations

import ast
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
OWNER = REPOSITORY / "core" / "softseg" / "files" / "scratch.py"


def test_only_one_module_makes_temporary_files() -> None:
    sources = [path for name in ("core/softseg", "SoftSegSlicer") for path in (REPOSITORY / name).rglob("*.py")]
    users = [path for path in sources if "tempfile" in _imported(path)]
    assert users == [OWNER]


def _imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(str(node.module).partition(".")[0])
    return names
