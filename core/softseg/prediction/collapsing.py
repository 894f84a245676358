"""From a stored soft parcellation to a label map at a cut or to one node's soft map; needs no torch."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from softseg.errors import InputError
from softseg.events import Events
from softseg.image import Image, say_notes, write_image
from softseg.prediction.answers import write_answers
from softseg.prediction.outputs import CutSpec, as_map, map_type_of, write_labels
from softseg.soft.confidence import steps_of
from softseg.soft.parcellation import SoftParcellation


def collapse(
    soft: str | PathLike[str],
    out: str | PathLike[str],
    *,
    cut: CutSpec | None = None,
    node: str | None = None,
    confidence: float | None = None,
    map_type: str = "float32",
    events: Events | None = None,
) -> Path:
    """Write the label map at a cut, the share of a node, or the answer as deep as it is sure, of a stored parcellation.

    Parameters
    ----------
    soft: a ``.soft.npz`` file.
    out: the image to write; beside a label map that ends in .nii.gz goes a colour table (.ctbl) of the same name.
    cut: a level, ``"leaves"`` or a file of node ids. The label of a voxel is the node of the largest *summed* share.
    node: id or name of a node.
    confidence: 0.5..1: in each voxel the deepest node of at least this probability (ours); beside it go a colour table
        and a table (.csv) of how much was answered with each node. Give one of the three.
    map_type: of a node's map: ``"float32"`` (0..1) or ``"uint8"`` (round(255 x share)).
    events: stages, the result, cancelling.

    Raises
    ------
    InputError: none or several of cut, node and confidence are given, they do not fit the tree, or a file is wrong.
    """
    events = Events() if events is None else events
    if sum(given is not None for given in (cut, node, confidence)) != 1:
        raise InputError("give either --cut, --node or --confidence", field="--cut/--node/--confidence")
    if confidence is not None:
        steps_of(confidence)
    kind = map_type_of(map_type)
    events.stage("collapse")
    stored = SoftParcellation.load(soft)
    say_notes(stored.geometry.notes, soft, events.warning)
    events.check()
    if cut is not None:
        path = write_labels(stored, stored.tree.cut_from(cut), Path(out))
        events.result("labels", path)
        return path
    if confidence is not None:
        path = write_answers(stored, confidence, Path(out))
        events.result("labels", path)
        return path
    image = Image(stored.probability(stored.tree.find(str(node)).id), stored.geometry)
    path = write_image(as_map(image, kind), out)
    events.result("soft map", path)
    return path
