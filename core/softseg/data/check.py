"""Read every file of a dataset before a long training, and report errors at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from softseg.data.case import Case
from softseg.data.cubes import Cube, read_channel, read_label_map
from softseg.data.dataset import Dataset
from softseg.data.labelled import FEW, is_scribbled
from softseg.data.labels import class_count, read_labels, read_mask
from softseg.data.preprocess import check_image, describe_grid, same_voxels
from softseg.errors import InputError
from softseg.events import Events
from softseg.image import Geometry, Image, say_notes

ODD_SPACING = 1.5
"""A voxel side that is more than this many times larger or smaller than the median is worth a warning."""


@dataclass(frozen=True, eq=False)
class CaseSummary:
    """What was found in one case: its grid and the volume (voxels, soft) of each class index."""

    case: Case
    geometry: Geometry
    volumes: npt.NDArray[np.float64]


def check_dataset(dataset: Dataset, events: Events | None = None) -> list[CaseSummary]:
    """Read all images, labels and masks.

    Warnings: soft values clipped or in conflict, structures that no training case shows, splits without a case, odd
    spacings, labels that do not overlap the mask; of scribbles cases without any and classes with very few voxels.

    Raises
    ------
    InputError: at the first file that is damaged or does not belong: truncated, NaN, constant, on another grid than
        its case's first channel, with a label value that the tree lacks, soft labels outside 0..1 or that sum to more
        than 1. File and field are named. Or no training case has a labelled voxel.
    CancelledError: the user asked to stop.
    """
    events = Events() if events is None else events
    events.stage("check", total=len(dataset.cases))
    summaries = []
    bands: dict[str, int] = {}
    for done, case in enumerate(dataset.cases):
        summaries.append(_check_case(case, dataset, bands, events))
        events.progress(done + 1, len(dataset.cases))
    _warn_of_splits(dataset, events)
    _warn_of_missing_classes(dataset, summaries, events)
    _warn_of_few_labels(dataset, summaries, events)
    _warn_of_spacings(summaries, events)
    counts = ", ".join(f"{len(dataset.split(name))} {name}" for name in ("train", "val", "test"))
    events.log(f"{len(summaries)} cases ({counts}) of {len({case.group for case in dataset.cases})} groups are sound")
    return summaries


def _check_case(case: Case, dataset: Dataset, bands: dict[str, int], events: Events) -> CaseSummary:
    first: Geometry | None = None
    if not case.images and isinstance(case.labels, Path):  # labels alone, for images that are made up
        first = read_label_map(case.labels).geometry
    for channel in dataset.channels if case.images else ():
        file = case.images[channel]
        image = read_channel(file)
        say_notes(image.notes, file, lambda text: events.warning(f"case {case.id}: {text}"))
        check_image(image, channel, file)
        count = image.bands if isinstance(image, Cube) else 1
        if bands.setdefault(channel, count) != count:
            raise InputError(
                f"has {count} bands where the first case has {bands[channel]}",
                file=file,
                field=f"{case.id}: channel {channel}",
            )
        first = image.geometry if first is None else first
        if not same_voxels(image.geometry, first):
            raise InputError(
                f"lies on another grid than channel {dataset.channels[0]}: {describe_grid(image.geometry)} against "
                f"{describe_grid(first)}",
                file=file,
                field=f"{case.id}: channel {channel}",
                hint="resample it onto the first channel",
            )
        events.check()
    if first is None:
        raise InputError("has no channels", file=dataset.path, field="channels")

    def take(image: Image) -> npt.NDArray[np.generic]:
        return image.array

    def warn(text: str) -> None:
        events.warning(f"case {case.id}: {text}")

    raters = read_labels(case, dataset, first, take, warn)
    volumes = np.mean([labels.volumes() for labels in raters], axis=0)
    if case.mask is not None and not read_mask(case.mask, first, take).any():
        warn(f"{case.mask}: the mask is empty, so no label of this case counts")
    return CaseSummary(case, first, volumes)


def _warn_of_splits(dataset: Dataset, events: Events) -> None:
    for name, loss in (("train", "there is nothing to learn from"), ("val", "the best network cannot be chosen")):
        if not any(case.split == name for case in dataset.cases):
            events.warning(f"{dataset.path}: no case is in the split {name!r}: {loss}")


def _warn_of_missing_classes(dataset: Dataset, summaries: Sequence[CaseSummary], events: Events) -> None:
    tree = dataset.tree
    training = [summary.volumes for summary in summaries if summary.case.split == "train"]
    total = np.sum(training, axis=0) if training else np.zeros(class_count(tree))
    missing = [leaf.id for position, leaf in enumerate(tree.leaves) if total[position] <= 0]
    if training and missing:
        shown = ", ".join(missing[:10]) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
        events.warning(f"{dataset.path}: no training case shows {shown}; the network cannot learn them")


def _warn_of_few_labels(dataset: Dataset, summaries: Sequence[CaseSummary], events: Events) -> None:
    """Warn of cases without any label and, with scribbles, of classes with very few voxels."""
    for summary in summaries:
        if not summary.volumes.any():
            events.warning(f"case {summary.case.id}: no voxel is labelled")
    training = [summary for summary in summaries if summary.case.split == "train"]
    total = np.sum([summary.volumes for summary in training], axis=0) if training else np.ones(1)
    if not total.any():
        raise InputError(
            "no training case has a labelled voxel",
            file=dataset.path,
            field="cases",
            hint="draw scribbles with the tree's label values",
        )
    if any(is_scribbled(summary.case, dataset) for summary in training):
        few = [
            f"{node.id} ({total[index]:g})"
            for index, node in enumerate(dataset.tree.class_nodes)
            if 0 < total[index] < FEW
        ]
        if few:
            events.warning(f"{dataset.path}: fewer than {FEW} labelled voxels in all training cases: {', '.join(few)}")


def _warn_of_spacings(summaries: Sequence[CaseSummary], events: Events) -> None:
    spacings = np.array([sorted(summary.geometry.spacing) for summary in summaries])
    median = np.median(spacings, axis=0)
    for summary, spacing in zip(summaries, spacings, strict=True):
        ratio = np.maximum(spacing / median, median / spacing).max()
        if ratio > ODD_SPACING:
            shown = " x ".join(f"{value:.3g}" for value in summary.geometry.spacing)
            usual = " x ".join(f"{value:.3g}" for value in median)
            events.warning(f"case {summary.case.id}: voxels of {shown} mm where the median is {usual} mm")
