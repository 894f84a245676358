"""docs/slicer-python.md does what it says: its code is run, with the engine's process and the file dialogs replaced."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import slicer
import slicer.util
from SoftSegSlicerLib.Process.HeadlessRunner import HeadlessRunner
from SoftSegSlicerLib.Scene.ShownMap import DISAGREEMENT

from softseg.image import Geometry, Image, write_image
from softseg.resources import label_tree_path
from softseg.soft import SoftParcellation
from softseg.soft.outliers import StoredOutliers
from softseg.tree import LabelTree

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "slicer-python.md").read_text(encoding="utf-8")
CONSOLE, DOUBT, ADOPT, SCRIPT = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

ENGINE = """
import shutil, sys
from softseg.requests import Manifest, OutputFile, PredictRequest, WrittenCase
request = PredictRequest.from_argv(sys.argv[1:sys.argv.index("--events")])
case = request.out / "it"
case.mkdir(parents=True)
files = (OutputFile("soft", "soft.soft.npz"), OutputFile("mutual_information", "mutual_information.nii.gz"))
Manifest(request.out, (WrittenCase("it", "done", request.inputs, case, files),)).write()
shutil.copy({file!r}, case / "soft.soft.npz")
shutil.copy({disagreement!r}, case / "mutual_information.nii.gz")
print('{{"event": "done"}}')
"""


@pytest.fixture
def head(scene, tmp_path, monkeypatch, addVolume):  # noqa: ARG001 - the scene has to be there
    """A scan in the scene, and an engine that answers with a soft parcellation of the shipped tree."""
    tree, geometry = LabelTree.load(label_tree_path("brain-134")), Geometry((16, 20, 12), (4.0, 4.0, 6.0))
    random = np.random.default_rng(0)
    dense = np.zeros((len(tree.leaves), *geometry.shape), np.float32)
    dense[0] = 1
    inside = random.dirichlet(np.full(len(tree.leaves), 0.1), (6, 12, 10)).transpose(3, 0, 1, 2)
    dense[:, 3:9, 4:16, 3:13] = inside
    steps = random.integers(0, 256, geometry.shape).astype(np.uint8)
    soft = replace(
        SoftParcellation.from_dense(dense, tree, geometry),
        outliers=StoredOutliers.of_volume(steps, "energy", -4.0, -20.0, 5.5),
    )
    file = soft.save(tmp_path / "head.soft.npz")
    disagreement = tmp_path / "disagreement.nii.gz"
    write_image(Image(random.random(geometry.shape).astype(np.float32), geometry), disagreement)
    program = tmp_path / "engine.py"
    program.write_text(ENGINE.format(file=str(file), disagreement=str(disagreement)))
    monkeypatch.setattr(
        "SoftSegSlicerLib.SoftSegSlicerLogic.HeadlessRunner", lambda: HeadlessRunner(sys.executable, [str(program)])
    )
    return addVolume(random.integers(0, 100, geometry.shape).astype(np.int16), geometry)


@pytest.mark.usefixtures("converter")
def test_the_console_code_runs(head, scene, capsys):
    names = {}
    exec(CONSOLE, names)  # noqa: S102 - the documentation's own code
    assert names["logic"].results.treeOf(names["result"]).node("brain").name == "encephalon"
    assert names["volumes"]["brain"].softMl > 0
    assert names["table"].GetNumberOfRows() == len(names["tree"])
    printed = capsys.readouterr().out
    assert "brain: " in printed
    exec(DOUBT, names)  # noqa: S102
    logic, result = names["logic"], names["result"]
    assert logic.confidence.of(result) == 0.95
    assert logic.outliers.threshold(result) == -3.0
    assert logic.maps.shown(result) == DISAGREEMENT
    assert "energy -4.0" in capsys.readouterr().out
    exec(ADOPT, names)  # noqa: S102
    assert [node.id for node in names["logic"].results.cutOf(names["foldable"]).nodes] == [
        node.id for node in names["tree"].cut_at(2).nodes
    ]
    assert names["scan"] is head
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 4


def test_the_script_without_a_window_runs(head, scene, tmp_path, monkeypatch, capsys):
    saved, codes = tmp_path / "result.mrb", []
    monkeypatch.setattr(sys, "argv", ["segment.py", "scan.nii.gz", str(saved)])
    monkeypatch.setattr(slicer.util, "loadVolume", lambda file: head if file == "scan.nii.gz" else None)
    monkeypatch.setattr(slicer.util, "saveScene", lambda file: scene.WriteToMRB(file))
    monkeypatch.setattr(slicer.util, "exit", codes.append)
    exec(SCRIPT, {})  # noqa: S102 - the documentation's own code
    assert codes == [0]
    assert saved.stat().st_size > 1000
    rows = [line for line in capsys.readouterr().out.splitlines() if line.count(",") == 3]
    assert len(rows) > 200


def test_every_reference_and_attribute_is_described():
    from SoftSegSlicerLib.Scene import References

    for name in ("TREE", "PARCELLATION", "INPUT", "HEAT_MAP", "ENTROPY", "VOLUMES", "COLORS", "LEAF_LABELS"):
        assert f"`{getattr(References, name)}`" in PAGE
    for name in (References.SOURCE_TREE, References.CUT, References.MERGED):
        assert f"`{name}`" in PAGE
