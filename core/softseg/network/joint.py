"""What belongs to the members of an ensemble together: one calibration of their mean, one outlier score.

::

    MODEL/
      ensemble.json        see :mod:`softseg.ensemble_file`
      calibration.json     temperatures of the tree's levels, for the mean of the members' answers; optional
      outliers.json        an outlier score, with its estimates in models/outliers.pt; optional
      guarantee.json       wrong answers of people, see :mod:`softseg.soft.guarantee`; optional
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from softseg.ensemble_file import EnsembleFile
from softseg.files import require_inside
from softseg.needs import Needs
from softseg.network.ensemble_outliers import DISAGREEMENT, EnsembleOutliers
from softseg.network.fitted_outliers import stored_score
from softseg.network.model_folder import ModelFolder
from softseg.soft.calibration import FILE as CALIBRATION_FILE
from softseg.soft.calibration import Calibration

if TYPE_CHECKING:
    from softseg.network.model_folder import Model


@dataclass(frozen=True, eq=False)
class Joint:
    """What the members of an ensemble have together.

    Attributes
    ----------
    folder: of the ensemble.
    name: of the ensemble.
    count: of its members.
    calibration: of its members' mean, if any was fitted.
    outliers: the score that was fitted to it, if any.
    needs: the model that makes the mask of their scans, if they need one.
    """

    folder: Path
    name: str
    count: int
    calibration: Calibration | None = None
    outliers: EnsembleOutliers | None = None
    needs: Needs | None = None

    @staticmethod
    def of(models: Sequence[Model]) -> Joint | None:
        """Return what models have together; None unless they are all members of one ensemble, and no others."""
        first = models[0].ensemble
        same = first is not None and len(models) == first.count
        return first if same and all(model.ensemble is first for model in models) else None


def load_members(ensemble: EnsembleFile, outliers: bool = True, backend: str = "torch") -> list[Model]:
    """Read the members of an ensemble; each knows what they have together.

    Parameters
    ----------
    ensemble: which one.
    outliers: read the outlier scores, of the members and of all together; see :meth:`ModelFolder.load`. Without
        PyTorch there is only ``disagreement``.
    backend: see :meth:`ModelFolder.load`.

    Raises
    ------
    InputError: a member, or what they have together, is damaged or does not fit; the file is named.
    """
    members = [ModelFolder.load(folder, outliers, backend) for folder in ensemble.folders]
    file = ensemble.folder / CALIBRATION_FILE
    require_inside(file, ensemble.folder)
    heads = [member.head for member in members]
    known = outliers and (backend == "torch" or stored_score(ensemble.folder) == DISAGREEMENT)
    joint = Joint(
        ensemble.folder,
        ensemble.name,
        len(members),
        Calibration.load(file, members[0].tree) if file.exists() else None,
        EnsembleOutliers.load(ensemble.folder, heads) if known else None,
        ensemble.needs,
    )
    return [replace(member, ensemble=joint) for member in members]
