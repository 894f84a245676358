"""Where the shipped label trees and models are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from softseg.errors import InputError

_VARIABLE = "SOFTSEG_RESOURCES"
_CHECKOUT = Path(__file__).resolve().parents[2]


def resources_folder() -> Path:
    """Return the folder ``Resources``: that of SOFTSEG_RESOURCES, the source checkout, the package, or the prefix.

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
    return (
        _CHECKOUT / "Resources",
        package / "Resources",
        package.parent / "Resources",
        Path(sys.prefix) / "share" / "softseg",
        Path(sys.prefix) / "share" / "softseg" / "Resources",
    )


def list_label_trees() -> list[str]:
    """Return the names of the shipped label trees, sorted."""
    return sorted(file.stem for file in (resources_folder() / "LabelTrees").glob("*.json"))


def list_models() -> list[str]:
    """Return the names of the shipped models, sorted."""
    folder = resources_folder() / "Models"
    single = {file.parents[1].name for file in folder.glob("*/configs/metadata.json")}
    return sorted(single | {file.parent.name for file in folder.glob("*/ensemble.json")})


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
    models = list_models()
    shipped, _, member = name.partition("/members/")
    folder = resources_folder() / "Models" / shipped
    members = [path.name for path in (folder / "members").glob("*")] if shipped in models else []
    if name in models or member in members:
        return folder / "members" / member if member else folder
    there = ", ".join(models) or "none"
    of_it = f"members of {shipped}: {', '.join(sorted(members))}"
    raise InputError(f"no shipped model '{name}'", hint=of_it if member and members else f"shipped models: {there}")
