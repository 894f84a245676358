"""Models put together into one folder that predicts like any other; its files: :mod:`softseg.ensemble_file`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from softseg.ensemble_file import FILE, MEMBERS, EnsembleFile
from softseg.errors import InputError
from softseg.files import write_folder_beside
from softseg.needs import Needs
from softseg.network import Model
from softseg.network.ensemble_bundle import write_bundle
from softseg.network.folder_files import OPTIONAL, write_json
from softseg.prediction.ensemble import load_models, needs_of, require_one_tree
from softseg.requests.names import file_names

_UNKNOWN = "not stated"
_JOINED = ("licence", "data_source", "citation")


def save_ensemble(
    models: Sequence[str | PathLike[str]], out: str | PathLike[str], details: Mapping[str, Any] | None = None
) -> Path:
    """Copy models into one folder; it appears only when complete and replaces an older ensemble.

    Parameters
    ----------
    models: two or more model folders, names of shipped models, or ensembles, whose members are taken.
    out: the folder.
    details: fields of its card: name, description, licence, data_source, citation, training (text), command,
        intended_use, limitations, scores (number by name). Licence, data and citation are those of the members where
        nothing is given. ``needs`` (:mod:`softseg.needs`), likewise, is what its scans need.

    Raises
    ------
    InputError: fewer than two models, one of them twice, one that is no model, models that do not go together, or
        something else than an ensemble stands where the folder is to be.
    """
    given = [model for name in models for model in load_models(name)]
    if len(given) < 2:
        raise InputError("an ensemble needs at least two models", field="MODEL")
    if len({model.path.resolve() for model in given}) < len(given):
        raise InputError("the same model is given twice", field="MODEL", hint="an ensemble needs different models")
    require_one_tree(given)
    target = Path(out)
    if target.exists() and not (target / FILE).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise InputError("exists already and is no ensemble", file=target, hint="choose another folder")
    if any(target.resolve() in model.path.resolve().parents for model in given):
        raise InputError("a member lies in the folder that would be replaced", file=target)
    details = {**_of_members(given), **(details or {})}
    names, needs = _names(given), needs_of(given)
    if "needs" in details:
        needs = Needs.from_json(details.pop("needs"), target)
    file = EnsembleFile(target, str(details.pop("name", target.resolve().name)), names, details, needs)
    with write_folder_beside(target, stale=OPTIONAL) as unfinished:  # these were fitted to other members
        for model, name in zip(given, names, strict=True):
            shutil.copytree(model.path, unfinished / MEMBERS / name)
        write_json(unfinished / FILE, file.to_json())
        write_bundle(unfinished, file, given)
        (unfinished / "README.md").write_text(_card(file, given), encoding="utf-8")
    return target


def _names(models: Sequence[Model]) -> tuple[str, ...]:
    """Return a folder name for each: its own, or that of its run where it is called ``model``; numbered if repeated."""
    texts: list[str] = []
    for model in models:
        path = model.path.resolve()
        base = path.parent.name if path.name == "model" else path.name
        text, number = base, 1
        while text in texts:
            number += 1
            text = f"{base}-{number}"
        texts.append(text)
    names = file_names(texts)
    return tuple(names[text] for text in texts)


def _of_members(models: Sequence[Model]) -> dict[str, str]:
    """Return the members' card fields, each different value once."""
    found = {}
    for key in _JOINED:
        values = dict.fromkeys(str(_details(model).get(key) or "") for model in models)
        if any(values):
            found[key] = "; ".join(value or _UNKNOWN for value in values)
    return found


def _details(model: Model) -> Mapping[str, Any]:
    own = model.metadata.get("softseg", {}).get("details")
    return own if isinstance(own, dict) else {}


def _card(file: EnsembleFile, models: Sequence[Model]) -> str:
    """Return the card (Markdown)."""
    details, first = file.details, models[0]
    lines = [
        f"# {file.name}",
        "",
        str(details.get("description", f"The mean of {len(models)} models.")),
        "",
        "| | |",
        "|---|---|",
        f"| Input | {', '.join(first.plan.channels)} |",
        *([] if file.needs is None else [f"| Scans | {file.needs.sentence} |"]),
        f"| Output | probabilities of {len(first.tree.leaves)} leaves of the label tree {first.tree.name!r}, "
        f"{first.tree.depth} levels: the mean of its members' |",
        f"| Data | {details.get('data_source', _UNKNOWN)} |",
        f"| Licence of the weights | {details.get('licence', _UNKNOWN)} |",
        f"| Cite | {details.get('citation', _UNKNOWN)} |",
        "",
        "## Members",
        "",
        "Each is a MONAI bundle that also works on its own; its model card describes the training.",
        "",
        "| folder | model | sees | voxels (k, j, i) | windows |",
        "|---|---|---|---|---|",
    ]
    for name, model in zip(file.members, models, strict=True):
        plan = model.plan
        sees = f"slices across {_across(plan.orientation)}" if plan.dimensions == 2 else "the volume"
        voxels = " x ".join("own" if value is None else f"{value:g}" for value in plan.spacing)
        windows = " x ".join(map(str, plan.patch_size))
        lines.append(f"| {MEMBERS}/{name} | {model.name} | {sees} | {voxels} mm | {windows} |")
    lines += [
        "",
        "## Use",
        "",
        "```",
        "softseg predict MODEL IMAGE --out DIR",
        "```",
        "",
        str(details.get("intended_use", "For research. Not a medical device; not for clinical decisions.")),
        "",
    ]
    if details.get("training"):
        lines += ["## Training", "", str(details["training"]), ""]
    if details.get("command"):
        lines += ["```", str(details["command"]), "```", ""]
    lines += ["## Scores", ""]
    scores = details.get("scores") or {}
    if scores:
        lines += ["| score | value |", "|---|---|", *(f"| {name} | {value:.3f} |" for name, value in scores.items())]
    else:
        lines.append(_UNKNOWN)
    return "\n".join([*lines, "", "## Limits", "", str(details.get("limitations", _UNKNOWN)), ""])


def _across(orientation: str) -> str:
    return {"S": "the long axis (axial)", "I": "the long axis (axial)"}.get(
        orientation[2], "front and back (coronal)" if orientation[2] in "AP" else "left and right (sagittal)"
    )
