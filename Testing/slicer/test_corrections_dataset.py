"""Corrected results of the scene become files from which a model can be fine-tuned."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from SoftSegSlicerLib.Scene.Grids import setArray
from SoftSegSlicerLib.Training.BeforeAfter import beforeAfter
from SoftSegSlicerLib.Training.CorrectionsDataset import writeCorrections
from vtk.util import numpy_support

from softseg import SoftParcellation
from softseg.data import Dataset, check_dataset
from softseg.errors import InputError
from softseg.image import read_image


@pytest.fixture
def scan(scene, grid):  # noqa: ARG001 - the scene is wanted for its effect
    """A scan on the grid of the result."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Ada T1")
    array = np.random.default_rng(0).normal(100, 10, grid.shape).astype(np.float32)
    setArray(node, array, grid, numpy_support.get_vtk_array_type(array.dtype))
    return node


@pytest.fixture
def corrected(logic, parcellation, scan, grid):
    """A result in which a box is said to be stem."""
    voxels = np.zeros(grid.shape, bool)
    voxels[6:10, 8:14, 8:12] = True
    logic.results.add(parcellation, scan, "nobody corrected this one")
    return logic.results.add(parcellation.corrected("stem", voxels, author="Ada"), scan, "Ada")


def write(folder, logic, results, **more):
    return list(writeCorrections(str(folder), logic, results, "T1", **more))


def test_results_and_scans_are_written_and_pass_the_check(logic, corrected, scan, tmp_path, grid):
    assert logic.corrections.results() == [(corrected, scan)]
    assert write(tmp_path, logic, logic.corrections.results())[-1] == (3, 3)
    dataset = Dataset.load(tmp_path / "DATA.json")
    check_dataset(dataset)
    (case,) = dataset.cases
    assert (dataset.channels, case.split) == (("T1",), "train")
    image = read_image(case.images["T1"])
    assert image.geometry.same_grid(grid)
    np.testing.assert_array_equal(image.array, slicer.util.arrayFromVolume(scan))
    (said,) = SoftParcellation.load(case.corrected).corrections
    assert (said.node_id, said.author, said.voxel_count) == ("stem", "Ada", 4 * 6 * 4)


def test_a_scan_that_is_gone_or_another_one_is_refused(logic, corrected, scan, tmp_path):
    with pytest.raises(InputError, match="the scan of 'Ada segmentation' is not in the scene"):
        write(tmp_path, logic, [(corrected, None)])
    small = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "other")
    array = np.zeros((3, 4, 5), np.float32)
    from softseg.image import Geometry

    setArray(small, array, Geometry((5, 4, 3)), numpy_support.get_vtk_array_type(array.dtype))
    with pytest.raises(InputError, match="'other' is not the scan of 'Ada segmentation'"):
        write(tmp_path, logic, [(corrected, small)])
    assert not (tmp_path / "DATA.json").exists()
    assert scan is not small


def test_before_and_after_are_told_in_words(tmp_path):
    assert beforeAfter(tmp_path) == ""
    score = '{"people": 3, "before": 0.71, "after": 0.734, "difference": 0.024, "low": 0.01, "high": 0.04}'
    file = tmp_path / "comparison.json"
    file.write_text(f'{{"held_out": true, "scores": {{"dice/leaves": {score}}}}}')
    assert beforeAfter(tmp_path) == (
        "Dice of the leaves: 0.710 before, 0.734 after (3 people), change +0.010 to +0.040"
    )
    alone = score.replace("0.01,", "null,")
    file.write_text(f'{{"held_out": false, "scores": {{"agreement": {alone}}}}}')
    first, last = beforeAfter(tmp_path).splitlines()
    assert first == "Corrected voxels predicted as corrected: 0.710 before, 0.734 after (3 people)"
    assert last.startswith("No scan was held out")
