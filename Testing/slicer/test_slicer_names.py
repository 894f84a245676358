"""Every name of Slicer that the module uses is in the list made from Slicer 5.12's source, and that list is true."""

import ast
import importlib.util
from pathlib import Path

import pytest
import slicer
import slicer.util

_SPEC = importlib.util.spec_from_file_location("slicer_names", Path(__file__).with_name("slicer_names.py"))
names = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(names)


def test_every_name_that_is_used_is_listed():
    missing = names.missing(names.used(), names.listed())
    lines = "\n".join(f"{place}: {name}" for name, place in sorted(missing.items()))
    assert not missing, f"not in SlicerNames.txt: look it up in the source of Slicer 5.12 and add it there\n{lines}"


def test_a_name_that_does_not_exist_is_found():
    source = """
import slicer
node = slicer.vtkMRMLSegmentatoinNode()
scene.AddNewNodeByClass("vtkMRMLTabelNode")
node.SetAndObserveNothing(1)
slicer.util.noSuchFunction()
slicer.modules.nosuchmodule.logic()
"""
    found = {name: "here" for name, _ in names._namesOf(ast.parse(source))}
    assert sorted(names.missing(found, names.listed())) == [
        ".SetAndObserveNothing",
        "slicer.modules.nosuchmodule",
        "slicer.util.noSuchFunction",
        "vtkMRMLSegmentatoinNode",
        "vtkMRMLTabelNode",
    ]


def test_nothing_is_listed_twice_or_without_its_header():
    rows = [line.split() for line in names.LIST.read_text().splitlines() if line and not line.startswith("#")]
    assert all(len(row) == 2 for row in rows)
    assert len({row[0] for row in rows}) == len(rows)


@pytest.mark.parametrize(
    "name", [name for name in names.listed() if name.startswith(("vtkMRML", "vtkSlicer", "vtkSegment", "vtkOriented"))]
)
def test_listed_classes_and_methods_are_in_the_wheel(name):
    class_, _, method = name.partition(".")
    assert hasattr(slicer, class_)
    assert not method or hasattr(getattr(slicer, class_), method)


@pytest.mark.parametrize("name", [name for name in names.listed() if name.startswith("slicer.util.")])
def test_listed_functions_are_in_the_wheel(name):
    assert hasattr(slicer.util, name.rsplit(".", 1)[1])
