"""``softseg train DATA.json --from MODEL``: every network of a model is trained further; the model stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from softseg.data import Dataset
from softseg.ensemble_file import MEMBERS
from softseg.errors import InputError
from softseg.events import Events
from softseg.fine_tuning.comparison import compare_models
from softseg.fine_tuning.origin import corrections_of, details_of, suited
from softseg.fine_tuning.schedule import fine_tuning_recipe
from softseg.network import Model
from softseg.prediction.ensemble import joint_name, load_models, needs_of
from softseg.prediction.ensemble_folder import save_ensemble
from softseg.training import Recipe, train


@dataclass(frozen=True)
class _How:
    """What all networks of a model have in common while they are trained."""

    device: str
    seed: int
    resume: bool


def fine_tune(
    dataset: Dataset,
    model: str | PathLike[str],
    out: str | PathLike[str],
    *,
    recipe: str | None = None,
    sets: Sequence[str] = (),
    device: str = "auto",
    seed: int = 0,
    resume: bool = False,
    follower: bool = False,
    events: Events | None = None,
) -> Path:
    """Train a model further and evaluate it before and after; return the new model, ``out/model``.

    Parameters
    ----------
    dataset: cases of the model's channels and of its tree, or of another one that the recipe paints synthetic images
        by (``synthetic.learn``); labels may be corrected results. Its held-out cases (the splits
        test and val) are evaluated before and after, in ``out/comparison.json`` and ``out/comparison.md``.
    model: a model folder, the name of a shipped model, an ensemble, or several joined by commas: each network is
        trained further in a run of its own (``out/members/NAME``), and the new model is an ensemble again.
    out: folder of the run; the old model is never written to.
    recipe: name or file; by default :func:`~softseg.fine_tuning.schedule.fine_tuning_recipe`.
    sets: changes to the recipe, ``"key=value"``.
    device, seed, resume: as for :func:`softseg.training.train`.
    follower: whether another process of the same training evaluates and writes.
    events: progress, metrics, warnings; and the user's wish to stop, after which the run can be resumed.

    Raises
    ------
    InputError: dataset and model do not go together, nothing was corrected, or as :func:`softseg.training.train`.
    OutOfMemoryError, CancelledError: as there.
    """
    events = Events() if events is None else events
    folder, models = Path(out), load_models(model)
    if any(folder.resolve() in (each.path.resolve(), *each.path.resolve().parents) for each in models):
        raise InputError("the run would replace the model it starts from", file=folder, hint="choose another folder")
    how = _How(device, seed, resume)
    recipes = [_recipe(each, dataset, recipe, sets) for each in models]
    dataset = suited(dataset, recipes[0], models[0], events)
    corrections = _require_something_to_learn(dataset, events)
    _say_what_is_left(models, events)
    if len(models) == 1:
        new = _train_further(dataset, models[0], recipes[0], folder, corrections, how, events)
    else:
        names = _member_names(models)
        places = [folder / MEMBERS / name for name in names]
        for position, (each, own, place) in enumerate(zip(models, recipes, places, strict=True), 1):
            events.log(f"network {position} of {len(models)}: {each.name}")
            _train_further(dataset, each, own, place, corrections, how, events)
        new = folder / "model"
        if not follower:
            save_ensemble([place / "model" for place in places], new, _ensemble_details(models, dataset, corrections))
            events.result("model", new)
    if not follower:
        judged = replace(dataset, tree=models[0].tree)  # labels of what is judged are of the tree that is learned
        compare_models(models, load_models(new), judged, folder, device=device, events=events)
    return new


def _recipe(model: Model, dataset: Dataset, recipe: str | None, sets: Sequence[str]) -> Recipe:
    """Return the recipe that was named, or else the model's own, changed for fine-tuning on these cases."""
    if recipe is not None:
        return Recipe.load(recipe, [f"init={model.path.absolute()}", *sets])
    return fine_tuning_recipe(model, sets, label_maps=any(not case.images for case in dataset.split("train")))


def _train_further(
    dataset: Dataset,
    model: Model,
    recipe: Recipe,
    out: Path,
    corrections: list[dict[str, Any]],
    how: _How,
    events: Events,
) -> Path:
    return train(
        dataset,
        recipe,
        out,
        device=how.device,
        seed=how.seed,
        resume=how.resume,
        plan=model.plan,
        details=details_of(model, corrections, dataset),
        events=events,
    )


def _require_something_to_learn(dataset: Dataset, events: Events) -> list[dict[str, Any]]:
    """Return the corrections in the training cases.

    Raises
    ------
    InputError: the only labels of the training cases are uncorrected results.
    """
    training = dataset.split("train")
    corrections = corrections_of(training)
    if training and not corrections and all(case.corrected is not None for case in training):
        raise InputError(
            "none of the results of its training cases was corrected",
            file=dataset.path,
            field="cases",
            hint="correct a result first: the model cannot learn from its own predictions",
        )
    if corrections:
        results, voxels = {one["case"] for one in corrections}, sum(one["voxels"] for one in corrections)
        events.log(f"{len(corrections)} corrections of {voxels} voxels in {len(results)} results")
    return corrections


def _say_what_is_left(models: Sequence[Model], events: Events) -> None:
    """Warn about what was fitted to the original networks and does not hold for the new ones."""
    left = {"calibration" for model in models if model.calibration is not None}
    left |= {"outlier score" for model in models if model.outliers is not None}
    if left:
        events.warning(
            f"the {' and the '.join(sorted(left))} of the model were fitted to it as it is: the new model has none"
        )


def _member_names(models: Sequence[Model]) -> list[str]:
    """Return a folder name for each network: its own, or that of its run where that is ``model``; numbered if equal."""
    names: list[str] = []
    for model in models:
        path = model.path.resolve()
        base = path.parent.name if path.name == "model" else path.name
        name, number = base, 1
        while name in names:
            number += 1
            name = f"{base}-{number}"
        names.append(name)
    return names


def _ensemble_details(models: Sequence[Model], dataset: Dataset, corrections: list[dict[str, Any]]) -> dict[str, Any]:
    name = joint_name(models)
    return {
        "name": name if name.endswith("fine-tuned") else f"{name}, fine-tuned",
        "description": f"{name}, each of its {len(models)} networks fine-tuned on {dataset.name}.",
        "fine_tuned_from": {
            "name": name,
            "members": [details_of(model, [], dataset)["fine_tuned_from"] for model in models],
        },
        "corrections": corrections,
        **({} if (needs := needs_of(models)) is None else {"needs": needs.to_json()}),
    }
