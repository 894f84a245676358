"""``softseg calibrate``: temperatures for a model or an ensemble, found on a dataset's validation cases."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from softseg.calibration.fitting import fit
from softseg.calibration.mean_sampling import sample_mean
from softseg.calibration.report import LevelReliability, as_json, draw, reliability
from softseg.calibration.sampling import Sample, sample_case
from softseg.data import CaseStore, Dataset
from softseg.data.case import Split
from softseg.errors import InputError
from softseg.events import Events
from softseg.files import require_writable_folder, scratch_beside, write_beside
from softseg.network import Joint, Model
from softseg.prediction.ensemble import load_models
from softseg.prediction.guarantee import folder_of
from softseg.soft.calibration import COLDEST, FILE, HOTTEST, Calibration
from softseg.system import resolve_device
from softseg.tree import LabelTree

VOXELS = 200_000
"""Labelled voxels that are looked at, all cases together (our default)."""

FEWEST = 1000
"""With fewer labelled voxels a warning is given (our default)."""


@dataclass(frozen=True, eq=False)
class Calibrated:
    """What was found.

    Attributes
    ----------
    calibration: the temperatures.
    before, after: reliability of every level on the voxels that the temperatures were found on.
    test_before, test_after: the same on cases that took no part; empty where none were asked for.
    """

    calibration: Calibration
    before: list[LevelReliability]
    after: list[LevelReliability]
    test_before: list[LevelReliability]
    test_after: list[LevelReliability]


def calibrate(
    model: str | PathLike[str] | Model,
    dataset: Dataset,
    *,
    split: Split = "val",
    test_split: Split | None = None,
    out: str | PathLike[str] | None = None,
    voxels: int = VOXELS,
    device: str | torch.device = "auto",
    seed: int = 0,
    events: Events | None = None,
) -> Calibrated:
    """Find a temperature for each level of the model's tree and store them in the model folder.

    Each case is predicted once; of its labelled voxels some are picked at random, in equal numbers for all cases. An
    older ``calibration.json`` of the model plays no part and is replaced. The temperatures of an ensemble are for the
    mean of its members, each with its own temperatures.

    Parameters
    ----------
    model: a model folder, also an ensemble, the name of a shipped model, or a loaded model.
    dataset: with labels that the model's tree knows.
    split: whose cases decide.
    test_split: cases that the result is evaluated on as well; they do not decide.
    out: where ``reliability.png`` and ``reliability.json`` go (and ``test_reliability.*``); nowhere by default.
    voxels: how many are looked at, over all cases.
    device: where the network runs.
    seed: of the choice of voxels.
    events: stages, progress, metrics, warnings; cancelling.

    Raises
    ------
    InputError: no case in the split, no labelled voxel, several models that are no ensemble, or model, dataset and
        folders do not fit or cannot be written.
    CancelledError: cancelled; the model folder stays as it was.
    """
    events = Events() if events is None else events
    models = load_models(model)
    folder, tree = folder_of(models), models[0].tree
    if voxels < 1:
        raise InputError(f"expected a positive number of voxels, got {voxels}", field="voxels")
    require_writable_folder(folder)
    if out is not None:
        require_writable_folder(out)
    dataset = dataset.with_tree(tree)
    chosen = resolve_device(device, events)
    for each in models:
        each.network.to(chosen)
    fitted = _sample(models, dataset, split, voxels, chosen, seed, events)
    if fitted.voxels < FEWEST:
        events.warning(f"only {fitted.voxels} labelled voxels: temperatures found on so few may not hold elsewhere")
    events.stage("fit")
    calibration = Calibration(
        fit(fitted, tree),
        {
            "dataset": dataset.name,
            "split": split,
            "cases": [case.id for case in dataset.split(split)],
            "voxels": fitted.voxels,
            "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        },
    )
    _warn_about_bounds(calibration, events)
    before, after = _judged(fitted, calibration, tree)
    test_before: list[LevelReliability] = []
    test_after: list[LevelReliability] = []
    if test_split is not None:
        judged = _sample(models, dataset, test_split, voxels, chosen, seed, events)
        test_before, test_after = _judged(judged, calibration, tree)
    calibration = replace(calibration, details={**calibration.details, "levels": _summary(before, after)})
    events.check()
    with write_beside(folder / FILE) as temporary:
        calibration.save(temporary)
    _report(events, split, calibration, before, after)
    if test_split is not None:
        _report(events, test_split, calibration, test_before, test_after)
    if out is not None:
        for name, pair in (("reliability", (before, after)), ("test_reliability", (test_before, test_after))):
            if pair[0]:
                events.result(name, _written(Path(out), name, *pair))
    events.result("calibration", folder / FILE)
    return Calibrated(calibration, before, after, test_before, test_after)


def _sample(
    models: Sequence[Model],
    dataset: Dataset,
    split: Split,
    voxels: int,
    device: torch.device,
    seed: int,
    events: Events,
) -> Sample:
    cases = dataset.split(split)
    if not cases:
        raise InputError(f"the dataset has no case in the split '{split}'", file=dataset.path, field="split")
    generator = np.random.default_rng(seed)
    each = math.ceil(voxels / len(cases))
    samples = []
    with scratch_beside(folder_of(models) / FILE) as scratch:
        store = CaseStore(dataset, models[0].plan, scratch)
        events.stage(f"predict {split}", len(cases))
        for done, case in enumerate(cases, 1):
            if Joint.of(models) is None:
                prepared = store.load(case.id)
                found = sample_case(models[0], prepared, each, generator, device=device, events=events)
            else:
                found = sample_mean(models, case, dataset, each, generator, device=device, events=events)
            samples.append(found)
            events.progress(done, len(cases))
    sample = Sample.joined(samples)
    if not sample.voxels:
        raise InputError(f"no voxel of the split '{split}' is labelled", file=dataset.path, field="labels")
    return sample


def _judged(
    sample: Sample, calibration: Calibration, tree: LabelTree
) -> tuple[list[LevelReliability], list[LevelReliability]]:
    changed = replace(sample, probabilities=np.ascontiguousarray(calibration.apply(sample.probabilities.T, tree).T))
    return reliability(sample, tree), reliability(changed, tree)


def _warn_about_bounds(calibration: Calibration, events: Events) -> None:
    for depth, value in enumerate(calibration.temperatures):
        if value < 1.01 * COLDEST or value > 0.99 * HOTTEST:
            events.warning(
                f"the temperature of level {depth + 1} ended at the edge of what is allowed ({value:.2f}): "
                "too few voxels, or none that the model gets wrong"
            )


def _summary(before: Sequence[LevelReliability], after: Sequence[LevelReliability]) -> list[dict[str, Any]]:
    return [
        {"level": old["level"], **{f"{name}_{when}": row[name] for when, row in pair for name in _FIGURES}}
        for old, new in zip(as_json(before), as_json(after), strict=True)
        for pair in [(("before", old), ("after", new))]
    ]


_FIGURES = ("calibration_error", "log_loss")


def _report(
    events: Events,
    split: str,
    calibration: Calibration,
    before: Sequence[LevelReliability],
    after: Sequence[LevelReliability],
) -> None:
    for temperature, old, new in zip(calibration.temperatures, before, after, strict=True):
        events.log(
            f"{split}, level {old.level}: temperature {temperature:.3f}, expected calibration error "
            f"{old.error:.4f} before, {new.error:.4f} after"
        )


def _written(out: Path, name: str, before: list[LevelReliability], after: list[LevelReliability]) -> Path:
    with write_beside(out / f"{name}.json") as temporary:
        content = {"before": as_json(before), "after": as_json(after)}
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return draw(before, after, out / f"{name}.png")
