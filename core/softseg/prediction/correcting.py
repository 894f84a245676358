"""Corrections of a stored soft parcellation, from files; needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from softseg.data.preprocess import describe_grid, same_voxels
from softseg.errors import InputError
from softseg.events import Events
from softseg.geometry import Geometry
from softseg.image import Image, read_image, say_notes
from softseg.requests.correct import CorrectRequest
from softseg.soft.corrections import Correction
from softseg.soft.parcellation import SoftParcellation
from softseg.tree.labels import whole_numbers
from softseg.types import BoolArray


def run_correct(request: CorrectRequest, events: Events | None = None, show: Callable[[str], object] = print) -> None:
    """Correct a stored parcellation, take corrections back, or list them.

    Parameters
    ----------
    request: what is asked.
    events: stages, the result, what was answered how, cancelling.
    show: receives the list, line by line.

    Raises
    ------
    InputError: what is asked does not fit the parcellation, or a file is wrong.
    """
    events = Events() if events is None else events
    stored = SoftParcellation.load(request.soft)
    if request.listed:
        for line in listing(stored):
            show(line)
        return
    events.stage("correct")
    say_notes(stored.geometry.notes, request.soft, events.warning)
    if request.undo:
        corrected = _undone(stored, request.undo)
    elif request.labels is not None:
        labels = _on_grid(request.labels, stored.geometry)
        cut = stored.tree.cut_from(str(request.cut))
        try:
            corrected = stored.corrected_by_labels(cut, labels.array, author=request.author)
        except InputError as error:
            raise InputError(error.message, file=request.labels, field=error.field, hint=error.hint) from error
    else:
        mask = _mask(Path(str(request.voxels)), stored.geometry)
        try:
            node = stored.tree.find(str(request.node)).id
            corrected = stored.corrected(node, mask, is_node=not request.is_not, author=request.author)
        except InputError as error:
            raise InputError(error.message, file=request.soft, field="--node", hint=error.hint) from error
    if not request.undo:
        _say(stored, corrected, events)
    events.check()
    events.result("soft parcellation", corrected.save(Path(str(request.out))))


def listing(parcellation: SoftParcellation) -> list[str]:
    """Return a line for each correction, the oldest first: id, time, node, number of voxels, author."""
    if not parcellation.corrections:
        return ["no corrections"]
    return [
        f"{one.id}  {one.time}  {_said(one)}{f'  by {one.author}' if one.author else ''}"
        for one in parcellation.corrections
    ]


def _said(correction: Correction) -> str:
    word = "is" if correction.is_node else "is not"
    ways = [
        f"{number} {how}"
        for number, how in ((correction.nearest, "from the nearest voxel"), (correction.even, "evenly"))
        if number
    ]
    return f"{word} {correction.node_id}: {correction.voxel_count} voxels" + (f" ({', '.join(ways)})" if ways else "")


def _say(before: SoftParcellation, after: SoftParcellation, events: Events) -> None:
    new = after.corrections[len(before.corrections) :]
    if not new:
        events.warning("nothing was changed: no voxel has another label")
    for correction in new:
        events.log(f"correction {correction.id} {_said(correction)}")


def _undone(stored: SoftParcellation, undo: Sequence[str]) -> SoftParcellation:
    if not stored.corrections:
        raise InputError("there is nothing to undo: no corrections", field="--undo")
    if list(undo) == ["all"]:
        return stored.predicted
    for id_ in undo:
        if id_ == "last" and not stored.corrections:
            raise InputError("there is nothing more to undo", field="--undo")
        stored = stored.without(stored.corrections[-1].id if id_ == "last" else id_)
    return stored


def _mask(file: str | PathLike[str], grid: Geometry) -> BoolArray:
    image = _on_grid(file, grid)
    try:
        values = whole_numbers(image.array)
    except InputError as error:
        raise InputError(f"expected a mask: {error.message}", file=file) from error
    if not values.any():
        raise InputError("the mask is empty, no voxel is larger than 0", file=file)
    return np.asarray(values > 0)


def _on_grid(file: str | PathLike[str], grid: Geometry) -> Image:
    """Return a label map that lies on the grid of a parcellation.

    Raises
    ------
    InputError: it cannot be read, or lies on another grid.
    """
    image = read_image(file, labels=True)
    if not same_voxels(grid, image.geometry):
        raise InputError(
            f"lies on another grid than the soft parcellation: {describe_grid(image.geometry)}, "
            f"expected {describe_grid(grid)}",
            file=file,
            hint="draw on a label map of this result, or resample it",
        )
    return image
