"""The recipe of a fine-tuning: that of the model, with a low learning rate and a short schedule (our defaults)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from softseg.errors import InputError
from softseg.training.recipe import Recipe
from softseg.yaml_text import load_yaml

if TYPE_CHECKING:
    from softseg.network import Model

RATE = 0.05
"""The learning rate as a part of the model's own."""

STEPS = 100

WARMUP = 0.1

AVERAGE = 0.95
"""Decay of the mean of the weights: about the last twenty steps."""

CRISP_ONLY = "generalized-wasserstein-dice"
"""The loss that cannot use soft targets."""


def fine_tuning_recipe(model: Model, sets: Sequence[str] = (), *, label_maps: bool = True) -> Recipe:
    """Return the recipe by which a model is fine-tuned, complete: head and losses are the model's own.

    Targets are soft, so that predictions of the model stay probabilities, unless a loss needs one label in each voxel.
    Means and variances of batch normalisation stay as they are: a few corrected scans are no measure of all.

    A model trained from label maps goes on so where there are label maps, and still learns its own tree from them.
    Where all cases are scans, it learns from these: no images are made up from a few corrected results.

    Parameters
    ----------
    model: what is fine-tuned.
    sets: changes, ``"key=value"``.
    label_maps: whether there are cases of labels alone.

    Raises
    ------
    InputError: the model's recipe cannot be read, or a change does not fit.
    """
    file = model.path / "recipe.yaml"
    values = load_yaml(model.recipe)
    if not isinstance(values, dict):
        raise InputError("expected a YAML mapping of recipe keys", file=file)
    own = Recipe.from_dict(values, file)
    crisp = any(loss.get("name") == CRISP_ONLY for loss in own.losses)
    changed: dict[str, Any] = own.model_dump(mode="json")
    changed |= {
        "name": own.name if own.name.endswith("fine-tuned") else f"{own.name}, fine-tuned",
        "targets": "crisp" if crisp else "soft",
        "steps": STEPS,
        "minutes": None,
        "average": AVERAGE,
        "init": str(model.path.absolute()),
        "keep_statistics": True,
        "frequency_bias": False,
        "plan": {},
    }
    changed["optimizer"] |= {"learning_rate": RATE * own.optimizer.learning_rate, "warmup": WARMUP}
    changed["synthetic"] = _synthetic(changed.get("synthetic"), model, label_maps)
    return Recipe.from_dict(changed, file, sets)


def _synthetic(own: Any, model: Model, label_maps: bool) -> Any:
    """Return what of a model's recipe holds for images that are made up."""
    if not own or not label_maps:
        return None
    return own if own.get("learn") is None else {**own, "learn": str((model.path / "tree.json").absolute())}
