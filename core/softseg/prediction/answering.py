"""The mean prediction of models for one scan: with windows that memory allows, in parallel or in turn."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from softseg.data import preprocess_images
from softseg.data.cubes import read_channel
from softseg.data.cubes.cube import ChannelImage
from softseg.data.network_options import window_multiple
from softseg.errors import OutOfMemoryError, naming
from softseg.events import Events
from softseg.image import Geometry, Image
from softseg.network import FittedOutliers
from softseg.network.ensemble_outliers import EnsembleOutliers
from softseg.prediction.ensemble import see_one_grid
from softseg.prediction.joint import KEPT, Answer, averaged, in_turn
from softseg.prediction.joint_scores import joined, score_maps
from softseg.prediction.settings import PredictionSettings
from softseg.prediction.spread import SpreadMaps
from softseg.prediction.step_map import StepMap
from softseg.prediction.streaming import pieces_of
from softseg.prediction.window_grid import halved
from softseg.soft.blocks import Index, SparseVoxels
from softseg.soft.fine import FineStore
from softseg.soft.resample import resample_image
from softseg.system import MEMORY_ERRORS, is_out_of_memory
from softseg.types import FloatArray

if TYPE_CHECKING:
    from softseg.network import Model

_Result = TypeVar("_Result")


def mean_of(
    models: Sequence[Model], images: Sequence[Path], settings: PredictionSettings, events: Events
) -> tuple[Geometry, Iterator[SparseVoxels]]:
    """Return the scan's grid, and the models' mean prediction in its voxels, part by part, before it is stored.

    Parameters
    ----------
    models, images, settings, events: see :func:`softseg.prediction.case.predict_with`; every voxel that no piece names
        is background. No mask is made.
    """
    target, pieces, _ = mean_and_score_of(models, images, settings, events)
    return target, pieces


def mean_and_score_of(
    models: Sequence[Model], images: Sequence[Path], settings: PredictionSettings, events: Events
) -> tuple[Geometry, Iterator[SparseVoxels], Callable[[], FloatArray]]:
    """Return what :func:`mean_of` does, and what gives the ensemble's outlier score once all pieces were taken.

    Parameters
    ----------
    models, images, events: see :func:`mean_of`.
    settings: its ``outliers`` choose the score; without any there is none.

    Returns
    -------
    The scan's grid; the pieces; the score before it is rounded, float32 ``(k, j, i)``, on that grid.
    """
    scans = [read_channel(path) for path in images]
    target = scans[0].geometry
    wanted = settings.outliers if isinstance(settings.outliers, EnsembleOutliers) else None
    if see_one_grid(models):
        preprocessed, grid = preprocess_images(scans, models[0].plan, list(images))
        window: Index = models[0].plan.patch_kji
        steps = score_maps(settings.outliers, grid, target)
        maps = None if wanted is None else SpreadMaps(grid.shape)
        pieces = pieces_of(models[0], preprocessed, grid, target, settings, window, events, maps, steps)
    else:
        stores, found = in_turn(models, settings, events, OneByOne(scans, list(images), target))
        grid, steps = target, tuple(found)
        maps = None if wanted is None else SpreadMaps(target.shape)
        pieces = averaged(stores, models, settings, target, maps, events)

    def score() -> FloatArray:
        if wanted is None or maps is None:
            raise ValueError("no outlier score of an ensemble was asked for")
        return joined(wanted, steps, lambda: resample_image(Image(maps.mutual_information, grid), target).array)

    return target, pieces, score


def mean_in_turn(
    models: Sequence[Model],
    scans: Sequence[ChannelImage],
    files: Sequence[Path],
    settings: PredictionSettings,
    events: Events,
) -> Iterator[SparseVoxels]:
    """Yield the mean prediction of models with different grids in the voxels of a scan."""
    target = scans[0].geometry
    stores, _ = in_turn(models, settings, events, OneByOne(scans, list(files), target))
    yield from averaged(stores, models, settings, target, None, events)


@dataclass(frozen=True, eq=False)
class OneByOne:
    """One scan, as each member of an ensemble with grids of their own predicts it.

    Attributes
    ----------
    scans, files: the channels.
    target: their grid.
    """

    scans: Sequence[ChannelImage]
    files: list[Path]
    target: Geometry

    def __call__(self, model: Model, settings: PredictionSettings, events: Events) -> Answer:
        """Return a model's prediction in the scan's voxels."""
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

        return with_windows_that_fit(model, grid, settings, self.files[0], events, work)


def with_windows_that_fit(
    model: Model,
    grid: Geometry,
    settings: PredictionSettings,
    file: Path,
    events: Events,
    work: Callable[[Index], _Result],
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
        if settings.device.type == "cuda" and model.onnx is None:
            import torch

            torch.cuda.empty_cache()
        events.warning(
            f"memory is short ({' '.join(reason.split())[:120]}): going on with windows of {_by(smaller)} voxels "
            f"instead of {_by(window)}; the result may differ slightly"
        )
        window = smaller


def _out_of_memory(
    model: Model, grid: Geometry, window: Index, settings: PredictionSettings, file: Path, reason: str
) -> OutOfMemoryError:
    hint = "crop the image, close other programs, use a smaller --overlap"
    hint += ", leave --uncertainty out" if settings.uncertainty else ""
    hint += ", leave --postprocess out" if settings.postprocess else ""
    hint += ", use --device cpu" if settings.device.type != "cpu" else ""
    return OutOfMemoryError(
        f"predicting {len(model.tree.leaves)} classes on {_by(grid.shape)} voxels ran out of memory on "
        f"{settings.device}, even with windows of {_by(window)} voxels ({reason})",
        file=file,
        hint=f"{hint} or a machine with more memory",
    )


def _by(numbers: Sequence[int]) -> str:
    return " x ".join(map(str, numbers))
