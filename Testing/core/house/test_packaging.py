"""What an installed package carries beside the code: every shipped tree and model."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


def test_every_shipped_tree_and_model_is_in_the_wheel() -> None:
    table = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8").partition("[tool.setuptools.data-files]")[2]
    entries = re.findall(
        r'^"share/softseg/([^"]+)" = \["Resources/([^"]+)"\]$', table.partition("\n[")[0], re.MULTILINE
    )
    packed = set()
    for target, pattern in entries:
        assert pattern.startswith(f"{target}/")
        packed |= {path for path in (REPOSITORY / "Resources").glob(pattern) if path.is_file()}
    wanted = set((REPOSITORY / "Resources" / "LabelTrees").glob("*.json"))
    for model in (REPOSITORY / "Resources" / "Models").iterdir():
        wanted |= {
            path for path in model.rglob("*") if path.is_file() and "training" not in path.relative_to(model).parts
        }
    assert wanted
    assert packed == wanted
