"""How cases are predicted: what was asked, and what was made of it for the models at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from softseg.errors import InputError
from softseg.prediction.ensemble import require_once, require_one_tree
from softseg.prediction.outputs import branches_of
from softseg.prediction.postprocessing import CleaningStep
from softseg.prediction.uncertainty import Uncertainty
from softseg.requests.predict import PredictRequest
from softseg.system import resolve_precision

if TYPE_CHECKING:
    from softseg.network import Model
    from softseg.network.fitted_outliers import FittedOutliers


@dataclass(frozen=True)
class Settings:
    """How cases are predicted: a request, and what was made of it for these models.

    Attributes
    ----------
    request: what was asked; overlap, blend and calibration are read there.
    device: where the networks run.
    uncertainty: how often each case is predicted, None for once.
    nodes: ids of nodes whose soft maps are wanted.
    postprocess: cleaning of the mean distribution.
    outliers: the score that is computed, None for none.
    others: models beside the first.
    branches: ids of inner nodes whose decisions are followed.
    """

    request: PredictRequest
    device: torch.device
    uncertainty: Uncertainty | None = None
    nodes: tuple[str, ...] = ()
    postprocess: tuple[CleaningStep, ...] = ()
    outliers: FittedOutliers | None = None
    others: tuple[Model, ...] = ()
    branches: tuple[str, ...] = ()

    @staticmethod
    def of(models: Sequence[Model], request: PredictRequest, device: torch.device) -> Settings:
        """Return the settings of a request for models, which are of one tree.

        Raises
        ------
        InputError: a node, branch or step does not fit the tree, there is no outlier score, the models do not go
            together, or cannot compute so on the device.
        """
        model = models[0]
        require_one_tree(models)
        require_once(models, request.uncertainty)
        if request.outliers:
            require_one_for_outliers(models)
        settings = Settings(
            request,
            device,
            uncertainty=None if request.uncertainty is None else Uncertainty.parse(request.uncertainty),
            nodes=tuple(dict.fromkeys(model.tree.find(node).id for node in request.nodes)),
            postprocess=tuple(CleaningStep.parse(text, model.tree) for text in request.postprocess),
            outliers=fitted_outliers(model) if request.outliers else None,
            others=tuple(models[1:]),
            branches=branches_of(model.tree, request.branches),
        )
        settings.dtype_of(model)
        return settings

    def dtype_of(self, model: Model) -> torch.dtype:
        """Return the number type of a model's convolutions.

        Raises
        ------
        InputError: the device does not compute in it.
        """
        return resolve_precision(self.request.precision or model.plan.precision, self.device)

    @property
    def answers(self) -> int:
        """How many predictions are averaged."""
        return (1 if self.uncertainty is None else self.uncertainty.samples) * (1 + len(self.others))


def fitted_outliers(model: Model) -> FittedOutliers:
    """Return the outlier score that was fitted to a model.

    Raises
    ------
    InputError: there is none.
    """
    if model.outliers is None:
        raise InputError(
            "this model carries no outlier score",
            file=model.path,
            field="outliers",
            hint="fit one with softseg outliers fit, or leave --outliers out",
        )
    return model.outliers


def require_one_for_outliers(models: Sequence[Model]) -> None:
    """Raise :class:`InputError` if an outlier score is wanted of several models."""
    if len(models) > 1:
        raise InputError(
            "an outlier score belongs to one model", field="outliers", hint="leave --outliers out, or name one model"
        )
