"""An outlier score of an ensemble: kept in its folder, applied by prediction, refused where it does not fit."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_ensemble_folder import trained

from softseg.errors import InputError
from softseg.image import read_image
from softseg.network.ensemble_outliers import DISAGREEMENT, EnsembleOutliers
from softseg.network.fitted_outliers import FittedOutliers
from softseg.prediction import load_models, predict
from softseg.prediction.ensemble_folder import save_ensemble
from softseg.prediction.model_summary import ModelSummary
from softseg.soft.outliers import score_range
from softseg.soft.parcellation import SoftParcellation


@pytest.fixture(params=["RPI", "LSP"], ids=["one grid", "grids of their own"])
def ensemble(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two models with random weights in one folder."""
    first = trained(tmp_path / "first", 0, orientation=request.param)
    return save_ensemble([first, trained(tmp_path / "second", 1, orientation="RPI")], tmp_path / "both")


def outliers_of(folder: Path, scan: Path, out: Path) -> SoftParcellation:
    (found,) = predict(folder, [scan], out, outliers=True)
    return SoftParcellation.load(found.folder / "soft.soft.npz")


def test_disagreement_is_the_mutual_information(ensemble: Path, scan: Callable[..., Path], tmp_path: Path) -> None:
    low, high = score_range(0.01, 0.0, math.log(2))  # the threshold is between two steps of what is stored
    fitted = EnsembleOutliers(DISAGREEMENT, 0.01, low, high)
    fitted.save(ensemble)
    assert ModelSummary.load(ensemble).outlier_score == DISAGREEMENT
    file = scan()
    stored = outliers_of(ensemble, file, tmp_path / "out").outliers
    assert stored is not None
    information = read_image(next((tmp_path / "out").rglob("mutual_information.nii.gz"))).array
    np.testing.assert_allclose(stored.degree(), information, atol=(high - low) / 255)
    assert information.max() > 0.01
    np.testing.assert_array_equal(stored.mask(), information > 0.01)


def test_scores_of_members_are_joined_by_their_places(
    ensemble: Path, scan: Callable[..., Path], tmp_path: Path
) -> None:
    members = sorted((ensemble / "members").iterdir())
    ranges = ((0.0, 0.5), (0.1, 0.4))
    each = tuple(FittedOutliers("max-softmax", 0.2, low, high) for low, high in ranges)
    file, places = scan(), []
    for member, fitted in zip(members, each, strict=True):
        fitted.save(member)
        alone = outliers_of(member, file, tmp_path / member.name).outliers
        assert alone is not None
        places.append(np.clip((alone.degree() - fitted.low) / (fitted.high - fitted.low), 0, 1))
    EnsembleOutliers("max-softmax", 0.4, 0.0, 1.0, each).save(ensemble)
    joined = outliers_of(ensemble, file, tmp_path / "out").outliers
    assert joined is not None
    np.testing.assert_allclose(joined.degree(), np.mean(places, axis=0), atol=1.5 / 255)
    assert 0 < joined.mask().mean() < 1


def test_it_is_read_as_it_was_written_and_refused_where_it_does_not_fit(ensemble: Path) -> None:
    each = tuple(FittedOutliers("entropy", 0.2, 0.0, high) for high in (0.5, 0.6))
    EnsembleOutliers("entropy", 0.4, 0.0, 1.0, each, {"how": "given"}).save(ensemble)
    joint = load_models(ensemble)[0].ensemble
    assert joint is not None
    assert joint.outliers is not None
    assert joint.outliers.digest() == EnsembleOutliers("entropy", 0.4, 0.0, 1.0, each).digest()
    assert (joint.outliers.chosen, joint.outliers.members[1].high) == ({"how": "given"}, 0.6)
    file = ensemble / "outliers.json"
    sound = json.loads(file.read_text(encoding="utf-8"))
    for change, message in (
        ({"members": sound["members"][:1]}, "expected the scores of 2 members"),
        ({"score": "godin"}, "the members cannot have the score 'godin'"),
        ({"score": "max-softmax"}, "a member has another score"),
        ({"format_version": 99}, "outliers.json"),
    ):
        file.write_text(json.dumps(sound | change), encoding="utf-8")
        with pytest.raises(InputError, match=message) as caught:
            load_models(ensemble)
        assert caught.value.file == str(file)
