"""Several models for one scan: which ones go together, and what their progress adds up to."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path

from softseg.errors import InputError
from softseg.events import Events
from softseg.network import Model, ModelFolder
from softseg.resources import model_path


def load_models(model: str | PathLike[str] | Model | Sequence[Model]) -> list[Model]:
    """Return the models of an ensemble, or the only one; see :func:`softseg.prediction.batch.predict`.

    Raises
    ------
    InputError: there is none, one is not a valid model folder, or they do not go together.
    """
    if isinstance(model, Model):
        return [model]
    given = [load_model(name) for name in model_names(model)] if isinstance(model, (str, PathLike)) else model
    models = list(given)
    if not models:
        raise InputError("no model is given", field="MODEL")
    require_alike(models)
    return models


def load_model(model: str | PathLike[str]) -> Model:
    """Return the model of a folder, or the shipped model of that name.

    Raises
    ------
    InputError: there is neither, or the folder is not a valid model folder.
    """
    path = Path(model)
    if not path.exists() and path.name == fspath(model):
        path = model_path(path.name)
    return ModelFolder.load(path)


def model_names(model: str | PathLike[str]) -> list[str]:
    """Return the models that ``A,B,C`` names; a path that exists is one model, whatever its name.

    Raises
    ------
    InputError: a model is given twice.
    """
    text = fspath(model)
    if "," not in text or Path(text).exists():
        return [text]
    names = [part.strip() for part in text.split(",") if part.strip()]
    if len({Path(name).resolve() for name in names}) < len(names):
        raise InputError("the same model is given twice", field="MODEL", hint="an ensemble needs different models")
    return names


def require_alike(models: Sequence[Model]) -> None:
    """Raise :class:`InputError` unless all models see the same grid and answer with the same tree."""
    first = models[0]
    for other in models[1:]:
        if other.tree.nodes != first.tree.nodes:
            raise InputError(
                f"its label tree is not that of {first.name}",
                file=other.path / "tree.json",
                hint="an ensemble is of models of one tree",
            )
        if other.plan.preprocessing_key() != first.plan.preprocessing_key():
            raise InputError(
                f"its plan prepares images otherwise than that of {first.name} (channels, grid or intensities)",
                file=other.path,
                hint="train the members of an ensemble with one plan",
            )
        if other.plan.patch_kji != first.plan.patch_kji:
            raise InputError(
                f"its windows are of {other.plan.patch_kji} voxels, those of {first.name} of {first.plan.patch_kji}",
                file=other.path,
                hint="train the members of an ensemble with one plan",
            )


def joint_name(models: Sequence[Model]) -> str:
    """Return the name that a prediction by all of them carries."""
    return " + ".join(model.name for model in models)


class PartOfProgress(Events):
    """Progress of one of several that run side by side: what they have done together is reported.

    Parameters
    ----------
    events: who is told.
    done: what each has done; shared by all of them.
    number: which one this is.
    """

    def __init__(self, events: Events, done: list[int], number: int) -> None:
        super().__init__(events.sink, events.cancel)
        self._events, self._together, self._number = events, done, number

    def progress(self, done: int, total: int) -> None:
        """Report what all have done."""
        self._together[self._number] = done
        self._events.progress(sum(self._together), total * len(self._together))
