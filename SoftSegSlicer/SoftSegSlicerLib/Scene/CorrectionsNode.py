"""The corrections of a result: hidden text in the scene, beside the parcellation, which is never written anew."""

import base64
import hashlib
import json
import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from softseg.errors import InputError
from softseg.soft.corrections.correction import Correction, utc_text
from softseg.soft.corrections.runs import Runs
from softseg.texts import parse_json

from . import References

_VERSION = 1
_MOST_BYTES = 1 << 28
"""Of the runs of one correction; more are no stroke."""


@dataclass(frozen=True)
class Said:
    """A correction of a result.

    Attributes
    ----------
    correction: softseg.soft.Correction; its node is one of the tree that the result had then.
    leaves: ids of the leaves below that node then, by which it is found where a later tree lacks it.
    """

    correction: Any
    leaves: tuple

    @cached_property
    def document(self):
        """What the scene's text says of it; packed once, however many corrections follow."""
        correction = self.correction
        runs = np.stack([correction.runs.starts, correction.runs.lengths]).astype("<i8")
        return {
            "id": correction.id,
            "node": correction.node_id,
            "is_node": correction.is_node,
            "author": correction.author,
            "time": correction.time,
            "leaves": list(self.leaves),
            "shape": list(correction.runs.shape),
            "runs": base64.b64encode(zlib.compress(runs.tobytes())).decode(),
        }


def saidOf(parcellation):
    """Return what was said of a soft parcellation, as its file says."""
    tree = parcellation.tree
    return tuple(
        Said(correction, tuple(leaf.id for leaf in tree.leaves_under(correction.node_id)))
        for correction in parcellation.corrections
    )


def read(segmentationNode):
    """Return what was said of a result, the oldest first.

    Raises
    ------
    InputError: the text in the scene is damaged.
    """
    text = References.textOf(segmentationNode, References.CORRECTIONS)
    if not text:
        return ()
    digest = _digest(text)
    if _LAST.get("digest") != digest:
        _LAST.update(digest=digest, said=_parsed(text))
    return _LAST["said"]


def write(segmentationNode, said):
    """Keep what was said of a result with it; nothing where nothing was said."""
    if not said and References.referenced(segmentationNode, References.CORRECTIONS) is None:
        return
    text = json.dumps({"version": _VERSION, "corrections": [each.document for each in said]}) if said else ""
    name = f"{segmentationNode.GetName()} corrections"
    References.setText(segmentationNode, References.CORRECTIONS, name, text)
    if text:
        _LAST.update(digest=_digest(text), said=tuple(said))


def gather(segmentationNode, source):
    """Let corrections follow the voxels of a result to another grid.

    Parameters
    ----------
    segmentationNode: the result.
    source: integers ``(k, j, i)`` on the other grid: number of the voxel that is taken, -1 for none.
    """
    moved = []
    for each in read(segmentationNode):
        mask = each.correction.voxels.reshape(-1)
        voxels = np.flatnonzero(mask[np.maximum(source, 0)].reshape(-1) & (source.reshape(-1) >= 0))
        runs = Runs.of_voxels(voxels, source.shape)
        moved.append(Said(replace(each.correction, runs=runs), each.leaves))
    write(segmentationNode, moved)


_LAST: dict = {}
"""What was read or written last."""


def _digest(text):
    return hashlib.sha256(text.encode()).digest()


def _parsed(text):
    try:
        return tuple(_said(each) for each in parse_json(text)["corrections"])
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
        raise InputError("the corrections in the scene are damaged", hint="load the result's file again") from error


def _said(document):
    k, j, i = (int(size) for size in document["shape"])
    texts = [document[key] for key in ("id", "node", "author")]
    if not all(isinstance(text, str) for text in (*texts, *document["leaves"])):
        raise TypeError("expected texts")
    content = zlib.decompressobj().decompress(base64.b64decode(document["runs"]), _MOST_BYTES)
    starts, lengths = np.frombuffer(content, "<i8").reshape(2, -1)
    runs = Runs(starts.astype(np.int64), lengths.astype(np.int64), (k, j, i))
    id_, node, author = texts
    correction = Correction(id_, node, bool(document["is_node"]), author, utc_text(document["time"]), runs)
    return Said(correction, tuple(document["leaves"]))
