"""What works with the package's own dependencies alone, and what the rest says without PyTorch."""

from __future__ import annotations

import json
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
    """Return the packages of the extra ``train`` by the names they are imported by."""
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    names = re.findall(r'"([A-Za-z0-9]+)', text.partition("\ntrain = [")[2].partition("]\n")[0])
    return [IMPORTED_AS.get(name, name) for name in names]


def softseg(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    code = HIDE.format(hidden=engine_packages())
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.fixture
def soft(tmp_path: Path) -> Path:
    probability = np.linspace(0, 1, 60, dtype=np.float32).reshape(3, 4, 5)
    grid = Geometry((5, 4, 3), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    SoftParcellation.from_dense(np.stack([1 - probability, probability]), TREE, grid, model="test").save(
        tmp_path / "a.soft.npz"
    )
    return tmp_path / "a.soft.npz"


def test_the_engine_s_packages_are_hidden_here() -> None:
    assert {"torch", "monai", "onnx", "PIL", "matplotlib"} <= set(engine_packages())


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


COMMAND = r"(\S+ -m |uv )?pip install "


def test_prediction_needs_no_engine(soft: Path, tmp_path: Path) -> None:
    scan = tmp_path / "scan.nii.gz"
    values = np.random.default_rng(0).normal(100, 10, (3, 64, 64)).astype(np.float32)
    write_image(Image(values, Geometry((64, 64, 3), (0.5, 0.5, 5.0))), scan)
    done = softseg("predict", "cord-gm-soft", scan, "--out", tmp_path / "out", "--quiet", "--device", "cpu")
    assert (done.returncode, done.stderr) == (0, "")
    found = SoftParcellation.load(tmp_path / "out" / "scan" / "soft.soft.npz")
    assert found.geometry.size == (64, 64, 3)
    evaluated = ("evaluate", "--prediction", soft, "--reference", soft, "--tree", tmp_path / "tree.json")
    TREE.save(tmp_path / "tree.json")
    done = softseg(*evaluated, "--out", tmp_path / "tables", "--without-report", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    done = softseg(*evaluated, "--out", tmp_path / "report")
    assert done.returncode == 2
    assert re.fullmatch(
        rf'softseg: the Python package matplotlib is not installed; {COMMAND}"softseg\[report\]", '
        r"or leave the report out \(--without-report\)\n",
        done.stderr,
    )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["export", "cord-gm-soft", "--onnx"], "torch"),
        (["predict", "cord-gm-soft", "{scan}", "--out", "{out}", "--backend", "torch"], "torch"),
        (["train", "{data}", "--recipe", "ce-dice", "--out", "{out}"], "torch"),
        (["calibrate", "cord-gm-soft", "{data}"], "torch"),
        (["doctor"], None),
    ],
)
def test_what_needs_more_names_the_command_that_installs_it(
    arguments: list[str], named: str | None, tmp_path: Path
) -> None:
    scan, data = tmp_path / "scan.nii.gz", tmp_path / "DATA.json"
    write_image(Image(np.ones((3, 4, 5), np.float32), Geometry((5, 4, 3))), scan)
    case = {"id": "a", "group": "a", "split": "train", "images": {"T2star": "scan.nii.gz"}, "labels": "scan.nii.gz"}
    TREE.save(tmp_path / "tree.json")
    content = {"name": "one", "channels": ["T2star"], "tree": "tree.json", "cases": [case]}
    data.write_text(json.dumps(content), encoding="utf-8")
    done = softseg(*(each.format(scan=scan, data=data, out=tmp_path / "out") for each in arguments))
    if named is None:
        assert done.returncode == 0
        assert re.search(
            rf'no   train .*: PyTorch and MONAI are not both installed \({COMMAND}"softseg\[train\]"\)', done.stdout
        )
        assert re.search(r"predict a 1 mm head .*: needs an estimated", done.stdout)
        return
    assert done.returncode == 2
    assert re.fullmatch(rf'softseg: [^\n]*{COMMAND}"softseg\[train\]"[^\n]*\n', done.stderr)
    assert named in done.stderr.lower()
    assert not (tmp_path / "out").exists()
