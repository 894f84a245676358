"""Files of an answer as deep as it is sure: a label map of mixed depth, its colour table, and how much of each node.

``LABELS.nii.gz`` holds :meth:`SoftParcellation.confident_labels`, ``LABELS.ctbl`` names and colours every node of the
tree, ``LABELS.csv`` lists the volume of each.
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from softseg.files import write_together
from softseg.image import Image, write_image
from softseg.soft.confidence import steps_of
from softseg.spreadsheets import write_rows
from softseg.tree import LabelTree, Node, node_colors
from softseg.types import OUTLIER_VALUE

if TYPE_CHECKING:
    from softseg.soft.parcellation import SoftParcellation

UNKNOWN = "unknown"
"""Id of what is known of no node, in tables."""

COLUMNS = ("id", "name", "level", "value", "ml", "share")


def file_stem(confidence: float) -> str:
    """Return the name, without ending, of the files at a confidence level.

    Raises
    ------
    InputError: the level is not in 0.5..1.
    """
    steps_of(confidence)
    return f"labels_confidence{confidence:g}"


def write_answers(parcellation: SoftParcellation, confidence: float, path: Path, outliers: bool = True) -> Path:
    """Write the label map of mixed depth, and beside it the colour table (.ctbl) and the table of volumes (.csv).

    Raises
    ------
    InputError: the confidence is not in 0.5..1, or a file cannot be written.
    """
    labels = parcellation.confident_labels(confidence, outliers)
    stem = path.name.removesuffix(".nii.gz")
    counts = np.bincount(labels.reshape(-1), minlength=OUTLIER_VALUE + 1)
    rows = answer_rows(parcellation.tree, counts, parcellation.geometry.voxel_volume_ml)
    with write_together(path) as place:
        write_image(Image(labels, parcellation.geometry), place / path.name)
        color_tree(parcellation.tree).save(place / f"{stem}.ctbl")
        with (place / f"{stem}.csv").open("w", newline="", encoding="utf-8") as stream:
            write_rows(stream, COLUMNS, rows)
    return path


def answer_rows(tree: LabelTree, counts: npt.NDArray[np.intp], voxel_ml: float) -> list[dict[str, str | int | float]]:
    """Return a row for every node in tree order, and the last one for what is unknown.

    Parameters
    ----------
    tree: the label tree.
    counts: voxels of each label value, ``[65536]``.
    voxel_ml: volume of one.

    Returns
    -------
    Rows of id, name, level (depth), value, volume in ml, and fraction of the foreground (empty for it).
    """
    background = None if tree.background is None else tree.background.id
    unknown = 0 if background is None else OUTLIER_VALUE
    values = tree.node_values()
    total = int(counts.sum()) - (int(counts[0]) if background is not None else 0)
    nodes: list[tuple[str, str, int | str, int]] = [
        (node.id, node.name, tree.depth_of(node.id), values[node.id]) for node in tree.nodes
    ]
    return [
        {
            "id": id_,
            "name": name,
            "level": level,
            "value": value,
            "ml": round(int(counts[value]) * voxel_ml, 6),
            "share": "" if id_ == background or not total else round(int(counts[value]) / total, 6),
        }
        for id_, name, level, value in [*nodes, (_free(UNKNOWN, values), "Unknown", "", unknown)]
    ]


def color_tree(tree: LabelTree) -> LabelTree:
    """Return a flat tree with every node of ``tree`` as a leaf, with value and colour, for colour tables."""
    colors, values = node_colors(tree), tree.node_values()
    unknown, top = _free(UNKNOWN, values), _free("answers", values)
    value = 0 if tree.background is None else OUTLIER_VALUE
    leaves = [Node(node.id, node.name, top, value=values[node.id], color=colors[node.id]) for node in tree.nodes]
    leaves.append(Node(unknown, "Unknown", top, value=value, color=(128, 128, 128) if value else (0, 0, 0)))
    return LabelTree([Node(top, top, None), *leaves], tree.name)


def _free(id_: str, taken: Container[str]) -> str:
    """Return ``id_``, with as many dashes as it takes to be no node's id."""
    while id_ in taken:
        id_ += "-"
    return id_
