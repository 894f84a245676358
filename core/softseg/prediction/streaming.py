"""From a preprocessed image to the stored parcellation on the scan's grid, without ever holding all leaves of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from softseg.events import Events
from softseg.image import Geometry, Image
from softseg.prediction.ensemble import joint_name
from softseg.prediction.estimate import announce, work_of
from softseg.prediction.joint_scores import score_maps, stored_scores
from softseg.prediction.layout import Picture, WindowLayout
from softseg.prediction.postprocessing import clean
from softseg.prediction.probabilities import (
    BlockProbabilities,
    Member,
    cut_into_blocks,
    dense,
    masked,
    probabilities_of_blocks,
)
from softseg.prediction.settings import PredictionSettings
from softseg.prediction.spread import DecisionMaps, SpreadMaps
from softseg.prediction.step_map import StepMap
from softseg.prediction.sweep import WindowPredictor
from softseg.prediction.uncertainty import Augmentation
from softseg.soft.blocks import BlockResampler, Index, SparseVoxels
from softseg.soft.compress import Compressor
from softseg.soft.encoding import NODE_ERROR
from softseg.soft.outliers import StoredOutliers
from softseg.soft.parcellation import SoftParcellation
from softseg.soft.resample import resample_image
from softseg.system import needs_torch
from softseg.types import FloatArray

if TYPE_CHECKING:
    from softseg.network import Model
    from softseg.prediction.scoring import WindowScorer

WINDOWS_ON_GPU = 4
"""Windows in one pass on a GPU (our default); on a CPU one at a time is as fast and takes less memory."""

STORED_LEAVES = 8
"""Leaves that a voxel stores unless they leave out too much (our default)."""


@dataclass(frozen=True, eq=False)
class StreamedResult:
    """What was found, on the scan's grid; see :class:`softseg.prediction.case.Prediction`."""

    parcellation: SoftParcellation
    node_maps: dict[str, Image] = field(default_factory=dict)
    entropy: Image | None = None
    mutual_information: Image | None = None
    decisions: DecisionMaps | None = None
    intervals: dict[str, tuple[float, float]] | None = None


def stream(
    model: Model,
    image: FloatArray,
    grid: Geometry,
    target: Geometry,
    settings: PredictionSettings,
    window: Index,
    events: Events,
    mask: FloatArray | None = None,
) -> StreamedResult:
    """Predict an image with windows of one size.

    Parameters
    ----------
    model: its network is moved to the device.
    image: preprocessed, ``[channels, k, j, i]`` on ``grid``.
    grid: the model's grid of this case.
    target: the scan's grid.
    settings: how.
    window: ``(k, j, i)``.
    events: stages, progress, estimates, warnings; cancelling.
    mask: probabilities on the scan's grid by which all probabilities but the background's are multiplied.

    Raises
    ------
    OutOfMemoryError: less memory is free than will be needed.
    MemoryError, RuntimeError: memory ran out on the way.
    """
    maps = SpreadMaps(grid.shape, model.tree, settings.branches) if settings.answers > 1 else None
    steps = score_maps(settings.outliers, grid, target)
    collected = Collected(model, target, settings, steps, mask=mask)
    for piece in pieces_of(model, image, grid, target, settings, window, events, maps, steps):
        collected.add(piece)
    return collected.found(maps, grid, events)


def pieces_of(
    model: Model,
    image: FloatArray,
    grid: Geometry,
    target: Geometry,
    settings: PredictionSettings,
    window: Index,
    events: Events,
    maps: SpreadMaps | None = None,
    steps: Sequence[StepMap] = (),
    kept: int = 0,
) -> Iterator[SparseVoxels]:
    """Predict an image and yield what was found on the scan's grid, piece by piece.

    Parameters
    ----------
    model, image, grid, target, settings, window, events: see :func:`stream`.
    maps: filled on the way, where several answers are averaged.
    steps: take the outlier scores of the models, where these have any.
    kept: bytes that the caller will keep of the pieces, beside what is stored in the end.

    Raises
    ------
    OutOfMemoryError: less memory is free than will be needed.
    MemoryError, RuntimeError: memory ran out on the way.
    """
    head, how = model.head, settings.uncertainty
    models = [model, *settings.others]
    resampler = BlockResampler(grid, target, head.classes, head.background)
    layout = WindowLayout.over(_pictures(model, image, settings, window), resampler.rim)
    if layout is None:
        return
    scored: Sequence[StepMap | None] = steps or [None] * len(models)
    members = [_member(each, settings, _scorer(each, one, layout)) for each, one in zip(models, scored, strict=True)]
    joint = settings.calibration_of(models)
    apply = None if joint is None else partial(joint.apply, tree=model.tree)
    work = work_of(
        members[0].runner,
        layout,
        resampler.rim,
        grid,
        target,
        len(settings.nodes),
        bool(settings.postprocess),
        members=len(members),
        kept=kept + (0 if maps is None else maps.nbytes),
    )
    timed = announce(work, settings.device, events)
    permutation = model.tree.mirror_permutation()
    events.stage("predict", len(layout.tasks) * len(members))
    with _dropping(models if how and how.kind == "dropout" else ()):
        blocks = probabilities_of_blocks(members, layout, permutation, events, maps, timed, apply)
        if settings.postprocess:
            blocks = _cleaned(model, blocks, layout, grid, settings, events)
        yield from resampler.resampled(blocks, layout.partition)


def _member(model: Model, settings: PredictionSettings, scorer: WindowScorer | None) -> Member:
    """Return how a model answers."""
    runner = WindowPredictor(
        backend=settings.backend_of(model),
        head=model.head,
        batch_size=1 if settings.device.type == "cpu" else WINDOWS_ON_GPU,
        blend=settings.request.blend,
        scorer=scorer,
    )
    if model.calibration is None or not settings.request.calibrated:
        return Member(runner)
    return Member(runner, partial(model.calibration.apply, tree=model.tree))


def _pictures(model: Model, image: FloatArray, settings: PredictionSettings, window: Index) -> list[Picture]:
    """Return the versions of the image that are predicted; dropout predicts one version several times."""
    how, plan = settings.uncertainty, model.plan
    skip = model.head.background is not None
    if how is not None and how.kind == "dropout":
        return [Picture.of(image, window, settings.request.overlap, skip)] * how.samples
    if how is not None:
        changes = Augmentation.several(how.samples, plan.dimensions)
    else:
        changes = (Augmentation(), Augmentation(mirror=True)) if settings.request.mirror else (Augmentation(),)
    return [
        Picture.of(image, window, settings.request.overlap, skip, change, plan.left_right_axis) for change in changes
    ]


def _scorer(model: Model, steps: StepMap | None, layout: WindowLayout) -> WindowScorer | None:
    if steps is None:
        return None
    from softseg.prediction.scoring import WindowScorer

    return WindowScorer.of(model, [steps.fitted], steps.begin(layout.partition))


@contextlib.contextmanager
def _dropping(models: Sequence[Model]) -> Iterator[None]:
    """Leave the dropout layers of networks on while the block runs."""
    with contextlib.ExitStack() as stack:
        for model in models:
            if model.onnx is not None:
                raise needs_torch("dropout needs PyTorch", "uncertainty", "or tta:N")
            from softseg.backends.torch_backend import dropout_on

            stack.enter_context(dropout_on(model.network))
        yield


def _cleaned(
    model: Model,
    blocks: Iterator[BlockProbabilities],
    layout: WindowLayout,
    grid: Geometry,
    settings: PredictionSettings,
    events: Events,
) -> Iterator[BlockProbabilities]:
    """Clean the distribution. Connected parts reach through the whole volume, so it must be there as a whole."""
    whole = dense(blocks, layout.partition, model.head.classes, grid.shape, model.head.background)
    events.stage("clean")
    clean(whole, settings.postprocess, model.tree, grid.voxel_volume_ml)
    return cut_into_blocks(whole, layout.partition)


class Collected:
    """What is kept of the pieces on the scan's grid: the stored leaves, and the maps of the wanted nodes.

    Parameters
    ----------
    model, target, settings: see :func:`stream`.
    steps: the outlier scores of the models, if any are wanted.
    error: by how much a node's probability in the pieces may be off already.
    mask: see :func:`stream`.
    """

    def __init__(
        self,
        model: Model,
        target: Geometry,
        settings: PredictionSettings,
        steps: Sequence[StepMap],
        error: float = 0.0,
        mask: FloatArray | None = None,
    ) -> None:
        self._model, self._target, self._settings, self._steps, self._error = model, target, settings, steps, error
        self._mask = mask
        background = model.head.background
        self._compressor = Compressor(model.head.classes, background, target.shape, STORED_LEAVES)
        self._spans = {node: model.tree.leaf_slice(node) for node in settings.nodes}
        self._maps = {
            node: np.full(target.shape, background is not None and span.start <= background < span.stop, np.float32)
            for node, span in self._spans.items()
        }

    def add(self, piece: SparseVoxels) -> None:
        """Take a piece in; each voxel comes once."""
        background = self._model.head.background
        if self._mask is not None and background is not None:
            piece = masked(piece, self._mask, background)
        voxels, classes, values = piece
        for node, span in self._spans.items():
            inside = slice(*np.searchsorted(classes, (span.start, span.stop)))
            self._maps[node].reshape(-1)[voxels] = values[inside].sum(axis=0)
        self._compressor.add(voxels, classes, values)

    def found(self, maps: SpreadMaps | None, grid: Geometry, events: Events) -> StreamedResult:
        """Put everything together, once.

        Parameters
        ----------
        maps: of the answers' differences, where there are several; on ``grid``.
        grid: see above.
        events: the stage; warnings.
        """
        events.stage("store", 2)
        stored = self._compressor.stored()
        events.progress(1, 2)
        parcellation = SoftParcellation(
            self._model.tree,
            self._target,
            *stored[:4],
            model=joint_name([self._model, *self._settings.others]),
            k=STORED_LEAVES,
            node_error=stored.node_error + self._error,
            outliers=self._scores(maps, grid),
        )
        if round(parcellation.node_error, 3) > NODE_ERROR:
            events.warning(
                "in its least certain voxels the model hardly separates structures (was training finished?); there"
                f" the stored probability of a node may be off by {parcellation.node_error:.3f} instead of {NODE_ERROR}"
            )
        node_maps = {node: Image(array, self._target) for node, array in self._maps.items()}
        if maps is None:
            events.progress(2, 2)
            return StreamedResult(parcellation, node_maps)
        entropy, information = (
            resample_image(Image(array, grid), self._target) for array in (maps.entropy, maps.mutual_information)
        )
        decisions = maps.decisions(grid, self._target) if self._settings.branches else None
        events.progress(2, 2)
        return StreamedResult(parcellation, node_maps, entropy, information, decisions, maps.intervals())

    def _scores(self, maps: SpreadMaps | None, grid: Geometry) -> StoredOutliers | None:
        def disagreement() -> FloatArray:
            if maps is None:
                raise ValueError("one answer does not disagree")
            return resample_image(Image(maps.mutual_information, grid), self._target).array

        how = self._settings
        return stored_scores(how.outliers, self._steps, disagreement)
