"""The file STUDY.yaml: what is compared with what, on which data, how often; checked when it is read.

The format is in ``docs/studies.md``. All values that a file leaves out are our defaults.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from softseg.errors import InputError
from softseg.training.recipe import Recipe, plain_error

Sets = dict[str, Any] | list[str]

SCORES = ("max-softmax", "energy", "entropy", "odin", "mahalanobis")
"""Outlier scores that need no training of their own."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StrokesSpec(_Part):
    """Painted strokes instead of whole label maps: exactly one of the amounts.

    Attributes
    ----------
    share: part of each structure's labelled voxels in the training part.
    per_structure: strokes of each structure in each scan.
    length: voxels of a stroke.
    splits: whose labels become strokes.
    """

    share: float | None = Field(default=None, gt=0, le=1)
    per_structure: int | None = Field(default=None, ge=1)
    length: int = Field(default=10, ge=1)
    splits: list[Literal["train", "val"]] = ["train"]

    @model_validator(mode="after")
    def _one(self) -> StrokesSpec:
        if (self.share is None) == (self.per_structure is None):
            raise ValueError("expected either share or per_structure")
        return self

    @property
    def name(self) -> str:
        """For tables and folders: ``1%`` or ``20-strokes``."""
        return f"{100 * self.share:g}%" if self.share is not None else f"{self.per_structure}-strokes"


class VariantSpec(_Part):
    """One way to train, or with ``vary`` several.

    Attributes
    ----------
    name: short and unique; ``vary`` adds its values.
    recipe: a recipe's name or a YAML file (relative to the study's).
    set: changes to recipe and plan, as mapping or as ``key=value`` texts.
    vary: by key the values that are tried, all combinations of them (an ablation).
    tree: the tree that is trained with: a file, a shipped tree, ``flat`` (leaves under the root) or ``random:SEED``
        (the same shape, leaves dealt anew: a control). The study's own by default. Results are always judged by the
        study's tree.
    strokes: annotation of this variant instead of the study's densities; ``whole`` for whole labels.
    model: a finished model folder (or a run's folder) that is judged instead of training; ``{fold}``, ``{seed}`` and
        ``{held_out}`` stand for those of the job. Its recipe is that of the folder where none is given.
    """

    name: str = Field(min_length=1)
    recipe: str | None = None
    set: Sets = Field(default_factory=dict)
    vary: dict[str, list[Any]] = Field(default_factory=dict)
    tree: str | None = None
    strokes: StrokesSpec | Literal["whole"] | None = None
    model: str | None = None

    @model_validator(mode="after")
    def _something(self) -> VariantSpec:
        if self.recipe is None and self.model is None:
            raise ValueError("expected a recipe, or a model")
        if self.recipe is None and "{" in (self.model or ""):
            raise ValueError("a model with {fold}, {seed} or {held_out} needs a recipe, too")
        return self


class BudgetSpec(_Part):
    """What every training may use: exactly one of the two.

    Attributes
    ----------
    steps: optimisation steps.
    minutes: time; then the result depends on the computer.
    """

    steps: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _one(self) -> BudgetSpec:
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("expected either steps or minutes")
        return self


class FoldSpec(_Part):
    """How cases are dealt into training, validation and test parts.

    Attributes
    ----------
    by: ``person``: people are dealt into folds; ``split``: the one division that DATA.json has; ``block``: each image
        is cut into blocks, which are dealt into folds.
    count: number of folds; ``all`` leaves one person out at a time.
    validation: people (blocks: folds) that choose the best network; they are taken from the training part.
    splits: cases of these splits of DATA.json take part (``person`` and ``block``).
    seed: of the dealing.
    only: numbers of the folds that are run, from 0; all by default.
    nested: folds within the training part of each fold, on which the best variant is chosen; 0 for none.
    block: edge of a block in voxels.
    margin: voxels next to another part whose labels are not trained (or validated) on.
    """

    by: Literal["person", "split", "block"] = "split"
    count: int | Literal["all"] = 5
    validation: int = Field(default=1, ge=0)
    splits: list[Literal["train", "val", "test"]] = ["train", "val", "test"]
    seed: int = 0
    only: list[int] | None = None
    nested: int = Field(default=0, ge=0)
    block: int = Field(default=16, ge=1)
    margin: int = Field(default=2, ge=0)

    @model_validator(mode="after")
    def _sensible(self) -> FoldSpec:
        if isinstance(self.count, int) and self.count < 2:
            raise ValueError("count must be at least 2, or all")
        if self.by == "block" and self.count == "all":
            raise ValueError("count must be a number for blocks")
        if self.nested == 1 or (self.nested and self.by != "person"):
            raise ValueError("nested needs at least 2 folds, and by: person")
        return self


class RuleSpec(_Part):
    """How the threshold of a score is chosen on the inner folds.

    Attributes
    ----------
    name: for tables.
    tpr: this share of the trained classes' voxels passes; or:
    best: what is made as large as possible on the inner folds: ``f1`` or ``balanced_accuracy``, outliers being one
        more class, at the leaves.
    most_loss: accuracy on trained classes that the outlier branch may cost there, 0..1.
    """

    name: str = Field(min_length=1)
    tpr: float | None = Field(default=None, gt=0, le=1)
    best: Literal["f1", "balanced_accuracy"] | None = None
    most_loss: float = Field(default=1.0, ge=0, le=1)

    @model_validator(mode="after")
    def _one(self) -> RuleSpec:
        if (self.tpr is None) == (self.best is None):
            raise ValueError("expected either tpr or best")
        return self


RULES = (
    RuleSpec(name="bounded", best="f1", most_loss=0.005),
    RuleSpec(name="best-f1", best="f1"),
    RuleSpec(name="tpr-95", tpr=0.95),
)


class StudyFile(_Part):
    """The contents of STUDY.yaml.

    Attributes
    ----------
    name, explanation: for people.
    kind: ``compare``: which variant segments best; ``outliers``: also which score finds classes that were held out.
    data: DATA.json, relative to the study's file.
    tree: stands in for the dataset's tree.
    labelled_only: only labelled voxels are judged; by default where the recipes are sparse.
    surfaces: whether surface Dice and HD95 are measured (slow with many structures).
    set: changes for every variant.
    variants: what is compared; the first is the baseline unless ``baseline`` names another.
    seeds: every training is repeated with each.
    budget, folds: see these.
    strokes: densities of annotation, each of them a study of its own; whole labels where none is given.
    inner: classes that are held out in turn: a number of groups into which all leaves are dealt, or lists of nodes.
    scores: outlier scores, by name.
    rules: how thresholds are chosen; the first is the one that summaries show.
    voxels: labelled voxels of a case that are judged for outliers, at most, drawn at random.
    tie: differences up to this count as a tie.
    jobs: trainings at the same time.
    memory_gb: that one training takes; fewer run at once where that is not free.
    keep_models: whether the model folders stay.
    """

    name: str = Field(min_length=1)
    explanation: str = ""
    kind: Literal["compare", "outliers"] = "compare"
    data: str
    tree: str | None = None
    labelled_only: bool | None = None
    surfaces: bool = False
    set: Sets = Field(default_factory=dict)
    variants: list[VariantSpec] = Field(min_length=1)
    baseline: str | None = None
    seeds: list[int] = Field(default=[0], min_length=1)
    budget: BudgetSpec
    folds: FoldSpec = FoldSpec()
    strokes: list[StrokesSpec] = []
    inner: int | list[list[str]] = 4
    scores: list[str] = Field(default=list(SCORES), min_length=1)
    rules: list[RuleSpec] = Field(default=list(RULES), min_length=1)
    voxels: int = Field(default=200_000, ge=1)
    tie: float = Field(default=0.005, ge=0)
    jobs: int = Field(default=1, ge=1)
    memory_gb: float = Field(default=2.0, gt=0)
    keep_models: bool = False

    @field_validator("inner")
    @classmethod
    def _groups(cls, value: int | list[list[str]]) -> int | list[list[str]]:
        if isinstance(value, int) and value < 2:
            raise ValueError("expected at least 2 groups of classes, or lists of nodes")
        if isinstance(value, list) and (not value or not all(value)):
            raise ValueError("expected lists of nodes, none of them empty")
        return value

    @model_validator(mode="after")
    def _names(self) -> StudyFile:
        for what, names in (
            ("variants", [variant.name for variant in self.variants]),
            ("seeds", self.seeds),
            ("strokes", [strokes.name for strokes in self.strokes]),
            ("scores", self.scores),
            ("rules", [rule.name for rule in self.rules]),
        ):
            if len(set(names)) < len(names):
                raise ValueError(f"{what}: each name may stand there once")
        if self.kind == "outliers" and self.folds.nested:
            raise ValueError("folds.nested is for kind: compare; kind: outliers has inner folds of classes")
        return self


@dataclass(frozen=True, eq=False)
class Variant:
    """One way to train, ready to use.

    Attributes
    ----------
    name: unique, safe in file names.
    recipe: with all changes and the budget.
    tree, strokes, model: as in :class:`VariantSpec`.
    """

    name: str
    recipe: Recipe
    tree: str | None = None
    strokes: StrokesSpec | Literal["whole"] | None = None
    model: str | None = None


@dataclass(frozen=True, eq=False)
class Study:
    """A study, ready to use.

    Attributes
    ----------
    spec: the file's contents.
    path: the file.
    variants: with recipes.
    models: as given to :meth:`load`.
    """

    spec: StudyFile
    path: Path
    variants: tuple[Variant, ...]
    models: tuple[str, ...] = ()

    @property
    def baseline(self) -> str:
        """Name of the variant that the others are compared with."""
        return self.spec.baseline or self.variants[0].name

    @property
    def data(self) -> Path:
        """DATA.json."""
        return self.path.parent / self.spec.data

    @property
    def densities(self) -> tuple[StrokesSpec | None, ...]:
        """How densely training cases are annotated; None for whole labels."""
        return tuple(self.spec.strokes) or (None,)

    @property
    def labelled_only(self) -> bool:
        """Whether voxels without a label are left out of the judgement."""
        asked = self.spec.labelled_only
        return any(variant.recipe.sparse for variant in self.variants) if asked is None else asked

    @staticmethod
    def load(path: str | PathLike[str], models: Sequence[str] = ()) -> Study:
        """Read and check a study; no data is looked at.

        Parameters
        ----------
        path: the file.
        models: finished models that are judged instead of training, each ``"VARIANT=FOLDER"`` with what
            :class:`VariantSpec` has under ``model``; relative to the present folder.

        Raises
        ------
        InputError: the file is missing, not YAML, has an unknown key or a value that does not fit, or a recipe is
            wrong; file and field are named.
        """
        file = Path(path).absolute()
        spec = _parse(file)
        variants = tuple(_variants(spec, file))
        names = [variant.name for variant in variants]
        variants = _with_models(variants, models)
        if len(set(names)) < len(names):
            repeated = next(name for name in names if names.count(name) > 1)
            raise InputError(f"two variants are called {repeated!r}", file=file, field="variants")
        if spec.baseline is not None and spec.baseline not in names:
            raise InputError(
                f"no variant is called {spec.baseline!r}",
                file=file,
                field="baseline",
                hint=f"there are {', '.join(names)}",
            )
        sparse = {variant.recipe.sparse for variant in variants}
        if spec.kind == "outliers" and sparse != {True}:
            raise InputError(
                "a study of outliers needs recipes without background class",
                file=file,
                field="variants",
                hint="set sparse: true for all of them",
            )
        return Study(spec, file, variants, tuple(models))


def _parse(file: Path) -> StudyFile:
    if not file.is_file():
        raise InputError("no such file", file=file)
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise InputError("is not a text file in UTF-8", file=file) from error
    except yaml.YAMLError as error:
        raise InputError(f"is not YAML: {error}", file=file) from error
    if not isinstance(values, dict):
        raise InputError("expected a YAML mapping of study keys", file=file)
    try:
        return StudyFile.model_validate(values)
    except ValidationError as error:
        raise _plain(error, file) from error


def _with_models(variants: tuple[Variant, ...], models: Sequence[str]) -> tuple[Variant, ...]:
    given = dict(_named_model(text) for text in models)
    unknown = set(given) - {variant.name for variant in variants}
    if unknown:
        known = ", ".join(variant.name for variant in variants)
        raise InputError(f"no variant is called {min(unknown)!r}", field="--model", hint=f"there are {known}")
    return tuple(replace(v, model=given[v.name]) if v.name in given else v for v in variants)


def _named_model(text: str) -> tuple[str, str]:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise InputError(f"expected VARIANT=FOLDER, got {text!r}", field="--model")
    return name, str(Path(folder).absolute())


def _plain(error: ValidationError, file: Path) -> InputError:
    first = error.errors()[0]
    if first["type"] == "extra_forbidden":
        field = ".".join(str(part) for part in first["loc"])
        return InputError("unknown study key", file=file, field=field, hint="the keys are in docs/studies.md")
    return plain_error(error, StudyFile, file)


def _variants(spec: StudyFile, file: Path) -> list[Variant]:
    found = []
    for number, variant in enumerate(spec.variants):
        keys = list(variant.vary)
        for values in itertools.product(*variant.vary.values()):
            varied = dict(zip(keys, values, strict=True))
            parts = [f"{key.rsplit('.', 1)[-1]}={_short(value)}" for key, value in varied.items()]
            name = "-".join([variant.name, *parts])
            sets = [*as_sets(spec.set), *as_sets(variant.set), *as_sets(varied)]
            field = f"variants[{number}]"
            _refuse_budget(sets, file, field)
            try:
                recipe = _recipe(variant, [*sets, *_budget(spec.budget)], file)
            except InputError as error:
                place = ": ".join(part for part in (field, error.field) if part)
                own = error.file is not None and Path(error.file).is_file()
                raise InputError(
                    error.message, file=error.file if own else file, field=place, hint=error.hint
                ) from error
            found.append(Variant(_safe(name), recipe, variant.tree, variant.strokes, variant.model))
    return found


def _recipe(variant: VariantSpec, sets: list[str], file: Path) -> Recipe:
    if variant.recipe is None:
        return Recipe.load(model_folder(file.parent / str(variant.model)) / "recipe.yaml")
    beside = file.parent / variant.recipe
    return Recipe.load(beside if beside.is_file() else variant.recipe, sets)


def model_folder(path: Path) -> Path:
    """Return the model folder that ``path`` is, or that a run's folder holds."""
    return path / "model" if (path / "model" / "recipe.yaml").is_file() else path


def as_sets(sets: Sets) -> list[str]:
    """Return changes as ``key=value`` texts, whose values are YAML."""
    return list(sets) if isinstance(sets, list) else [f"{key}={json.dumps(value)}" for key, value in sets.items()]


def _budget(budget: BudgetSpec) -> list[str]:
    if budget.steps is not None:
        return [f"steps={budget.steps}", "minutes=null"]
    return [f"minutes={budget.minutes}", "steps=1000000"]


def _refuse_budget(sets: list[str], file: Path, field: str) -> None:
    for change in sets:
        key = change.partition("=")[0].strip()
        if key in ("steps", "minutes"):
            raise InputError(f"{key} is the same for all variants", file=file, field=field, hint="set it under budget")


def _short(value: Any) -> str:
    return (
        f"{value:g}"
        if isinstance(value, float)
        else json.dumps(value)
        if isinstance(value, (list, dict))
        else str(value)
    )


def _safe(name: str) -> str:
    """Return a name that may be a folder everywhere."""
    return re.sub(r"[^A-Za-z0-9.=+_-]+", "_", name).strip("._") or "variant"
