"""Where the shipped label trees and models are."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path

from softseg.errors import InputError

SEPARATE_MODELS = {"brain-134": "softseg-models"}
"""Models whose licence is not the engine's, and the package that holds them."""

_VARIABLE = "SOFTSEG_RESOURCES"
_CHECKOUT = Path(__file__).resolve().parents[2]


def resources_folder() -> Path:
    """Return the folder ``Resources``: that of SOFTSEG_RESOURCES, the source checkout, or the package.

    Raises
    ------
    InputError: none of these is there.
    """
    named = os.environ.get(_VARIABLE)
    if named:
        folder = Path(named)
        if not folder.is_dir():
            raise InputError("no such folder", file=folder, field=_VARIABLE)
        return folder
    for folder in _places():
        if (folder / "LabelTrees").is_dir():
            return folder
    raise InputError("the shipped label trees and models are not here", hint=f"set {_VARIABLE} to their folder")


def _places() -> tuple[Path, ...]:
    package = Path(__file__).resolve().parent
    return _CHECKOUT / "Resources", package / "Resources", package.parent / "Resources"


def _model_folders() -> tuple[Path, ...]:
    """Return the folders that hold models: the one beside the label trees, and that of the package softseg-models."""
    own = resources_folder() / "Models"
    if os.environ.get(_VARIABLE):
        return (own,)
    package = importlib.util.find_spec("softseg_models")
    separate = package.submodule_search_locations if package else None
    return (own, *map(Path, separate or ()))


def list_label_trees() -> list[str]:
    """Return the names of the shipped label trees, sorted."""
    return sorted(file.stem for file in (resources_folder() / "LabelTrees").glob("*.json"))


def list_models() -> list[str]:
    """Return the names of the shipped models, sorted."""
    return sorted(_models())


def _models() -> dict[str, Path]:
    """Return the folders of the shipped models by name."""
    found: dict[str, Path] = {}
    for folder in reversed(_model_folders()):
        found |= {file.parents[1].name: file.parents[1] for file in folder.glob("*/configs/metadata.json")}
        found |= {file.parent.name: file.parent for file in folder.glob("*/ensemble.json")}
    return found


def label_tree_path(name: str) -> Path:
    """Return the file of a shipped label tree.

    Raises
    ------
    InputError: no tree of this name is shipped.
    """
    if name not in list_label_trees():
        raise InputError(f"no shipped label tree '{name}'", hint=f"there are {', '.join(list_label_trees())}")
    return resources_folder() / "LabelTrees" / f"{name}.json"


def named_model(model: str | os.PathLike[str]) -> Path:
    """Return the folder that is meant: a path as it is, or that of the shipped model (or member) of this name.

    Raises
    ------
    InputError: it is no path that exists, looks like a name, and no model of this name is shipped.
    """
    path = Path(model)
    parts = path.parts
    is_name = path.as_posix() == os.fspath(model) and (len(parts) == 1 or (len(parts) == 3 and parts[1] == "members"))
    return model_path(path.as_posix()) if is_name and not path.exists() else path


def model_path(name: str) -> Path:
    """Return the folder of a shipped model, or of a member of one: ``"brain-134/members/axial"``.

    Raises
    ------
    InputError: no model of this name is shipped.
    """
    models = _models()
    shipped, _, member = name.partition("/members/")
    members = {path.name: path for path in (models[shipped] / "members").glob("*")} if shipped in models else {}
    if name in models:
        return models[name]
    if member in members:
        return members[member]
    raise InputError(f"no shipped model '{name}'", hint=_other_models(shipped, members if member else {}, models))


def _other_models(shipped: str, members: Iterable[str], models: Iterable[str]) -> str:
    if members:
        return f"members of {shipped}: {', '.join(sorted(members))}"
    if shipped in SEPARATE_MODELS:
        package = SEPARATE_MODELS[shipped]
        return f"its weights are not for commercial use and have a package of their own, {package}: install it with pip"
    return f"shipped models: {', '.join(sorted(models)) or 'none'}"
