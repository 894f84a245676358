"""From the objects of all trainings to numbers of cases: which are found, which of the small ones, which are real."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from softseg.spreadsheets import read_rows
from softseg.studies.plan.data_specs import ObjectsSpec
from softseg.studies.work.tables import Result, write_rows

COLUMNS = ("case", "level", "node", "side", "volume_ml", "covered")


@dataclass(frozen=True)
class FoundObject:
    """An object of a training's test cases, of the ``reference`` or of the ``prediction``.

    ``covered`` is the fraction of its volume that the other side gives to the same node.
    """

    case: str
    level: int
    node: str
    side: str
    volume_ml: float
    covered: float


@dataclass(frozen=True)
class JobObjects:
    """The objects of one training, and what its rows have in common.

    Attributes
    ----------
    like: a row of the training; case, unit, level, node, metric and value are replaced.
    units: the subject of each case.
    objects: of all its test cases.
    """

    like: Result
    units: dict[str, str]
    objects: tuple[FoundObject, ...]


def write_objects(path: Path, rows: Iterable[dict[str, object]]) -> Path:
    """Write the objects of a training as CSV."""
    return write_rows(path, list(rows), COLUMNS)


def read_objects(path: Path) -> tuple[FoundObject, ...]:
    """Read what :func:`write_objects` wrote; none where there is no such file."""
    if not path.is_file():
        return ()
    with path.open(newline="", encoding="utf-8") as stream:
        return tuple(
            FoundObject(
                row["case"],
                int(row["level"]),
                row["node"],
                row["side"],
                float(row["volume_ml"]),
                float(row["covered"]),
            )
            for row in read_rows(stream)
        )


def small_bounds(jobs: Sequence[JobObjects], spec: ObjectsSpec) -> dict[tuple[int, str], float]:
    """Return, by level and node, the volume (ml) up to which an object of the reference is small.

    Without ``small_ml`` that is the 1/3 quantile of the node's objects in all test cases of the study, each case once.
    """
    volumes: dict[tuple[int, str], dict[str, list[float]]] = defaultdict(dict)
    for job in jobs:
        own: dict[tuple[int, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for item in job.objects:
            if item.side == "reference":
                own[item.level, item.node][item.case].append(item.volume_ml)
        for key, cases in own.items():
            for case, found in cases.items():
                volumes[key].setdefault(case, found)
    if spec.small_ml is not None:
        return dict.fromkeys(volumes, spec.small_ml)
    return {key: float(np.quantile(np.concatenate(list(cases.values())), 1 / 3)) for key, cases in volumes.items()}


def object_results(jobs: Sequence[JobObjects], spec: ObjectsSpec) -> list[Result]:
    """Return ``object_sensitivity``, ``small_object_sensitivity`` and ``object_precision`` of every case.

    One row per node, and one per level: the mean over the nodes of which the case has such objects.
    """
    bounds = small_bounds(jobs, spec)
    sides: dict[str, Callable[[FoundObject], bool]] = {
        "object_sensitivity": lambda item: item.side == "reference",
        "small_object_sensitivity": lambda item: (
            item.side == "reference" and item.volume_ml <= bounds[item.level, item.node] * (1 + 1e-6)
        ),
        "object_precision": lambda item: item.side == "prediction",
    }
    rows = []
    for job in jobs:
        for metric, belongs in sides.items():
            rows += _rows(job, metric, [item for item in job.objects if belongs(item)], spec.covered)
    return rows


def _rows(job: JobObjects, metric: str, objects: Sequence[FoundObject], covered: float) -> list[Result]:
    right: dict[tuple[str, int], dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for item in objects:
        right[item.case, item.level][item.node].append(item.covered >= covered - 1e-6)
    rows = []
    for (case, level), nodes in right.items():
        of_case = replace(job.like, case=case, unit=job.units[case], level=level, metric=metric)
        fractions = {node: float(np.mean(found)) for node, found in nodes.items()}
        rows += [replace(of_case, node=node, value=fraction) for node, fraction in fractions.items()]
        rows.append(replace(of_case, node="", value=float(np.mean(list(fractions.values())))))
    return rows
