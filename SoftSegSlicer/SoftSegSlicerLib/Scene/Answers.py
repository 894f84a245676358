"""What repeated answers of a model say beside their mean: how much they differ, and intervals of volumes."""

import json

from softseg.errors import InputError
from softseg.image import read_image
from softseg.spreadsheets import read_rows

from . import HeatMap, Placement, References, Stored
from .EngineWork import DISAGREEMENT, VOLUMES


def keep(segmentationNode, job):
    """Keep with a segmentation what its job wrote of repeated answers, if it did.

    Raises
    ------
    InputError: a file cannot be read.
    """
    path = job.resultFile(DISAGREEMENT)
    if path is not None:
        image = read_image(path)
        HeatMap.keep(segmentationNode, References.DISAGREEMENT, image.array, image.geometry)
    path = job.resultFile(VOLUMES)
    found = {} if path is None else _intervals(path)
    if found:
        name = f"{segmentationNode.GetName()} intervals"
        References.setText(segmentationNode, References.INTERVALS, name, json.dumps(found))


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
