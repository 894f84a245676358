"""Making a score for a model: class means and covariance from one pass over labelled voxels, where it needs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from softseg.data import CaseStore, PreparedCase
from softseg.errors import InputError
from softseg.events import Events
from softseg.network import Model, memory_format
from softseg.network.fitted_outliers import FittedOutliers
from softseg.network.last_layer import last_layer
from softseg.network.outlier_scores import make_score, score_class
from softseg.outliers.reference import Reference
from softseg.outliers.statistics import ClassStatistics
from softseg.prediction.layout import Picture
from softseg.prediction.window_grid import every_channel
from softseg.system import autocast, resolve_precision


def estimate_score(
    model: Model,
    reference: Reference,
    cases: Sequence[str],
    name: str,
    cache: Path,
    device: torch.device,
    options: Mapping[str, Any],
    events: Events,
) -> FittedOutliers:
    """Return a score with its estimates, without a threshold yet (0, in a range of 0..1).

    Parameters
    ----------
    model: its network is moved to the device.
    reference: how the model sees the dataset.
    cases: ids of cases to estimate from; not read for scores that need no estimates.
    name: of the score.
    cache: folder of prepared cases.
    device: where the network runs.
    options: of the score.
    events: stage, progress by cases, warnings; cancelling.

    Raises
    ------
    InputError: the head cannot have the score, an option is wrong, or labels are missing.
    """
    if score_class(name, model.head).needs != "features":
        score = make_score(name, options, {}, model.head)
        return FittedOutliers(name, 0.0, 0.0, 1.0, options=score.options())
    nodes = _classes(model, options)
    if not cases:
        raise InputError(f"{name} needs cases to estimate from", field="cases")
    store = CaseStore(reference.dataset, model.plan, cache)
    network = model.network.to(device).eval()
    statistics, positions = ClassStatistics(len(nodes)), torch.from_numpy(reference.classes(nodes))
    layer = ""
    store.prepare(events, list(cases))
    events.stage("estimate", len(cases))
    for number, case in enumerate(cases):
        prepared = store.load(case)
        fresh = torch.ones(prepared.labels.shape, dtype=torch.bool)
        for window, batch in _windows(model, prepared, device):
            layer = layer or last_layer(network, batch, model.head.out_channels)
            labelled = _labels_of(prepared, window, positions, fresh)
            if labelled is not None:
                voxels, classes, probabilities = labelled
                features = _features(model, layer, batch, device)
                statistics.add(features.reshape(-1, features.shape[-1])[voxels], classes, probabilities)
            events.check()
        events.progress(number + 1, len(cases))
    found = statistics.estimated(nodes)
    if found.missing:
        events.warning(
            f"no labelled voxel of {', '.join(nodes[n] for n in found.missing)}: no class mean, their voxels will look "
            "strange"
        )
    if found.shrinkage:
        events.warning(
            f"the covariance of the {len(found.whitening)} features is (nearly) singular: {found.shrinkage:g} of it "
            "was replaced by their mean variance"
        )
    estimated = {
        "cases": list(cases),
        "voxels": round(found.voxels, 3),
        "features": len(found.whitening),
        "classes": len(found.means),
        "missing": [nodes[n] for n in found.missing],
        "shrinkage": found.shrinkage,
    }
    tensors = {"means": found.means, "whitening": found.whitening}
    make_score(name, options, tensors, model.head)
    return FittedOutliers(name, 0.0, 0.0, 1.0, dict(options), tensors, layer, estimated=estimated)


def _classes(model: Model, options: Mapping[str, Any]) -> list[str]:
    """Return the ids of the nodes that have a class mean: the leaves, or the nodes of a level."""
    level = options.get("level")
    if level is None:
        return [leaf.id for leaf in model.tree.leaves]
    if isinstance(level, bool) or not isinstance(level, int) or not 1 <= level <= model.tree.depth:
        raise InputError(f"expected a level from 1 to {model.tree.depth}, got {level!r}", field="level")
    return [node.id for node in model.tree.cut_at(level).nodes]


def _windows(model: Model, case: PreparedCase, device: torch.device) -> Iterator[tuple[tuple[slice, ...], Tensor]]:
    """Go through windows side by side: where each lies in the case ``(k, j, i)``, and its batch of one image.

    The border repeated around images smaller than a window lies outside the case: such places are negative.
    """
    plan = model.plan
    volume = np.array(case.image, np.float32)
    picture = Picture.of(volume, plan.patch_kji, 0.0, model.head.background is not None)
    for window in picture.windows:
        place = tuple(
            slice(start, start + size) for start, size in zip(picture.start(window), picture.grid.patch, strict=True)
        )
        batch = torch.from_numpy(picture.volume[every_channel(window)])[None]
        batch = batch.squeeze(2) if plan.dimensions == 2 else batch
        yield place, batch.to(device, memory_format=memory_format(plan.dimensions))


def _features(model: Model, layer: str, batch: Tensor, device: torch.device) -> Tensor:
    """Return what enters the layer for a batch of one window: float32 ``(k, j, i, D)``, on the CPU."""
    caught: list[Tensor] = []
    handle = model.network.get_submodule(layer).register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    try:
        with torch.inference_mode(), autocast(resolve_precision(model.plan.precision, device), device):
            model.network(batch)
    finally:
        handle.remove()
    maps = caught[-1][0].float().cpu().movedim(0, -1)
    return maps[None] if model.plan.dimensions == 2 else maps


def _labels_of(
    case: PreparedCase, window: tuple[slice, ...], positions: Tensor, fresh: Tensor
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Return the labelled voxels of a window: flat positions in it, classes ``[N, S]`` and probabilities ``[N, S]``.

    Only probabilities of classes that have a mean count; a voxel with less than half of them is left out (our default),
    and
    so is one that is not ``fresh`` any more: the last window of a row lies over part of the one before.
    """
    shape = case.labels.shape
    inside = tuple(slice(max(0, part.start), min(size, part.stop)) for part, size in zip(window, shape, strict=True))
    first = [part.start - whole.start for part, whole in zip(inside, window, strict=True)]
    indices = torch.from_numpy(np.array(case.labels.indices[every_channel(inside)], np.int64))
    probabilities = torch.from_numpy(np.array(case.labels.probabilities[every_channel(inside)], np.float32))
    if case.mask is not None:
        probabilities = probabilities * torch.from_numpy(np.array(case.mask[inside]))
    classes = positions[indices]
    probabilities = torch.where(classes >= 0, probabilities, 0)
    voxels = torch.nonzero((probabilities.sum(0) >= min(0.5, case.least)) & fresh[inside])
    fresh[inside] = False
    if not len(voxels):
        return None
    k, j, i = voxels.T
    size = [part.stop - part.start for part in window]
    flat = ((k + first[0]) * size[1] + j + first[1]) * size[2] + i + first[2]
    return flat, classes[:, k, j, i].T.clamp_min(0), probabilities[:, k, j, i].T
