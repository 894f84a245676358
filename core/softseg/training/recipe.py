"""Recipes: everything that belongs together in one training, as a small file that is checked when it is read."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from softseg.errors import InputError
from softseg.files import write_beside
from softseg.overrides import key_and_value, parts_of
from softseg.synthesis.settings import SynthesisSpec
from softseg.texts import read_text
from softseg.training.score_names import FIELD, problem_of_score
from softseg.yaml_text import load_yaml

SPARSE_METRIC = "f1/leaves"
"""What chooses the best network of a sparse recipe: Dice per case jumps where a case has a handful of labels."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HeadSpec(_Part):
    """The last activation.

    Attributes
    ----------
    name: ``softmax``, ``normrelu``, or ``godin`` (softmax with a learnt divisor, for generalised ODIN).
    scope: over what ``normrelu`` takes its maximum while training: ``batch`` (as ivadomed) or ``sample``. Validation
        and prediction always use the whole volume.
    """

    name: Literal["softmax", "normrelu", "godin"] = "softmax"
    scope: Literal["sample", "batch"] = "batch"


class OptimizerSpec(_Part):
    """How the weights are changed.

    Attributes
    ----------
    name: ``adamw``, or ``sgd`` with Nesterov momentum.
    learning_rate, weight_decay, momentum: as in torch; momentum is for ``sgd``.
    schedule: how the learning rate falls to 0 after the warm-up: ``cosine``, ``poly`` (power 0.9) or ``constant``.
    warmup: fraction of the training, 0..1, in which the learning rate rises linearly from 0.
    gradient_clip: largest norm of the gradient, null for none.
    """

    name: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    momentum: float = Field(default=0.99, ge=0, lt=1)
    schedule: Literal["cosine", "poly", "constant"] = "cosine"
    warmup: float = Field(default=0.03, ge=0, le=1)
    gradient_clip: float | None = Field(default=5.0, gt=0)


class ValidationSpec(_Part):
    """How often and on how much the network is evaluated while it trains.

    Attributes
    ----------
    every: steps between two validations; null for one twentieth of the training, or more where that would take more
        than about a tenth of the time.
    cases: validation cases that are used, the first ones of the dataset; null for all.
    overlap: fraction of a window that neighbours have in common, 0..1.
    metric: the score that chooses the best network: ``dice`` or ``soft_dice``, of sparse recipes also ``accuracy`` or
        ``f1``, of the leaves or a level, as in ``dice/leaves`` or ``soft_dice/level 3``; a sparse recipe that names
        none is evaluated by ``f1/leaves``, over labelled voxels.
    patience: validations without a better score after which the training ends, null for never.
    """

    every: int | None = Field(default=None, ge=1)
    cases: int | None = Field(default=3, ge=1)
    overlap: float = Field(default=0.25, ge=0, lt=1)
    metric: str = "dice/leaves"
    patience: int | None = Field(default=None, ge=1)


_RENAMED = {"corrected_share": "corrected_fraction"}  # old keys, read for one more release


class Recipe(_Part):
    """What to train with.

    Attributes
    ----------
    name: short name.
    explanation: for people who are not engineers: what it does and when to take it.
    head: last activation.
    targets: ``soft``: labels stay distributions; ``crisp``: each voxel gets its most probable leaf.
    raters: how several raters become one target: ``mean``, ``majority``, ``staple`` or ``random`` (one per draw).
    sparse: only labelled voxels count and there is no background class (positive-only annotation).
    losses: for :func:`softseg.losses.build_loss`; each entry has ``name``, ``weight`` and the options of that loss.
    optimizer: how the weights are changed.
    steps: optimisation steps.
    minutes: time budget, null for none. The schedule then follows the larger of the fractions of steps and time that
        have passed, so the result depends on the speed of the computer and is not repeatable.
    batch_size: patches per step, null for the plan's.
    augmentation: changes to the data package's augmentation.
    validation: how the network is evaluated while it trains.
    checkpoint_every: steps between two checkpoints; one is also written after each minute.
    average: decay per step of the running mean of the weights, which is validated and saved; null for none. While the
        training is young the decay is smaller: ``(1 + step) / (10 + step)``.
    frequency_bias: start the last layer at the class frequencies (softmax) or slightly active (normrelu).
    init: model folder, or folder of an earlier run, whose weights it starts from, null for random weights.
    keep_statistics: batch normalisation goes on with the means and variances that it starts from.
    corrected_fraction: fraction of the patches from corrected results, 0..1, where there are other training cases too.
    plan: changes to the automatic plan.
    synthetic: how images are made up from label maps; ``true`` for the defaults, null for scans alone.
    """

    name: str
    explanation: str
    head: HeadSpec = HeadSpec()
    targets: Literal["soft", "crisp"] = "soft"
    raters: Literal["mean", "majority", "staple", "random"] = "mean"
    sparse: bool = False
    losses: list[dict[str, Any]] = Field(min_length=1)
    optimizer: OptimizerSpec = OptimizerSpec()
    steps: int = Field(default=4000, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    batch_size: int | None = Field(default=None, ge=1)
    augmentation: dict[str, Any] = Field(default_factory=dict)
    validation: ValidationSpec = ValidationSpec()
    checkpoint_every: int = Field(default=100, ge=1)
    average: float | None = Field(default=0.999, gt=0, lt=1)
    frequency_bias: bool = True
    init: str | None = None
    keep_statistics: bool = False
    corrected_fraction: float = Field(default=0.5, ge=0, le=1)
    plan: dict[str, Any] = Field(default_factory=dict)
    synthetic: SynthesisSpec | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_head(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("head"), str):
            return data | {"head": {"name": data["head"]}}
        return data

    @model_validator(mode="before")
    @classmethod
    def _short_synthetic(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("synthetic"), bool):
            return data | {"synthetic": {} if data["synthetic"] else None}
        return data

    @model_validator(mode="before")
    @classmethod
    def _renamed_keys(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not _RENAMED.keys() & data.keys():
            return data
        return {key: value for key, value in data.items() if key not in _RENAMED} | {
            new: data[old] for old, new in _RENAMED.items() if old in data
        }

    @model_validator(mode="before")
    @classmethod
    def _sparse_metric(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("sparse") is not True:
            return data
        validation = data.get("validation") or {}
        if not isinstance(validation, dict) or "metric" in validation:
            return data
        return data | {"validation": {**validation, "metric": SPARSE_METRIC}}

    @model_validator(mode="after")
    def _known_metric(self) -> Recipe:
        problem = problem_of_score(self.validation.metric, self.sparse)
        if problem is not None:
            raise ValueError(f"{FIELD}: {problem}, got {self.validation.metric!r}")
        return self

    @staticmethod
    def load(name_or_path: str | Path, sets: list[str] | None = None) -> Recipe:
        """Read a recipe by its name or from a YAML file, with some values changed.

        Parameters
        ----------
        name_or_path: a name that :func:`recipe_names` lists, or a path.
        sets: changes, each ``"key=value"``; the key is dotted (``optimizer.learning_rate=0.002``,
            ``losses.0.weight=2``, ``plan.patch_size=[64, 64, 64]``) and the value is YAML.

        Raises
        ------
        InputError: no such recipe, not YAML, a key that recipes do not have, or a value that does not fit.
        """
        path = Path(name_or_path)
        source = str(name_or_path)
        if source in recipe_names():
            text = (resources.files("softseg.training") / "recipes" / f"{source}.yaml").read_text(encoding="utf-8")
        elif path.is_file():
            text = read_text(path, "a recipe")
        else:
            raise InputError(
                f"no recipe or file {source!r}", field="recipe", hint=f"the recipes are {', '.join(recipe_names())}"
            )
        return Recipe.from_dict(_parse(text, path), file=path, sets=sets)

    @staticmethod
    def from_dict(values: dict[str, Any], file: str | Path | None = None, sets: Sequence[str] | None = None) -> Recipe:
        """Check ``values``, changed as :meth:`load` does; ``file`` is named in errors.

        Raises
        ------
        InputError: a key that recipes do not have, or a value that does not fit.
        """
        values = copy.deepcopy(values)
        for change in sets or []:
            _set(values, change)
        try:
            return Recipe.model_validate(values)
        except ValidationError as error:
            raise plain_error(error, Recipe, file) from error

    def lasting(self) -> dict[str, Any]:
        """Return what differs from the defaults under the keys that it first had, without name and explanation.

        For digests: those of files in the wild stay true when a key gets another name.
        """
        changed = self.model_dump(mode="json", exclude_defaults=True, exclude={"name", "explanation"})
        first = {new: old for old, new in _RENAMED.items()}
        return {first.get(key, key): value for key, value in changed.items()}

    def to_yaml(self) -> str:
        """Return the whole recipe as YAML; :meth:`load` reads it back to an equal recipe."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)

    def save(self, path: str | Path) -> Path:
        """Write the whole recipe as YAML."""
        with write_beside(path) as temporary:
            temporary.write_text(self.to_yaml(), encoding="utf-8")
        return Path(path)


def recipe_names() -> tuple[str, ...]:
    """Return the names of the shipped recipes."""
    folder = resources.files("softseg.training") / "recipes"
    return tuple(sorted(file.name[: -len(".yaml")] for file in folder.iterdir() if file.name.endswith(".yaml")))


def recipe_explanations() -> dict[str, str]:
    """Return each shipped recipe's explanation for people who are not engineers."""
    return {name: " ".join(Recipe.load(name).explanation.split()) for name in recipe_names()}


def _parse(text: str, file: Path) -> dict[str, Any]:
    try:
        values = load_yaml(text)
    except yaml.YAMLError as error:
        raise InputError(f"is not YAML: {error}", file=file) from error
    if not isinstance(values, dict):
        raise InputError("expected a YAML mapping of recipe keys", file=file)
    return values


def _set(values: dict[str, Any], change: str) -> None:
    key, value = key_and_value(change)
    parts = parts_of(key)
    if parts[0] == "plan" and len(parts) > 1:  # plan overrides are dotted keys themselves
        parts = ["plan", ".".join(parts[1:])]
    place: Any = values
    for part in parts[:-1]:
        place = _step_into(place, part, key)
    if isinstance(place, list):
        place[_position(place, parts[-1], key)] = value
    else:
        place[parts[-1]] = value


def _step_into(place: Any, part: str, key: str) -> Any:
    if isinstance(place, list):
        return place[_position(place, part, key)]
    inner = place.get(part)
    if inner is None:
        inner = place[part] = {}
    if part == "head" and isinstance(inner, str):
        inner = place[part] = {"name": inner}
    if not isinstance(inner, (dict, list)):
        raise InputError(f"{part!r} has no keys below it", field=f"--set {key}")
    return inner


def _position(place: list[Any], part: str, key: str) -> int:
    if not part.isdigit() or int(part) >= len(place):
        raise InputError(f"expected a position 0..{len(place) - 1}, got {part!r}", field=f"--set {key}")
    return int(part)


def plain_error(
    error: ValidationError, model: type[BaseModel], file: str | Path | None = None, field: str = ""
) -> InputError:
    """Return pydantic's first complaint about ``model`` as one line that names ``file`` and the key below ``field``."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in (*filter(None, [field]), *first["loc"]))
    if first["type"] == "extra_forbidden":
        hint = f"the keys here are {', '.join(_keys(model, first['loc'][:-1]))}"
        return InputError("unknown recipe key", file=file, field=name, hint=hint)
    message = first["msg"].removeprefix("Value error, ")
    got = first["input"]
    if not first["loc"] and (own := re.fullmatch(r"([\w.]+): (.*)", message)):  # about several keys: it names one
        return InputError(own[2], file=file, field=".".join(filter(None, [field, own[1]])))
    return InputError(message if isinstance(got, dict) else f"{message}, got {got!r}", file=file, field=name)


def _keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    for part in location:
        inner = model.model_fields[str(part)].annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
    return list(model.model_fields)
