"""One case: from its files to probabilities of the tree's leaves on the scan's own grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from softseg.data import preprocess_images
from softseg.data.cubes import read_channel
from softseg.data.cubes.cube import ChannelImage, filled
from softseg.events import Events
from softseg.image import Image, say_notes
from softseg.prediction.answering import OneByOne, with_windows_that_fit
from softseg.prediction.checks import warn_about
from softseg.prediction.ensemble import device_of, see_one_grid
from softseg.prediction.joint import predict_jointly
from softseg.prediction.masking import MaskSource
from softseg.prediction.settings import PredictionSettings
from softseg.prediction.spread import DecisionMaps
from softseg.prediction.streaming import StreamedResult, stream
from softseg.requests.predict import PredictRequest
from softseg.soft.blocks import Index
from softseg.soft.parcellation import NodeVolume, SoftParcellation

if TYPE_CHECKING:
    import torch

    from softseg.network import Model

_Result = TypeVar("_Result")


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction of one case, on the grid of its first image.

    Attributes
    ----------
    parcellation: probabilities of the leaves.
    node_maps: for each node asked for, its probability in every voxel, float32 0..1, summed before anything is stored.
    entropy: entropy of the mean distribution in nats, with uncertainty only.
    mutual_information: how much the predictions disagree, in nats, with uncertainty only.
    decisions: how much they disagree about single decisions of the tree, where that was asked for.
    intervals: for each node, the ends of the interval of its volume as parts of it, with uncertainty only.
    mask: the probability, 0..1, by which the probabilities of all leaves but the background were multiplied, if there
        was one.
    """

    parcellation: SoftParcellation
    node_maps: dict[str, Image] = field(default_factory=dict)
    entropy: Image | None = None
    mutual_information: Image | None = None
    decisions: DecisionMaps | None = None
    intervals: dict[str, tuple[float, float]] | None = None
    mask: Image | None = None

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
    asked: any of nodes, uncertainty, branches, calibrated, outliers, mask, postprocess, overlap, precision and blend of
        :class:`~softseg.requests.PredictRequest`.

    Raises
    ------
    InputError: a file, channel or grid is wrong, a node is unknown, the network has no dropout, or no outlier score was
        fitted to the model, or the models do not go together.
    OutOfMemoryError: it does not fit into memory, not even with the smallest windows.
    CancelledError: cancelled.
    """
    request = PredictRequest("", (), Path(), **asked)
    settings = PredictionSettings.of([model, *others], request, device_of(model, device))
    settings = replace(settings, mask=MaskSource.of([model, *others], request))
    return predict_with(model, images, settings, Events() if events is None else events)


def read_scans(images: Sequence[Path], events: Events) -> list[ChannelImage]:
    """Read the channels of a case; warn of remarks on their position."""
    scans = [read_channel(path) for path in images]
    for scan, path in zip(scans, images, strict=True):
        say_notes(scan.notes, path, events.warning)
    return scans


def predict_with(
    model: Model,
    images: Sequence[Path],
    settings: PredictionSettings,
    events: Events,
    read: Callable[[Sequence[Path], Events], list[ChannelImage]] = read_scans,
) -> Prediction:
    """Predict one case with the settings; see :func:`predict_case`.

    Where memory runs out, windows are halved, with a warning, and the case begins again.

    Parameters
    ----------
    read: gives the channels that ``images`` name.
    """
    models = [model, *settings.others]
    events.stage("read")
    scans = read(images, events)
    target = scans[0].geometry
    source = settings.mask
    mask = None if source is None else source.mask(scans, list(images), models, settings.device, events)
    if mask is not None:
        scans = [mask.applied(scan) for scan in scans]
    probability = None if mask is None else mask.probability
    for scan, path in zip(scans, images, strict=True):
        warn_about(Image(filled(scan), scan.geometry), path, [each.plan for each in models], events)
    if see_one_grid(models):
        preprocessed, grid = preprocess_images(scans, model.plan, list(images))
        del scans

        def work(window: Index) -> StreamedResult:
            return stream(model, preprocessed, grid, target, settings, window, events, probability)

        found = with_windows_that_fit(model, grid, settings, images[0], events, work)
    else:
        found = predict_jointly(models, target, settings, events, OneByOne(scans, list(images), target), probability)
    return Prediction(
        found.parcellation,
        found.node_maps,
        found.entropy,
        found.mutual_information,
        found.decisions,
        found.intervals,
        None if probability is None else Image(probability, target),
    )
