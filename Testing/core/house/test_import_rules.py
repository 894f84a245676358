"""The import rules of pyproject.toml hold, and each of them can fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
LINT = "import sys; from importlinter.cli import lint_imports_command as run; sys.exit(run())"


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder / "core")}
    return subprocess.run(
        [sys.executable, "-c", LINT], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the sources and of the rules."""
    shutil.copytree(REPOSITORY / "core", tmp_path / "core", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    return tmp_path


def test_rules_hold_and_can_fail(copy: Path) -> None:
    whole = _lint(copy)
    assert whole.returncode == 0, whole.stdout
    for file, line, rule in (
        ("tree/node.py", "import softseg.soft.labels", "Dependencies point one way"),
        ("evaluation/rows.py", "import vtk", "The engine knows neither Slicer nor Qt nor VTK"),
        ("soft/labels.py", "import torch", "Trees and stored results need only numpy"),
        ("network/scope.py", "def late():\n    import softseg.network.heads", "No circles, inside packages too"),
        ("studies/plan/metrics.py", "import softseg.studies.work.tables", "Studies: plan, then work"),
    ):
        source = copy / "core" / "softseg" / file
        original = source.read_text(encoding="utf-8")
        source.write_text(f"{original}\n{line}\n", encoding="utf-8")
        broken = _lint(copy)
        source.write_text(original, encoding="utf-8")
        assert broken.returncode == 1, f"{line} in {file} went unnoticed"
        assert f"{rule}" in broken.stdout
        assert "BROKEN" in next(text for text in broken.stdout.splitlines() if text.startswith(rule))


def test_no_circles_in_the_slicer_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor between its folders, nor inside one of them; an import the other way round is noticed."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "SoftSegSlicer"))
    graph = grimp.build_graph("SoftSegSlicerLib", cache_dir=None)
    packages = ["SoftSegSlicerLib", *(name for name in graph.modules if graph.find_children(name))]
    assert {name: found for name in packages if (found := graph.nominate_cycle_breakers(name))} == {}
    graph.add_import(importer="SoftSegSlicerLib.Process.Scratch", imported="SoftSegSlicerLib.Scene.Grids")
    assert graph.nominate_cycle_breakers("SoftSegSlicerLib")


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        (
            "import softseg; softseg.LabelTree; softseg.SoftParcellation",
            {"torch", "monai", "pydantic", "typer", "rich"},
        ),
        ("import softseg.cli", {"torch", "monai", "matplotlib", "nilearn", "SimpleITK"}),
        ("import softseg.evaluation, softseg.data", {"torch", "monai", "matplotlib"}),
    ],
)
def test_heavy_packages_load_only_where_they_are_used(statement: str, forbidden: set[str]) -> None:
    script = f"{statement}; import sys; print(*sorted({forbidden!r} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "core")}
    answer = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []
