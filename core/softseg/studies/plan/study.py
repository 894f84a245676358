"""A study ready to run: the file STUDY.yaml read, its variants with their recipes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from softseg.errors import InputError
from softseg.files import is_file
from softseg.overrides import names_any
from softseg.requests.names import file_name, folded
from softseg.studies.plan.data_specs import StrokesSpec
from softseg.studies.plan.smoke import smoke_text, smoke_values
from softseg.studies.plan.study_file import BudgetSpec, Sets, StudyFile, VariantSpec
from softseg.texts import read_text
from softseg.training.recipe import Recipe, plain_error
from softseg.yaml_text import load_yaml


@dataclass(frozen=True, eq=False)
class Variant:
    """One way to train, ready to use.

    Attributes
    ----------
    name: unique, safe in file names.
    recipe: with all changes and the budget.
    tree, strokes, model, members: as in :class:`VariantSpec`. An ensemble's recipe is that of its first member.
    """

    name: str
    recipe: Recipe
    tree: str | None = None
    strokes: StrokesSpec | Literal["whole"] | None = None
    model: str | None = None
    members: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Study:
    """A study, ready to use.

    Attributes
    ----------
    spec: the file's contents.
    path: the file.
    variants: with recipes.
    text: the file, or where it was made tiny one that asks for the same outright.
    models, smoke: as given to :meth:`load`.
    """

    spec: StudyFile
    path: Path
    variants: tuple[Variant, ...]
    text: str
    models: tuple[str, ...] = ()
    smoke: bool = False

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
        """How densely training cases are annotated; None for complete labels."""
        return tuple(self.spec.strokes) or (None,)

    @property
    def labelled_only(self) -> bool:
        """Whether voxels without a label are left out of the judgement."""
        asked = self.spec.labelled_only
        return any(variant.recipe.sparse for variant in self.variants) if asked is None else asked

    @staticmethod
    def load(path: str | PathLike[str], models: Sequence[str] = (), *, smoke: bool = False) -> Study:
        """Read and check a study; no data is looked at.

        Parameters
        ----------
        path: the file.
        models: finished models that are evaluated instead of training, each ``"VARIANT=FOLDER"`` with what
            :class:`VariantSpec` has under ``model``; relative to the present folder.
        smoke: lay the key ``smoke`` over the file: the study made tiny.

        Raises
        ------
        InputError: the file is missing, not YAML, has an unknown key or a value that does not fit, or a recipe is
            wrong; file and field are named.
        """
        file = Path(path).absolute()
        spec, text = _parse(file, smoke)
        variants = tuple(_variants(spec, file))
        names = [variant.name for variant in variants]
        variants = _with_models(variants, models)
        kinds = [folded(name) for name in names]
        if len(set(kinds)) < len(names):
            repeated = next(name for name, kind in zip(names, kinds, strict=True) if kinds.count(kind) > 1)
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
        return Study(spec, file, variants, text, tuple(models), smoke)


def _parse(file: Path, smoke: bool) -> tuple[StudyFile, str]:
    text = read_text(file, "a study")
    try:
        values = load_yaml(text)
    except yaml.YAMLError as error:
        raise InputError(f"is not YAML: {error}", file=file) from error
    if not isinstance(values, dict):
        raise InputError("expected a YAML mapping of study keys", file=file)
    if smoke:
        values = smoke_values(values, file)
        text = smoke_text(values)
    try:
        return StudyFile.model_validate(values), text
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
    found: list[Variant] = []
    for number, variant in enumerate(spec.variants):
        if variant.members:
            found.append(_ensemble(variant, found, file, f"variants[{number}]"))
            continue
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
            found.append(Variant(file_name(name), recipe, variant.tree, variant.strokes, variant.model))
    return found


def _ensemble(variant: VariantSpec, before: Sequence[Variant], file: Path, field: str) -> Variant:
    members = {each.name: each for each in before if not each.members}
    wrong = next((name for name in variant.members if file_name(name) not in members), None)
    if wrong is not None:
        raise InputError(
            f"{wrong!r} is no variant above that is trained",
            file=file,
            field=f"{field}: members",
            hint=f"there are {', '.join(members) or 'none'}",
        )
    names = tuple(file_name(name) for name in variant.members)
    return Variant(file_name(variant.name), members[names[0]].recipe, members=names)


def _recipe(variant: VariantSpec, sets: list[str], file: Path) -> Recipe:
    if variant.recipe is None:
        return Recipe.load(model_folder(file.parent / str(variant.model)) / "recipe.yaml")
    beside = file.parent / variant.recipe
    return Recipe.load(beside if is_file(beside) else variant.recipe, sets)


def model_folder(path: Path) -> Path:
    """Return the model folder that ``path`` is, or that a run's folder holds."""
    return path / "model" if is_file(path / "model" / "recipe.yaml") else path


def as_sets(sets: Sets) -> list[str]:
    """Return changes as ``key=value`` texts, whose values are YAML."""
    return list(sets) if isinstance(sets, list) else [f"{key}={json.dumps(value)}" for key, value in sets.items()]


def _budget(budget: BudgetSpec) -> list[str]:
    if budget.steps is not None:
        return [f"steps={budget.steps}", "minutes=null"]
    return [f"minutes={budget.minutes}", "steps=1000000"]


def _refuse_budget(sets: list[str], file: Path, field: str) -> None:
    key = names_any(sets, ("steps", "minutes"))
    if key is not None:
        raise InputError(f"{key} is the same for all variants", file=file, field=field, hint="set it under budget")


def _short(value: Any) -> str:
    return (
        f"{value:g}"
        if isinstance(value, float)
        else json.dumps(value)
        if isinstance(value, (list, dict))
        else str(value)
    )
