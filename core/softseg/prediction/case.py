"""One case: from its files to soft shares of the tree's leaves on the scan's own grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from softseg.data import preprocess_images
from softseg.errors import OutOfMemoryError
from softseg.events import Events
from softseg.image import Geometry, Image, read_image
from softseg.prediction.checks import require_memory, warn_about
from softseg.prediction.postprocessing import CleaningStep, clean
from softseg.prediction.uncertainty import Spread, Uncertainty, augmented_predictions, dropout_on
from softseg.prediction.windows import sliding_probabilities
from softseg.soft.encoding import NODE_ERROR
from softseg.soft.parcellation import NodeVolume, SoftParcellation
from softseg.soft.resample import resample_image
from softseg.soft.slabs import Slab, resample_dense_slabs
from softseg.types import FloatArray

WINDOWS_ON_GPU = 4
"""Windows in one pass on a GPU (our default); on a CPU one at a time is as fast and takes less memory."""

if TYPE_CHECKING:
    from softseg.network import Model
    from softseg.tree import LabelTree


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction of one case, on the grid of its first image.

    Attributes
    ----------
    parcellation: soft shares of the leaves.
    node_maps: for each node asked for, its share in every voxel, float32 0..1, summed before anything is stored.
    entropy: entropy of the mean distribution in nats, with uncertainty only.
    mutual_information: how much the predictions disagree, in nats, with uncertainty only.
    """

    parcellation: SoftParcellation
    node_maps: dict[str, Image] = field(default_factory=dict)
    entropy: Image | None = None
    mutual_information: Image | None = None

    @cached_property
    def volumes(self) -> list[NodeVolume]:
        """Soft and hard volume of every node of the tree."""
        return self.parcellation.volumes()


def predict_case(
    model: Model,
    images: Sequence[Path],
    *,
    device: torch.device | str = "cpu",
    events: Events | None = None,
    uncertainty: Uncertainty | str | None = None,
    nodes: Sequence[str] = (),
    postprocess: Sequence[CleaningStep] = (),
    overlap: float = 0.5,
    precision: str | None = None,
) -> Prediction:
    """Predict one case.

    Parameters
    ----------
    model: the loaded model folder.
    images: one file per channel, in the model's order.
    device: where the network runs; it is moved there.
    events: stages, progress, warnings; cancelling between windows and slabs.
    uncertainty: ``"tta:N"`` or ``"dropout:N"``; the mean of N predictions and two maps of how sure they are.
    nodes: ids of nodes whose soft maps are wanted.
    postprocess: cleaning of the mean distribution on the model's grid, in this order; none by default.
    overlap: of the windows, 0 <= overlap < 1.
    precision: of the network's arithmetic; the plan's by default.

    Raises
    ------
    InputError: a file, channel or grid is wrong, a node is unknown, or the network has no dropout.
    OutOfMemoryError: it does not fit into memory.
    CancelledError: cancelled.
    """
    events = Events() if events is None else events
    how = Uncertainty.parse(uncertainty) if isinstance(uncertainty, str) else uncertainty
    wanted = [model.tree.find(node).id for node in nodes]
    events.stage("read")
    scans = [read_image(path) for path in images]
    preprocessed, grid = preprocess_images(scans, model.plan, list(images))
    target = scans[0].geometry
    for scan, path in zip(scans, images, strict=True):
        warn_about(scan, path, model.plan, events)
    del scans
    require_memory(
        len(model.tree.leaves), grid.shape, target.shape, model.plan, 1 if how is None else how.samples, events
    )
    settings = _Settings(torch.device(device), overlap, model.plan.precision if precision is None else precision)
    try:
        found = _predicted(model, preprocessed, settings, how, events)
        del preprocessed
        if postprocess:
            events.stage("clean")
            dense = found.mean if isinstance(found, Spread) else found
            clean(dense, postprocess, model.tree, grid.voxel_volume_ml)
        return _on_scan_grid(model, found, grid, target, wanted, events)
    except MemoryError as error:
        if isinstance(error, OutOfMemoryError):
            raise
        raise OutOfMemoryError(
            "storing the prediction ran out of memory", file=images[0], hint="crop the image or use a larger machine"
        ) from error


@dataclass(frozen=True)
class _Settings:
    device: torch.device
    overlap: float
    precision: str


def _predicted(
    model: Model, image: FloatArray, settings: _Settings, how: Uncertainty | None, events: Events
) -> FloatArray | Spread:
    """Return the shares of the leaves on the plan's grid, with their spread if asked for."""
    model.network.to(settings.device)

    def predict_once(picture: FloatArray) -> FloatArray:
        return sliding_probabilities(
            model.network,
            model.head,
            picture,
            model.plan,
            settings.device,
            events,
            settings.precision,
            overlap=settings.overlap,
            batch_size=1 if settings.device.type == "cpu" else WINDOWS_ON_GPU,
        )

    if how is None:
        events.stage("predict")
        return predict_once(image)
    if how.kind == "dropout":
        with dropout_on(model.network):
            return Spread.of(_staged((predict_once(image) for _ in range(how.samples)), how.samples, events))
    samples = augmented_predictions(
        predict_once,
        image,
        how.samples,
        left_right_axis=model.plan.left_right_axis,
        permutation=model.tree.mirror_permutation(),
        dimensions=model.plan.dimensions,
    )
    return Spread.of(_staged(samples, how.samples, events))


def _staged(samples: Iterator[FloatArray], count: int, events: Events) -> Iterator[FloatArray]:
    for number in range(count):
        events.stage(f"predict {number + 1} of {count}")
        yield next(samples)


def _on_scan_grid(
    model: Model, found: FloatArray | Spread, grid: Geometry, target: Geometry, wanted: Sequence[str], events: Events
) -> Prediction:
    """Bring the shares to the scan's grid, slab by slab."""
    events.stage("store")
    dense = found.mean if isinstance(found, Spread) else found
    maps = {node: np.zeros(target.shape, dtype=np.float32) for node in wanted}
    background = model.head.background
    slabs = resample_dense_slabs(dense, grid, target, background)
    slabs = _watched(slabs, model.tree, background, maps, target.shape[0], events)
    parcellation = SoftParcellation.from_slabs(slabs, model.tree, target, model=model.name)
    if parcellation.node_error > NODE_ERROR:
        events.warning(
            "in its least certain voxels the model hardly tells structures apart (is it trained to the end?); there "
            f"the stored probability of a node may be off by {parcellation.node_error:.3f} instead of {NODE_ERROR}"
        )
    node_maps = {node: Image(array, target) for node, array in maps.items()}
    if not isinstance(found, Spread):
        return Prediction(parcellation, node_maps)
    entropy, information = (
        resample_image(Image(array, grid), target) for array in (found.entropy, found.mutual_information)
    )
    return Prediction(parcellation, node_maps, entropy, information)


def _watched(
    slabs: Iterator[Slab],
    tree: LabelTree,
    background: int | None,
    maps: dict[str, FloatArray],
    rows: int,
    events: Events,
) -> Iterator[Slab]:
    """Pass the slabs on, sum the wanted nodes on the way, report progress."""
    for slab in slabs:
        for node, array in maps.items():
            leaves = tree.leaf_slice(node)
            array[slab.rows] = background is not None and leaves.start <= background < leaves.stop
            j, i = (slice(n, n + size) for n, size in zip(slab.start, slab.values.shape[2:], strict=True))
            inside = (slab.classes >= leaves.start) & (slab.classes < leaves.stop)
            array[slab.rows, j, i] = slab.values[inside].sum(axis=0)
        yield slab
        events.progress(slab.rows.stop, rows)
