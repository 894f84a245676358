"""What a fine-tuned model comes from: the model before, and the corrections it was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from softseg.data.corrected import require_tree
from softseg.errors import InputError
from softseg.events import Events
from softseg.prediction.record import model_digest
from softseg.soft.parcellation import SoftParcellation
from softseg.training.synthetic import learned_tree

if TYPE_CHECKING:
    from softseg.data import Case, Dataset
    from softseg.network import Model
    from softseg.training import Recipe

_KEPT = ("licence", "citation", "intended_use", "limitations")


def details_of(model: Model, corrections: list[dict[str, Any]], dataset: Dataset) -> dict[str, Any]:
    """Return the model card of a model fine-tuned from ``model``."""
    own = model.metadata.get("softseg", {})
    before: Mapping[str, Any] = own.get("details") if isinstance(own.get("details"), dict) else {}
    return {
        **{key: before[key] for key in _KEPT if before.get(key)},
        "name": model.name if model.name.endswith("fine-tuned") else f"{model.name}, fine-tuned",
        "description": f"{model.name}, fine-tuned on {dataset.name}.",
        "data_source": "; ".join(filter(None, [str(before.get("data_source") or ""), dataset.name])),
        "fine_tuned_from": {"name": model.name, "digest": model_digest(model)},
        "corrections": corrections,
        **({} if model.needs is None else {"needs": model.needs.to_json()}),
    }


def corrections_of(cases: Iterable[Case]) -> list[dict[str, Any]]:
    """Return every correction in some cases: case, id, node, whether it is or is not, author, time, voxels."""
    return [
        {
            "case": case.id,
            "id": correction.id,
            "node": correction.node_id,
            "is_node": correction.is_node,
            "author": correction.author,
            "time": correction.time,
            "voxels": correction.voxel_count,
        }
        for case in cases
        if case.corrected is not None
        for correction in SoftParcellation.load(case.corrected).corrections
    ]


def suited(dataset: Dataset, recipe: Recipe, model: Model, events: Events) -> Dataset:
    """Return the dataset with the names of channels of a model, and with its tree unless images are painted by another.

    Raises
    ------
    InputError: the tree that the recipe learns from it, or its channels, are not the model's.
    """
    learned = learned_tree(recipe, dataset.tree)
    require_tree(learned, model.tree, dataset.path)
    tree, names = model.tree if learned is dataset.tree else dataset.tree, model.plan.channels
    if dataset.channels == names:
        return replace(dataset, tree=tree)
    if len(dataset.channels) != 1 or len(names) != 1:
        raise InputError(
            f"its channels are {', '.join(dataset.channels)}, those of {model.name} are {', '.join(names)}",
            file=dataset.path,
            field="channels",
            hint="name and order them as the model does",
        )
    events.log(f"the channel {dataset.channels[0]!r} is the model's {names[0]!r}")
    cases = tuple(
        replace(case, images={names[0]: image}) if (image := next(iter(case.images.values()), None)) else case
        for case in dataset.cases
    )
    return replace(dataset, tree=tree, channels=names, cases=cases)
