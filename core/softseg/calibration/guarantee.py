"""``softseg guarantee``: how many answers of a model are wrong on people that it was not trained on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timezone
from os import PathLike
from pathlib import Path

import numpy as np
import torch

import softseg
from softseg.data import Dataset
from softseg.data.case import Case, Split
from softseg.errors import InputError
from softseg.evaluation.answers import STEPS
from softseg.evaluation.measure import measure
from softseg.evaluation.pairs import pair_up
from softseg.evaluation.rows import TreeRows
from softseg.evaluation.sources import read_prediction, read_reference, require_same_grid
from softseg.events import Events
from softseg.files import require_writable_folder, scratch_beside, write_beside
from softseg.network import Model
from softseg.prediction.batch import predict
from softseg.prediction.ensemble import load_models
from softseg.prediction.guarantee import answering_digest, folder_of
from softseg.prediction.outputs import SOFT_FILE
from softseg.soft.guarantee import CONFIDENCE, FILE, Curve, Guarantee, Person, people_needed
from softseg.tree import LabelTree


def find_guarantee(
    model: str | PathLike[str],
    dataset: Dataset,
    *,
    split: Split = "val",
    predictions: Sequence[str | PathLike[str]] = (),
    device: str | torch.device = "auto",
    events: Events | None = None,
) -> Guarantee:
    """Find how many answers of a model, or of an ensemble, are wrong on each person of a split; store it in its folder.

    At each level of probability from 0.5 to 1 every voxel is answered with the deepest node that passes
    (:meth:`~softseg.soft.parcellation.SoftParcellation.confident_labels`). An answer is wrong where the reference holds
    something else; a soft reference counts with its probability; what is answered with the root, or not at all, is not
    wrong. The fraction is of the voxels that are not background in both prediction and reference. Several scans of a
    person count as one person, with their mean.

    Parameters
    ----------
    model: a model folder, also an ensemble.
    dataset: with labels that the model's tree knows. The people of the split must not have trained the model.
    split: whose people are asked.
    predictions: soft parcellations of the cases, made by models that other people trained (leave-one-out, or
        cross-validation); by default the model predicts the cases.
    device: where the networks run.
    events: stages, progress, warnings; cancelling.

    Returns
    -------
    What was stored, as ``guarantee.json``.

    Raises
    ------
    InputError: no case in the split, a case without a prediction, labels or grids that do not fit, or the model folder
        cannot be written.
    CancelledError: cancelled; the model folder stays as it was.
    """
    events = Events() if events is None else events
    models = load_models(model)
    folder = require_writable_folder(folder_of(models))
    dataset = dataset.with_tree(models[0].tree)
    cases = dataset.split(split)
    if not cases:
        raise InputError(f"the dataset has no case in the split '{split}'", file=dataset.path, field="split")
    if predictions:
        curves = _of_predictions(cases, predictions, dataset, events)
    else:
        curves = _of_model(models, cases, dataset.tree, device, events)
    people = defaultdict(list)
    for case in cases:
        people[case.group].append(curves[case.id])
    guarantee = Guarantee(
        np.linspace(0.5, 1, STEPS + 1),
        tuple(Person(id_, np.mean(found, axis=0)) for id_, found in people.items()),
        answering_digest(models),
        bool(predictions),
        {
            "dataset": dataset.name,
            "split": split,
            "cases": [case.id for case in cases],
            "software": f"softseg {softseg.__version__}",
            "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        },
    )
    if len(people) < people_needed(CONFIDENCE):
        events.warning(
            f"{len(people)} people: a bound for a new person can be stated with a confidence of "
            f"{len(people) / (len(people) + 1):.3g} at most; {CONFIDENCE:g} takes {people_needed(CONFIDENCE)}"
        )
    events.check()
    with write_beside(folder / FILE) as temporary:
        guarantee.save(temporary)
    events.result("guarantee", folder / FILE)
    return guarantee


def _of_model(
    models: Sequence[Model], cases: Sequence[Case], tree: LabelTree, device: str | torch.device, events: Events
) -> dict[str, Curve]:
    curves = {}
    events.stage("predict", len(cases))
    for done, case in enumerate(cases, 1):
        with scratch_beside(folder_of(models) / FILE) as folder:
            image = ",".join(str(path) for path in case.images.values())
            quiet = Events(cancel=events.cancel)
            (result,) = predict(list(models), [image], folder, device=device, events=quiet)
            curves[case.id] = wrong_answers(result.folder / SOFT_FILE, case, tree, events)
        events.progress(done, len(cases))
    return curves


def _of_predictions(
    cases: Sequence[Case], predictions: Sequence[str | PathLike[str]], dataset: Dataset, events: Events
) -> dict[str, Curve]:
    """Return the curves of predictions that are paired with the cases by name, as :func:`pair_up` does."""
    paired = pair_up(predictions, [dataset.path], dataset.tree, events)
    curves = {}
    events.stage("evaluate", len(cases))
    for done, case in enumerate(cases, 1):
        found = [pair.prediction for pair in paired.cases if pair.reference == case.labels]
        if len(found) != 1:
            raise InputError(f"{len(found)} predictions of the case '{case.id}', expected one", field="--prediction")
        curves[case.id] = wrong_answers(found[0], case, dataset.tree, events)
        events.progress(done, len(cases))
    return curves


def wrong_answers(prediction: Path, case: Case, tree: LabelTree, events: Events) -> Curve:
    """Return a soft parcellation's fraction of wrong labels at each level: float64 ``[STEPS + 1]``, not increasing.

    Where a reference is coarser than the leaf, a deeper label is evaluated at no level; a higher level may
    then show a wrong answer that a lower one hid. Such a level counts for those below it too.

    Raises
    ------
    InputError: the prediction is no soft parcellation, or the labels are damaged, of another tree or on another grid.
    """
    found = read_prediction(prediction, tree, events.warning)
    reference = read_reference(case.labels, tree, events.warning, case.mask, unlabelled=case.unlabelled)
    require_same_grid(found.probabilities.geometry, found.file, reference, warn=events.warning)
    answers = measure(
        found.probabilities, reference.probabilities, TreeRows.of(tree), events, tolerance_mm=None
    ).answers
    if answers is None:
        raise InputError("holds labels, not probabilities", file=prediction, hint="give the .soft.npz file")
    if not answers.voxels:
        return np.zeros(STEPS + 1)
    wrong = (answers.judged - answers.right).sum(axis=0) / answers.voxels
    return np.clip(np.maximum.accumulate(wrong[::-1])[::-1], 0, 1)
