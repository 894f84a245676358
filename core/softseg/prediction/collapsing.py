"""From a stored soft parcellation to a label map at a cut or to one node's soft map; needs no torch."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from softseg.events import Events
from softseg.image import Image, say_notes, write_image
from softseg.prediction.answers import write_answers
from softseg.prediction.outputs import as_map, map_type_of, write_labels
from softseg.requests.predict import CollapseRequest
from softseg.soft.parcellation import SoftParcellation


def collapse(
    soft: str | PathLike[str], out: str | PathLike[str], *, events: Events | None = None, **asked: Any
) -> Path:
    """Make a label map or a soft map of a stored parcellation; :func:`run_collapse` with a request of these values.

    Parameters
    ----------
    soft: a ``.soft.npz`` file.
    out: the image to write.
    events: stages, the result, cancelling.
    asked: one of cut, node and confidence, map_type and corrected, of :class:`~softseg.requests.CollapseRequest`.

    Raises
    ------
    InputError: none or several of cut, node and confidence are given, they do not fit the tree, or a file is wrong.
    """
    asked = {name: str(value) if name == "cut" and value is not None else value for name, value in asked.items()}
    return run_collapse(CollapseRequest(Path(soft), Path(out), **asked), events)


def run_collapse(request: CollapseRequest, events: Events | None = None) -> Path:
    """Write the label map at a cut, the map of a node, or the answer as deep as it is sure, of a stored parcellation.

    Raises
    ------
    InputError: what is asked does not fit the tree, or a file is wrong.
    """
    events = Events() if events is None else events
    kind = map_type_of(request.map_type)
    events.stage("collapse")
    stored = SoftParcellation.load(request.soft)
    if not request.corrected:
        stored = stored.predicted
    say_notes(stored.geometry.notes, request.soft, events.warning)
    if stored.geometry.notes and not request.out.name.lower().endswith((".nii", ".nii.gz")):
        events.warning(f"{request.out}: this format cannot keep what the scan's header leaves open; .nii.gz can")
    events.check()
    if request.cut is not None:
        path = write_labels(stored, stored.tree.cut_from(request.cut), request.out)
        events.result("labels", path)
        return path
    if request.confidence is not None:
        path = write_answers(stored, request.confidence, request.out)
        events.result("labels", path)
        return path
    image = Image(stored.probability(stored.tree.find(str(request.node)).id), stored.geometry)
    path = write_image(as_map(image, kind), request.out)
    events.result("soft map", path)
    return path
