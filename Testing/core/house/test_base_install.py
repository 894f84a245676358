"""What works with the package's own dependencies alone, and what the rest says without PyTorch."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from softseg.image import Geometry, Image, write_image
from softseg.soft import SoftParcellation
from softseg.tree import LabelTree, Node

REPOSITORY = Path(__file__).resolve().parents[3]
HIDE = """
import sys
from importlib.machinery import PathFinder
found = PathFinder.find_spec
def hide(name, path=None, target=None):
    return None if name.partition(".")[0] in {hidden} else found(name, path, target)
PathFinder.find_spec = hide
from softseg.cli import run
sys.exit(run(sys.argv[1:]))
"""
IMPORTED_AS = {"pillow": "PIL", "Jinja2": "jinja2", "MarkupSafe": "markupsafe"}
TREE = LabelTree(
    [
        Node("head", "head", None),
        Node("background", "background", "head", value=0),
        Node("cord", "cord", "head", value=1),
    ],
    name="cord",
)


def engine_packages() -> list[str]:
    """Return the packages of the extras ``engine`` and ``onnx`` by the names they are imported by."""
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    listed = [text.partition(f"\n{extra} = [")[2].partition("]\n")[0] for extra in ("engine", "onnx")]
    names = [name for extra in listed for name in re.findall(r'"([A-Za-z0-9]+)', extra)]
    return [IMPORTED_AS.get(name, name) for name in names]


def softseg(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    code = HIDE.format(hidden=engine_packages())
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.fixture
def soft(tmp_path: Path) -> Path:
    share = np.linspace(0, 1, 60, dtype=np.float32).reshape(3, 4, 5)
    grid = Geometry((5, 4, 3), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    SoftParcellation.from_dense(np.stack([1 - share, share]), TREE, grid, model="test").save(tmp_path / "a.soft.npz")
    return tmp_path / "a.soft.npz"


def test_the_engine_s_packages_are_hidden_here() -> None:
    assert {"torch", "monai", "PIL", "matplotlib", "onnxruntime"} <= set(engine_packages())


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["predict", "--help"], ["train", "--help"]])
def test_help_needs_no_engine(arguments: list[str]) -> None:
    done = softseg(*arguments)
    assert (done.returncode, done.stderr) == (0, "")


def test_trees_and_results_need_no_engine(soft: Path, tmp_path: Path) -> None:
    TREE.save(tmp_path / "tree.json")
    assert softseg("tree", "check", tmp_path / "tree.json").returncode == 0
    done = softseg("collapse", soft, "--cut", "1", "--out", tmp_path / "labels.nii.gz")
    assert (done.returncode, done.stderr) == (0, "")
    maps = tmp_path / "maps"
    maps.mkdir()
    for node in ("background", "cord"):
        assert softseg("collapse", soft, "--node", node, "--out", maps / f"{node}.nii.gz").returncode == 0
    done = softseg("import-soft", maps, "--tree", tmp_path / "tree.json", "--out", tmp_path / "b.soft.npz")
    assert (done.returncode, done.stderr) == (0, "")


def test_prediction_without_the_engine_names_the_command_that_installs_it(soft: Path, tmp_path: Path) -> None:
    scan = tmp_path / "scan.nii.gz"
    write_image(Image(np.ones((3, 4, 5), np.float32), SoftParcellation.load(soft).geometry), scan)
    done = softseg("predict", "cord-gm-soft", scan, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert re.fullmatch(
        r"softseg: (backend: )?the Python package \w+ is not installed; pip install 'softseg\[engine\]'\n", done.stderr
    )
