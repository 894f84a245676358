"""A scan and a model folder are judged without torch, in plain sentences."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from softseg.errors import InputError
from softseg.image import Geometry, Image
from softseg.prediction.model_summary import ModelSummary
from softseg.prediction.scan_checks import Expected, scan_warnings

HEADS = Expected(True, (140.0, 180.0, 140.0), "LPS", (2.0, 2.0, 2.0))


def scan(content=slice(20, 80), spacing=(1.0, 1.0, 1.0), fill=0.0):
    array = np.full((100, 100, 100), fill, np.float32)
    array[content, content, content] = 7
    return Image(array, Geometry((100, 100, 100), spacing))


def test_a_scan_like_those_of_training_is_not_spoken_against():
    assert scan_warnings(scan(), HEADS) == []


def test_a_scan_with_its_skull_is_named_and_what_to_do():
    (warning,) = scan_warnings(scan(fill=1.0), HEADS)
    assert "does not seem to be skull-stripped (only 0% of its voxels are exactly 0)" in warning
    assert "remove the skull first" in warning


def test_content_in_a_far_larger_box_is_named():
    (warning,) = scan_warnings(scan(slice(1, 90), (2.5, 2.5, 2.5)), HEADS)
    assert "its content fills a box of 11.0 l, usually 3.5 l" in warning


def test_an_empty_scan_is_no_crash():
    assert scan_warnings(scan(slice(0, 0)), HEADS) == []


def test_long_voxels_are_compared_along_the_scans_own_axes():
    expected = Expected(False, None, "LPS", (None, 0.4, 0.4))
    assert scan_warnings(scan(spacing=(0.5, 0.5, 5.0)), expected) == []
    turned = Image(scan().array, Geometry((100, 100, 100), (5.0, 0.5, 0.5), direction=(0, 1, 0, 0, 0, 1, 1, 0, 0)))
    assert scan_warnings(turned, expected) == []
    (warning,) = scan_warnings(scan(spacing=(0.5, 2.0, 5.0)), expected)
    assert "voxels of 0.5 x 2 x 5 mm are up to 5.0 times as long" in warning


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 40.0), (0.001, 1.0, 1.0)])
def test_voxels_that_nobody_scans_are_asked_about(spacing):
    (warning,) = scan_warnings(scan(slice(0, 0), spacing), HEADS)
    assert "is the spacing in the file's header right?" in warning


def test_a_shipped_model_is_read_by_name():
    model = ModelSummary.load("brain-134")
    assert (model.name, model.channels, len(model.tree.leaves)) == ("brain-134", ("T1",), 135)
    axial, coronal = model.expected
    assert axial == Expected(True, (141.0, 185.0, 144.0), "LPS", (None, 1.0, 1.0))
    assert (coronal.orientation, coronal.spacing) == ("LSP", (None, 1.0, 1.0))
    assert model.licence.startswith("CC BY-NC")
    assert model.card.startswith("# brain-134")


def test_a_training_run_stands_for_its_model(tmp_path, resources: Path):
    shutil.copytree(resources / "Models" / "cord-gm-soft" / "members" / "wing", tmp_path / "run" / "model")
    assert ModelSummary.load(tmp_path / "run").path == tmp_path / "run" / "model"


def test_folders_of_other_products_and_broken_ones_say_what_they_are(tmp_path, resources: Path):
    other = tmp_path / "Dataset501"
    other.mkdir()
    (other / "plans.json").write_text("{}")
    with pytest.raises(InputError, match="is an nnU-Net folder without a trained fold, not a model of softseg"):
        ModelSummary.load(other)
    bundle = tmp_path / "bundle"
    shutil.copytree(resources / "Models" / "brain-134" / "members" / "axial", bundle)
    (bundle / "configs" / "metadata.json").write_text(json.dumps({"name": "spleen"}))
    with pytest.raises(InputError, match="is a MONAI bundle, but not a model of softseg"):
        ModelSummary.load(bundle)
    (bundle / "configs" / "metadata.json").write_text("{")
    with pytest.raises(InputError, match=r"metadata\.json: .*is not valid JSON"):
        ModelSummary.load(bundle)
    (bundle / "models" / "model.pt").unlink()
    with pytest.raises(InputError, match=r"lacks models/model\.pt"):
        ModelSummary.load(bundle)
    with pytest.raises(InputError, match="holds no model"):
        ModelSummary.load(tmp_path)
    with pytest.raises(InputError, match="no shipped model 'brain'"):
        ModelSummary.load("brain")


def test_neither_needs_the_engines_packages():
    code = (
        "import sys\n"
        "for name in ('torch', 'monai', 'pydantic', 'psutil', 'yaml'): sys.modules[name] = None\n"
        "from softseg.prediction.model_summary import ModelSummary\n"
        "print(ModelSummary.load('brain-134').name)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "brain-134"
