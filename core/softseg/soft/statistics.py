"""Numbers of each structure of a stored soft parcellation: volumes, certainty, intensities of scans."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from softseg.errors import InputError
from softseg.events import Events
from softseg.files import write_beside
from softseg.image import read_image, say_notes
from softseg.requests.statistics import StatisticsRequest
from softseg.soft.intensities import NodeIntensities, intensities_on
from softseg.soft.parcellation import SoftParcellation
from softseg.spreadsheets import guarded, write_rows

COLUMNS = ("id", "name", "level", "soft_ml", "hard_ml", "certainty")
"""Columns that every table has; each scan adds ``NAME_mean``, ``NAME_std`` and ``NAME_median``."""

_ENDING = re.compile(r"\.(nii|nrrd|mha|mhd|nhdr|mgz|mgh|img|hdr)?(\.gz)?$", re.IGNORECASE)

Row = dict[str, Any]


def run_statistics(request: StatisticsRequest, events: Events | None = None) -> Path:
    """Write the requested table and return its path.

    Raises
    ------
    InputError: the request does not fit the tree, a scan does not lie where the result is, or a file is wrong.
    """
    events = Events() if events is None else events
    images = _named_images(request.images)
    events.stage("statistics")
    stored = SoftParcellation.load(request.soft)
    stored = stored if request.corrected else stored.predicted
    rows = statistics(stored, _node_ids(stored, request))
    columns = [*COLUMNS]
    for name, file in images.items():
        columns += _add_intensities(rows, stored, name, file, events)
    path = write_statistics(rows, columns, request.out)
    events.result("statistics", path)
    return path


def statistics(parcellation: SoftParcellation, node_ids: Iterable[str] | None = None) -> list[Row]:
    """Return a row for each node.

    Parameters
    ----------
    parcellation: the soft parcellation.
    node_ids: ids of the nodes; all by default, in the tree's order.

    Returns
    -------
    One mapping a node: ``id``, ``name``, ``level`` (0 is the root), ``soft_ml`` (sum of its probabilities), ``hard_ml``
    (volume of the voxels in which it has the largest probability at its level, the plain baseline) and ``certainty``
    (its mean probability in these voxels, 0..1, NaN where there are none).
    """
    wanted = None if node_ids is None else set(node_ids)
    return [
        {
            "id": volume.id,
            "name": volume.name,
            "level": volume.depth,
            "soft_ml": volume.soft_ml,
            "hard_ml": volume.hard_ml,
            "certainty": volume.certainty,
        }
        for volume in parcellation.volumes()
        if wanted is None or volume.id in wanted
    ]


def write_statistics(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], out: Path) -> Path:
    """Write rows as ``.csv``, ``.tsv`` or ``.json``, by the ending; a number that is not known is empty, or null.

    Raises
    ------
    InputError: the folder cannot be written, or the disk is full.
    """
    known = [{name: row.get(name) for name in columns} for row in rows]
    known = [{name: None if _unknown(value) else value for name, value in row.items()} for row in known]
    with write_beside(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        if out.name.lower().endswith(".json"):
            json.dump(known, stream, indent=1, ensure_ascii=False)
            stream.write("\n")
            return out
        cells = [{name: "" if value is None else value for name, value in row.items()} for row in known]
        if out.name.lower().endswith(".tsv"):
            writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
            writer.writerows([columns, *([guarded(row[name]) for name in columns] for row in cells)])
        else:
            write_rows(stream, columns, cells)
    return out


def _unknown(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _node_ids(parcellation: SoftParcellation, request: StatisticsRequest) -> list[str] | None:
    if request.cut is not None:
        return [node.id for node in parcellation.tree.cut_from(request.cut).nodes]
    return [parcellation.tree.find(each).id for each in request.nodes] or None


def _named_images(images: Sequence[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for text in images:
        name, separator, file = text.partition("=")
        if not separator or not name or Path(text).exists():
            name, file = _ENDING.sub("", Path(text).name), text
        if name in found:
            raise InputError(f"two scans are called '{name}'", field="--image", hint=f"name one: --image other={file}")
        found[name] = Path(file)
    return found


def with_intensities(
    rows: Sequence[Row], measured: NodeIntensities, name: str, progress: Callable[[int, int], object] | None = None
) -> list[str]:
    """Add mean, deviation and median of a scan's intensities to rows, and return the columns' names.

    Parameters
    ----------
    rows: of :func:`statistics`; changed.
    measured: of the scan.
    name: of the scan.
    progress: told how many of how many rows are done.
    """
    for position, row in enumerate(rows):
        if progress is not None:
            progress(position, len(rows))
        found = measured.of(row["id"])
        row |= {f"{name}_mean": found.mean, f"{name}_std": found.std, f"{name}_median": found.median}
    return [f"{name}_{measure}" for measure in ("mean", "std", "median")]


def _add_intensities(
    rows: Sequence[Row], parcellation: SoftParcellation, name: str, file: Path, events: Events
) -> list[str]:
    image = read_image(file)
    say_notes(image.notes, file, events.warning)
    measured = NodeIntensities(parcellation, intensities_on(image, parcellation.geometry))
    columns = with_intensities(rows, measured, name, events.progress)
    if all(_unknown(row[columns[0]]) for row in rows):
        raise InputError("none of its voxels lie in the structures of the result", file=file, field="--image")
    return columns
