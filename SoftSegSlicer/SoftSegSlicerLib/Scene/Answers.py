"""What the engine says beside the soft parcellation: how much answers differ, intervals of volumes, the mask."""

import json

from softseg.errors import InputError
from softseg.image import read_image
from softseg.spreadsheets import read_rows

from . import HeatMap, Placement, References, Stored
from .EngineWork import DISAGREEMENT, MASK, VOLUMES


def read(job):
    """Return what a job wrote, for :func:`keep`: how much answers differ, intervals of volumes, and the mask.

    Raises
    ------
    InputError: a file cannot be read.
    """
    paths = [job.resultFile(role) for role in (DISAGREEMENT, VOLUMES, MASK)]
    readers = (read_image, _intervals, read_image)
    return tuple(None if path is None else take(path) for path, take in zip(paths, readers, strict=True))


def keep(segmentationNode, image, intervals, mask):
    """Keep with a segmentation what :func:`read` returned; each is None where the job wrote no such thing."""
    if image is not None:
        HeatMap.keep(segmentationNode, References.DISAGREEMENT, image.array, image.geometry)
    if mask is not None:
        HeatMap.keep(segmentationNode, References.MASK, mask.array, mask.geometry)
    if intervals:
        name = f"{segmentationNode.GetName()} intervals"
        References.setText(segmentationNode, References.INTERVALS, name, json.dumps(intervals))


def intervalsOf(segmentationNode):
    """Return ``{node id: (low, high)}`` of the soft volumes in ml; empty where the model answered once.

    They grow with the segmentation as its volumes do.
    """
    text = References.textOf(segmentationNode, References.INTERVALS)
    if not text:
        return {}
    try:
        found = Stored.parsed(text)
        if not isinstance(found, dict) or not all(map(_isInterval, found.values())):
            raise ValueError("these are no intervals")
    except ValueError as error:
        textNode = References.referenced(segmentationNode, References.INTERVALS)
        raise InputError("the intervals of the volumes in the scene are damaged", file=textNode.GetName()) from error
    factor = Placement.growth(segmentationNode) * (Placement.worldGrowth(segmentationNode) or 1.0)
    return {id_: (low * factor, high * factor) for id_, (low, high) in found.items()}


def _isInterval(value):
    return isinstance(value, list) and len(value) == 2 and all(map(Stored.isNumber, value))


def _intervals(path):
    with open(path, newline="", encoding="utf-8") as stream:
        rows = [row for row in read_rows(stream) if row.get("soft_ml_low") and row.get("soft_ml_high")]
    return {row["id"]: (float(row["soft_ml_low"]), float(row["soft_ml_high"])) for row in rows}
