"""softseg.soft loads with what 3D Slicer ships."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CORE = Path(__file__).resolve().parents[3] / "core"
USE = """
import sys
sys.path.insert(0, {core!r})
for name in ("torch", "monai", "pydantic", "typer", "slicer", "matplotlib", *{extra!r}):
    sys.modules[name] = None  # importing it raises ImportError
import numpy as np
from softseg import LabelTree, SoftParcellation
from softseg.image import Geometry
from softseg.soft import fuse_raters, keep_largest
from softseg.tree import Node
tree = LabelTree([Node("r", "r", None), Node("b", "b", "r", value=0), Node("x", "x", "r", value=1)])
probability = np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 3, 4)
stored = SoftParcellation.from_dense(np.stack([1 - probability, probability]), tree, Geometry((4, 3, 2)))
SoftParcellation.load(stored.save({file!r})).probability("x")
assert "scipy" not in sys.modules, "scipy is loaded before it is needed"
keep_largest(fuse_raters([probability]))
"""


def run(tmp_path: Path, *extra: str) -> subprocess.CompletedProcess[str]:
    code = USE.format(core=str(CORE), extra=extra, file=str(tmp_path / "a.soft.npz"))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_no_torch_is_needed(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.returncode == 0, result.stderr


def test_the_guard_can_fail(tmp_path: Path) -> None:
    result = run(tmp_path, "json")
    assert result.returncode != 0
    assert "json" in result.stderr
