"""How cases are predicted: what was asked, and what was made of it for the models at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from softseg.errors import InputError
from softseg.network.ensemble_outliers import DISAGREEMENT
from softseg.network.fitted_outliers import stored_score
from softseg.network.joint import Joint
from softseg.prediction.ensemble import require_once, require_one_tree
from softseg.prediction.joint_scores import Outliers
from softseg.prediction.outputs import branches_of
from softseg.prediction.postprocessing import CleaningStep
from softseg.prediction.uncertainty import Uncertainty
from softseg.requests.predict import PredictRequest
from softseg.system import Processor, graph_precision, needs_torch, resolve_precision

if TYPE_CHECKING:
    import torch

    from softseg.backends import Backend
    from softseg.network import Model
    from softseg.network.fitted_outliers import FittedOutliers
    from softseg.prediction.masking import MaskSource
    from softseg.soft.calibration import Calibration


@dataclass(frozen=True)
class PredictionSettings:
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
    mask: where masks come from; None where there are none.
    """

    request: PredictRequest
    device: torch.device | Processor
    uncertainty: Uncertainty | None = None
    nodes: tuple[str, ...] = ()
    postprocess: tuple[CleaningStep, ...] = ()
    outliers: Outliers | None = None
    others: tuple[Model, ...] = ()
    branches: tuple[str, ...] = ()
    mask: MaskSource | None = None

    @staticmethod
    def of(models: Sequence[Model], request: PredictRequest, device: torch.device | Processor) -> PredictionSettings:
        """Return the settings of a request for models, which are of one tree.

        Raises
        ------
        InputError: a node, branch or step does not fit the tree, there is no outlier score, the models do not go
            together, or cannot compute so on the device.
        """
        model = models[0]
        require_one_tree(models)
        require_once(models, request.uncertainty)
        settings = PredictionSettings(
            request,
            device,
            uncertainty=None if request.uncertainty is None else Uncertainty.parse(request.uncertainty),
            nodes=tuple(dict.fromkeys(model.tree.find(node).id for node in request.nodes)),
            postprocess=tuple(CleaningStep.parse(text, model.tree) for text in request.postprocess),
            outliers=_outliers_of(models, request) if request.outliers else None,
            others=tuple(models[1:]),
            branches=branches_of(model.tree, request.branches),
        )
        settings.precision_of(model)
        return settings

    def precision_of(self, model: Model) -> str:
        """Return the name of the number type of a model's convolutions.

        Raises
        ------
        InputError: the device does not compute in it.
        """
        if model.onnx is not None:
            return graph_precision(self.request.precision, model.onnx.name)
        dtype = resolve_precision(self.request.precision or model.plan.precision, self.device)
        return str(dtype).removeprefix("torch.")

    def backend_of(self, model: Model) -> Backend:
        """Return what runs a model's network; a PyTorch network is moved to the device."""
        if model.onnx is not None:
            processor = self.device if isinstance(self.device, Processor) else Processor()
            return model.onnx.on(processor, self.precision_of(model))
        import torch

        from softseg.backends.torch_backend import TorchBackend

        device, dtype = torch.device(str(self.device)), getattr(torch, self.precision_of(model))
        return TorchBackend(model.network.to(device), model.head, model.plan.dimensions, device, dtype)

    def calibration_of(self, models: Sequence[Model]) -> Calibration | None:
        """Return the calibration of the models' mean, None where they have none or it is not wanted."""
        joint = Joint.of(models)
        return joint.calibration if joint is not None and self.request.calibrated else None

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


def _outliers_of(models: Sequence[Model], request: PredictRequest) -> Outliers:
    """Return the outlier score that was fitted to a model, or to the ensemble whose members models are.

    Raises
    ------
    InputError: there is none, or it would not be what it was when its threshold was chosen.
    """
    joint = Joint.of(models)
    if models[0].onnx is not None:  # only the score of disagreement was read
        score = stored_score(models[0].path if joint is None else joint.folder)
        if score not in ("", DISAGREEMENT):
            raise needs_torch(f"the outlier score {score} needs PyTorch", "outliers", "or leave it out")
    if joint is None and len(models) == 1:
        return fitted_outliers(models[0])
    if joint is None:
        raise InputError(
            "an outlier score belongs to one model or to one ensemble",
            field="outliers",
            hint="leave --outliers out, name one model, or put the models together with softseg ensemble",
        )
    if joint.outliers is None:
        raise InputError(
            "this ensemble carries no outlier score",
            file=joint.folder,
            field="outliers",
            hint="fit one with softseg outliers fit, or leave --outliers out",
        )
    if joint.outliers.score == DISAGREEMENT and request.uncertainty is not None:
        raise InputError(
            "its threshold was chosen for one answer of each member",
            field="outliers",
            hint="leave --uncertainty out, or --outliers",
        )
    return joint.outliers
