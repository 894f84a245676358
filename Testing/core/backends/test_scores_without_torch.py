"""``--outliers`` without PyTorch: the disagreement of an ensemble's members; other scores say what they need."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from backend_kit import SMALL, saved, scan, softseg

from softseg.image import read_image
from softseg.network import EnsembleOutliers, FittedOutliers
from softseg.network.ensemble_outliers import DISAGREEMENT
from softseg.prediction.ensemble_folder import save_ensemble
from softseg.prediction.model_summary import ModelSummary
from softseg.prediction.record import model_digest
from softseg.soft.outliers import score_range
from softseg.soft.parcellation import SoftParcellation

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from softseg.backends.onnx_file import write_onnx

THRESHOLD = 0.01


@pytest.fixture(params=["LPS", "LSA"], ids=["one grid", "grids of their own"])
def ensemble(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two models with random weights in one folder."""
    network, folders = {"name": "DynUNet", "options": SMALL}, []
    for seed, orientation in enumerate(("LPS", request.param)):
        made = saved(tmp_path / f"member-{seed}", network, seed=seed, orientation=orientation)
        write_onnx(made, model_digest(made))
        folders.append(made.path)
    return save_ensemble(folders, tmp_path / "both")


def test_disagreement_needs_no_pytorch(ensemble: Path, tmp_path: Path) -> None:
    low, high = score_range(THRESHOLD, 0.0, math.log(2))
    EnsembleOutliers(DISAGREEMENT, THRESHOLD, low, high).save(ensemble)
    assert not ModelSummary.load(ensemble).score_needs_torch
    image, found = scan(tmp_path / "T1.nii.gz"), []
    for name, without in (("torch", ()), ("onnx", ("torch", "monai"))):
        done = softseg(
            "predict", ensemble, image, "--out", tmp_path / name, "--outliers", "--backend", name, without=without
        )
        assert done.returncode == 0, done.stderr
        assert ("torch" in done.stdout.splitlines()[-1]) == (name == "torch")
        outliers = SoftParcellation.load(tmp_path / name / "T1" / "soft.soft.npz").outliers
        assert outliers is not None
        assert (outliers.score_name, outliers.threshold) == (DISAGREEMENT, THRESHOLD)
        found.append(outliers)
    expected, ours = found
    information = read_image(tmp_path / "onnx" / "T1" / "mutual_information.nii.gz").array
    np.testing.assert_allclose(ours.degree(), information, atol=(high - low) / 255)
    np.testing.assert_allclose(ours.degree(), expected.degree(), atol=1.01 * (high - low) / 255)
    assert 0 < ours.mask().mean() < 1
    assert (ours.mask() == expected.mask()).mean() >= 0.9999


def test_other_scores_say_so_before_anything_is_loaded(ensemble: Path, tmp_path: Path) -> None:
    each = tuple(FittedOutliers("entropy", 0.2, 0.0, high) for high in (0.5, 0.6))
    EnsembleOutliers("entropy", 0.4, 0.0, 1.0, each).save(ensemble)
    assert ModelSummary.load(ensemble).score_needs_torch
    image = scan(tmp_path / "T1.nii.gz")
    done = softseg("predict", ensemble, image, "--out", tmp_path / "out", "--outliers")
    assert done.returncode == 2
    assert done.stderr.startswith("softseg: outliers: the outlier score entropy needs PyTorch; ")
    assert done.stderr.count("\n") == 1
    assert done.stdout.splitlines()[-1].strip() == "loaded:"
    assert not (tmp_path / "out").exists()


def test_an_ensemble_without_a_score_says_so(ensemble: Path, tmp_path: Path) -> None:
    done = softseg("predict", ensemble, scan(tmp_path / "T1.nii.gz"), "--out", tmp_path / "out", "--outliers")
    assert done.returncode == 2
    assert "this ensemble carries no outlier score" in done.stderr
