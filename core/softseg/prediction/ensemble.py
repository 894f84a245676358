"""Several models for one scan: which ones go together, and what their progress adds up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

from softseg.ensemble_file import FILE, MEMBERS, EnsembleFile
from softseg.errors import InputError
from softseg.events import Events
from softseg.needs import Needs
from softseg.network import Joint, Model, ModelFolder, load_members
from softseg.resources import named_model
from softseg.system import Processor, resolve_device

if TYPE_CHECKING:
    import torch


def load_models(
    model: str | PathLike[str] | Model | Sequence[Model], outliers: bool = True, backend: str = "torch"
) -> list[Model]:
    """Return the models of an ensemble, or the only one; see :func:`softseg.prediction.batch.predict`.

    Parameters
    ----------
    model: a folder, a name, several joined by commas, or what was loaded before.
    outliers: read their outlier scores from the folders; see :meth:`softseg.network.ModelFolder.load`.
    backend: the library that is to run those that are loaded here; see :meth:`softseg.network.ModelFolder.load`.

    Raises
    ------
    InputError: there is none, one is not a valid model folder, or they do not go together.
    """
    if isinstance(model, Model):
        return [model]
    if isinstance(model, (str, PathLike)):
        models = [each for name in model_names(model) for each in _models_of(named_model(name), outliers, backend)]
    else:
        models = list(model)
    if not models:
        raise InputError("no model is given", field="MODEL")
    require_one_tree(models)
    return models


def load_model(model: str | PathLike[str]) -> Model:
    """Return the model of a folder, or the shipped model of that name.

    Raises
    ------
    InputError: there is neither, the folder is not a valid model folder, or it holds an ensemble.
    """
    return ModelFolder.load(named_model(model))


def _models_of(folder: Path, outliers: bool, backend: str) -> list[Model]:
    """Return the model of a folder, or the members of the ensemble that it holds."""
    ensemble = EnsembleFile.load(folder)
    if ensemble is None:
        return [ModelFolder.load(folder, outliers, backend)]
    return load_members(ensemble, outliers, backend)


def best_network(model: str, events: Events | None = None, backend: str = "torch") -> Model:
    """Return the network that is best by itself among those of an ensemble, for ``--fast``.

    Parameters
    ----------
    model: a model folder or the name of a shipped model; one that is no ensemble is taken as it is.
    events: receives the name of the network.
    backend: see :func:`load_models`.

    Raises
    ------
    InputError: several models are named, the ensemble does not name its best member, or that is damaged.
    """
    if len(model_names(model)) > 1:
        raise InputError("takes one network of one ensemble, but several models are named", field="--fast")
    ensemble = EnsembleFile.load(named_model(model))
    if ensemble is None:
        return ModelFolder.load(named_model(model), backend=backend)
    if ensemble.best is None:
        raise InputError(
            "does not name its best member",
            file=ensemble.folder / FILE,
            field="best",
            hint=f"predict with one of them, such as {ensemble.folders[0]}",
        )
    if events is not None:
        events.log(f"one network of {len(ensemble.members)}: {ensemble.best}")
    member = ModelFolder.load(ensemble.folder / MEMBERS / ensemble.best, backend=backend)
    return replace(member, needs=ensemble.needs or member.needs)


def device_of(model: Model, device: str | torch.device, events: Events | None = None) -> torch.device | Processor:
    """Return where a model runs; see :func:`softseg.system.resolve_device`.

    Raises
    ------
    InputError: there is no such device, or what runs the network cannot use it.
    """
    return resolve_device(device, events) if model.onnx is None else model.onnx.device(str(device), events)


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


def require_one_tree(models: Sequence[Model]) -> None:
    """Raise :class:`InputError` unless all models answer the same question about the same part of the same images.

    That is: one label tree, the same channels, the same crop. Each prepares the scan as it was trained, so orientation,
    voxel size, windows and intensities may differ (:func:`see_one_grid`).
    """
    first = models[0]
    for other in models[1:]:
        if other.tree.nodes != first.tree.nodes:
            raise InputError(
                f"its label tree is not that of {first.name}",
                file=other.path / "tree.json",
                hint="an ensemble is of models of one tree",
            )
        if other.plan.channels != first.plan.channels:
            raise InputError(
                f"its channels are {', '.join(other.plan.channels)}, those of {first.name} are "
                f"{', '.join(first.plan.channels)}",
                file=other.path,
                hint="an ensemble is of models of the same images",
            )
        if _crop(other) != _crop(first):
            raise InputError(
                f"it uses another part of the images than {first.name} (plan.crop)",
                file=other.path,
                hint="train the members of an ensemble with one crop",
            )


def see_one_grid(models: Sequence[Model]) -> bool:
    """Whether all models prepare images alike and see them in windows of one size: then they run side by side."""
    first = models[0].plan
    return all(
        each.plan.preprocessing_key() == first.preprocessing_key() and each.plan.patch_kji == first.patch_kji
        for each in models[1:]
    )


def require_once(models: Sequence[Model], uncertainty: object) -> None:
    """Raise :class:`InputError` if models that do not see one grid shall predict several times each."""
    if uncertainty is not None and not see_one_grid(models):
        raise InputError(
            "models with grids of their own (axes, voxel sizes, windows) predict once each",
            field="uncertainty",
            hint="leave --uncertainty out (how much the models disagree is written anyhow), or name one model",
        )


def _crop(model: Model) -> tuple[object, ...]:
    """Return the part of an image that a model uses, in axes that do not depend on its orientation."""
    crop, axes = model.plan.crop, model.plan.orientation[::-1]
    if crop.kind != "center":
        return crop.kind, crop.margin_mm if crop.kind == "nonzero" else None
    letters = ["LR" if axis in "LR" else "AP" if axis in "AP" else "SI" for axis in axes]
    return crop.kind, dict(zip(letters, crop.size_mm, strict=True))


def needs_of(models: Sequence[Model]) -> Needs | None:
    """Return the model that makes the mask of the scans of these models, None where they need none.

    Raises
    ------
    InputError: they need different ones.
    """
    joint = Joint.of(models)
    if joint is not None and joint.needs is not None:
        return joint.needs
    found = dict.fromkeys(model.needs for model in models if model.needs is not None)
    if len(found) > 1:
        wanted = ", ".join(f"{needs.model} ({needs.node})" for needs in found)
        raise InputError(f"the models need masks of different models: {wanted}", field="needs")
    return next(iter(found), None)


def joint_name(models: Sequence[Model]) -> str:
    """Return the name that a prediction by all of them carries: that of their ensemble where all are of one."""
    joint = Joint.of(models)
    if joint is not None:
        return joint.name
    return " + ".join(model.name for model in models)


class PartOfProgress(Events):
    """Progress of one of several that run side by side: what they have done together is reported.

    Parameters
    ----------
    events: receives progress.
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
