"""One case: from its files to soft shares of the tree's leaves on the scan's own grid."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from softseg.data import preprocess_images
from softseg.data.cubes import read_channel
from softseg.data.cubes.cube import ChannelImage, filled
from softseg.errors import OutOfMemoryError, naming
from softseg.events import Events
from softseg.image import Geometry, Image, say_notes
from softseg.network import FittedOutliers
from softseg.network.architectures import window_multiple
from softseg.prediction.checks import warn_about
from softseg.prediction.ensemble import see_one_grid
from softseg.prediction.joint import KEPT, Answer, averaged, in_turn, predict_jointly
from softseg.prediction.memory import halved
from softseg.prediction.scoring import StepMap
from softseg.prediction.settings import Settings
from softseg.prediction.spread import DecisionMaps
from softseg.prediction.streaming import Found, pieces_of, stream
from softseg.requests.predict import PredictRequest
from softseg.soft.blocks import Index, Piece
from softseg.soft.fine import FineStore
from softseg.soft.parcellation import NodeVolume, SoftParcellation
from softseg.system import MEMORY_ERRORS, is_out_of_memory, resolve_device

if TYPE_CHECKING:
    from softseg.network import Model

_Result = TypeVar("_Result")


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction of one case, on the grid of its first image.

    Attributes
    ----------
    parcellation: soft shares of the leaves.
    node_maps: for each node asked for, its share in every voxel, float32 0..1, summed before anything is stored.
    entropy: entropy of the mean distribution in nats, with uncertainty only.
    mutual_information: how much the predictions disagree, in nats, with uncertainty only.
    decisions: how much they disagree about single decisions of the tree, where that was asked for.
    intervals: for each node, the ends of the interval of its volume as parts of it, with uncertainty only.
    """

    parcellation: SoftParcellation
    node_maps: dict[str, Image] = field(default_factory=dict)
    entropy: Image | None = None
    mutual_information: Image | None = None
    decisions: DecisionMaps | None = None
    intervals: dict[str, tuple[float, float]] | None = None

    @cached_property
    def volumes(self) -> list[NodeVolume]:
        """Soft and hard volume of every node of the tree, with their intervals where there are several predictions."""
        parts = self.intervals or {}
        return [
            volume.within(*parts[volume.id]) if volume.id in parts else volume for volume in self.parcellation.volumes()
        ]


def predict_case(
    model: Model,
    images: Sequence[Path],
    *,
    device: torch.device | str = "cpu",
    events: Events | None = None,
    others: Sequence[Model] = (),
    **asked: Any,
) -> Prediction:
    """Predict one case.

    Parameters
    ----------
    model: the loaded model folder.
    images: one file per channel, in the model's order.
    device: where the network runs; it is moved there.
    events: stages, progress, warnings, estimates; cancelling between windows.
    others: more models of the same tree, channels and crop; the mean of all answers is stored.
    asked: any of nodes, uncertainty, branches, calibrated, outliers, postprocess, overlap, precision and blend of
        :class:`~softseg.requests.PredictRequest`.

    Raises
    ------
    InputError: a file, channel or grid is wrong, a node is unknown, the network has no dropout, or no outlier score was
        fitted to the model, or the models do not go together.
    OutOfMemoryError: it does not fit into memory, not even with the smallest windows.
    CancelledError: cancelled.
    """
    request = PredictRequest("", (), Path(), **asked)
    settings = Settings.of([model, *others], request, resolve_device(device))
    return predict_with(model, images, settings, Events() if events is None else events)


def predict_with(model: Model, images: Sequence[Path], settings: Settings, events: Events) -> Prediction:
    """Predict one case as settings say; see :func:`predict_case`.

    Where memory runs out, windows are halved, with a warning, and the case begins again.
    """
    models = [model, *settings.others]
    events.stage("read")
    scans = [read_channel(path) for path in images]
    target = scans[0].geometry
    for scan, path in zip(scans, images, strict=True):
        say_notes(scan.notes, path, events.warning)
        warn_about(Image(filled(scan), scan.geometry), path, [each.plan for each in models], events)
    if see_one_grid(models):
        preprocessed, grid = preprocess_images(scans, model.plan, list(images))
        del scans

        def work(window: Index) -> Found:
            return stream(model, preprocessed, grid, target, settings, window, events)

        found = _with_windows_that_fit(model, grid, settings, images[0], events, work)
    else:
        found = predict_jointly(models, target, settings, events, _Member(scans, list(images), target))
    return Prediction(
        found.parcellation,
        found.node_maps,
        found.entropy,
        found.mutual_information,
        found.decisions,
        found.intervals,
    )


def mean_of(
    models: Sequence[Model], images: Sequence[Path], settings: Settings, events: Events
) -> tuple[Geometry, Iterator[Piece]]:
    """Return the scan's grid, and the mean of what models say of its voxels, piece by piece, before it is stored.

    Parameters
    ----------
    models, images, settings, events: see :func:`predict_with`; every voxel that no piece names is background.
    """
    scans = [read_channel(path) for path in images]
    target = scans[0].geometry
    if see_one_grid(models):
        preprocessed, grid = preprocess_images(scans, models[0].plan, list(images))
        window: Index = models[0].plan.patch_kji
        return target, pieces_of(models[0], preprocessed, grid, target, settings, window, events)
    stores, _ = in_turn(models, settings, events, _Member(scans, list(images), target))
    return target, averaged(stores, models, settings, target, None, events)


@dataclass(frozen=True, eq=False)
class _Member:
    """One scan, as each member of an ensemble with grids of their own predicts it.

    Attributes
    ----------
    scans, files: the channels.
    target: their grid.
    """

    scans: Sequence[ChannelImage]
    files: list[Path]
    target: Geometry

    def __call__(self, model: Model, settings: Settings, events: Events) -> Answer:
        """Return what a model says of the scan's voxels."""
        preprocessed, grid = preprocess_images(self.scans, model.plan, self.files)
        kept = KEPT * math.prod(self.target.shape)

        def work(window: Index) -> Answer:
            store = FineStore(model.head.classes, model.head.background, math.prod(self.target.shape))
            outliers = settings.outliers
            score = StepMap(outliers, grid, self.target, fine=True) if isinstance(outliers, FittedOutliers) else None
            steps = () if score is None else (score,)
            pieces = pieces_of(model, preprocessed, grid, self.target, settings, window, events, steps=steps, kept=kept)
            for voxels, classes, values in pieces:
                store.add(voxels, classes, values)
            store.finish()
            return store, score

        return _with_windows_that_fit(model, grid, settings, self.files[0], events, work)


def _with_windows_that_fit(
    model: Model, grid: Geometry, settings: Settings, file: Path, events: Events, work: Callable[[Index], _Result]
) -> _Result:
    """Return ``work`` of the plan's windows, or of the largest ones that memory allows."""
    multiple = window_multiple(model.plan.network, model.plan.dimensions)
    window: Index = model.plan.patch_kji
    while True:
        try:
            with naming(model.path):
                return work(window)
        except MEMORY_ERRORS as error:
            if not is_out_of_memory(error):
                raise
            smaller = halved(window, multiple)
            reason = str(error)
            if smaller is None:
                raise _out_of_memory(model, grid, window, settings, file, reason) from error
        gc.collect()
        if settings.device.type == "cuda":
            torch.cuda.empty_cache()
        events.warning(
            f"memory is short ({' '.join(reason.split())[:120]}): going on with windows of {_by(smaller)} voxels "
            f"instead of {_by(window)}; the result may differ slightly"
        )
        window = smaller


def _out_of_memory(
    model: Model, grid: Geometry, window: Index, settings: Settings, file: Path, reason: str
) -> OutOfMemoryError:
    hint = "crop the image, close other programs, use a smaller --overlap"
    hint += ", leave --uncertainty out" if settings.uncertainty else ""
    hint += ", leave --postprocess out" if settings.postprocess else ""
    hint += ", use --device cpu" if settings.device.type == "cuda" else ""
    return OutOfMemoryError(
        f"predicting {len(model.tree.leaves)} classes on {_by(grid.shape)} voxels ran out of memory on "
        f"{settings.device}, even with windows of {_by(window)} voxels ({reason})",
        file=file,
        hint=f"{hint} or a machine with more memory",
    )


def _by(numbers: Sequence[int]) -> str:
    return " x ".join(map(str, numbers))
