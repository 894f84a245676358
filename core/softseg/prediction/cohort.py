"""A cohort shared by several processes: who predicts which case, and the one table of what became of each.

Each process of ``torchrun`` (or of anything else that sets RANK and WORLD_SIZE) takes every WORLD_SIZE-th case. They do
not talk to each other: each writes its own part of the table, and whoever finds all parts joins them.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from softseg import torchrun
from softseg.errors import InputError, SoftSegError
from softseg.files import write_beside
from softseg.prediction.outputs import INTERVAL_COLUMNS, VOLUMES_FILE, write_volumes
from softseg.requests.manifest import VOLUMES, Manifest, WrittenCase
from softseg.spreadsheets import read_rows

_LONGEST_WAIT = timedelta(days=30)  # for the slowest process of a cohort

Item = TypeVar("Item")


@dataclass(frozen=True)
class ProcessRank:
    """The rank of this process among those that divide the cases.

    Attributes
    ----------
    rank: of this process, 0 .. world - 1.
    world: number of processes.
    local: of this process among those of its machine: which GPU it takes.
    """

    rank: int = 0
    world: int = 1
    local: int = 0

    @staticmethod
    def of_environment() -> ProcessRank:
        """Return the rank from RANK, WORLD_SIZE and LOCAL_RANK; the only process without them.

        Raises
        ------
        InputError: they are not numbers, or the rank is not below the number of processes.
        """
        numbers = {name: torchrun.number(name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
        if not numbers["WORLD_SIZE"]:
            return ProcessRank()
        try:
            rank, world, local = int(numbers["RANK"]), int(numbers["WORLD_SIZE"]), int(numbers["LOCAL_RANK"] or 0)
        except ValueError:
            rank = world = local = -1
        if not 0 <= rank < world or local < 0:
            raise InputError(
                f"expected RANK below WORLD_SIZE, got {numbers}", field="environment", hint="start it with torchrun"
            )
        return ProcessRank(rank, world, local)

    def of(self, items: Sequence[Item]) -> list[Item]:
        """Return this process's part of a list that all processes have alike."""
        return list(items[self.rank :: self.world])

    def wait_for_all(self) -> None:
        """Wait until all processes of ``torchrun`` come here.

        It ends the others as soon as one ends with an error, so a process whose cases failed must not end first.
        Processes started otherwise do not wait.
        """
        if self.world == 1 or not torchrun.started_this():
            return
        import torch.distributed as distributed

        distributed.init_process_group("gloo", timeout=_LONGEST_WAIT)
        try:
            distributed.barrier()
        finally:
            distributed.destroy_process_group()


def error_fields(error: SoftSegError) -> dict[str, str | None]:
    """Return an error as the manifest holds it."""
    return {"kind": error.kind, "message": error.message, "file": error.file, "field": error.field, "hint": error.hint}


class CaseTable:
    """The cases of one process, and the joint :class:`~softseg.requests.manifest.Manifest` of all processes.

    Parameters
    ----------
    out: the output folder.
    process: this process's rank.
    names: of all cases of all processes, in order.
    model: name of the model.
    """

    def __init__(self, out: Path, process: ProcessRank, names: Sequence[str], model: str) -> None:
        self._out, self._process, self._names, self._model = out, process, list(names), model
        self._cases: list[WrittenCase] = []
        self._part(process.rank).unlink(missing_ok=True)

    def add(self, case: WrittenCase) -> None:
        """Add the result of a case."""
        self._cases.append(case)

    def finish(self) -> list[Path]:
        """Write this process's part; where all parts are there, join them and return the finished files.

        These are ``results.json``, and ``volumes.csv`` with the volumes of all cases when there are several. Cases of
        earlier commands stay in both as long as their folders are there.
        """
        if self._process.world == 1:
            return self._join(self._cases)
        with write_beside(self._part(self._process.rank)) as part:
            part.write_text(json.dumps([case.to_json(self._out) for case in self._cases]), encoding="utf-8")
        parts = [self._part(rank) for rank in range(self._process.world)]
        try:
            states = [state for part in parts for state in json.loads(part.read_text(encoding="utf-8"))]
        except (FileNotFoundError, ValueError):  # others still work, or have joined the parts already
            return []
        finished = self._join([WrittenCase.from_json(state, self._out) for state in states])
        for part in parts:
            with contextlib.suppress(OSError):
                part.unlink()
        return finished

    def _part(self, rank: int) -> Path:
        return self._out / f".results-{rank + 1}-of-{self._process.world}.json"

    def _join(self, cases: Sequence[WrittenCase]) -> list[Path]:
        order = {name: number for number, name in enumerate(self._names)}
        ordered = sorted(cases, key=lambda case: order.get(case.case, len(order)))
        manifest = Manifest(self._out, tuple(ordered), self._model)
        with contextlib.suppress(InputError):  # there is none yet, or something else
            manifest = manifest.with_earlier(Manifest.read(self._out))
        finished = [manifest.write()]
        there = [case for case in manifest.cases if case.folder is not None]
        names = _labels(there)
        volumes = {names[number]: rows for number, case in enumerate(there) if (rows := _volumes(case))}
        if len(volumes) > 1:
            finished.append(write_volumes(volumes, self._out / VOLUMES_FILE))
        return finished


def _labels(cases: Sequence[WrittenCase]) -> list[str]:
    """Return what each case is called in the table of volumes: its name, or its folder's where names repeat."""
    counts = Counter(case.case for case in cases)
    return [case.folder.name if counts[case.case] > 1 and case.folder is not None else case.case for case in cases]


def _volumes(case: WrittenCase) -> list[dict[str, str | int | float]]:
    """Return the rows of a case's table of volumes as text, none where it cannot be read."""
    name = next((file.path for file in case.files if file.role == VOLUMES), VOLUMES_FILE)
    path = (case.folder or Path()) / name
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return [dict(row) for row in read_rows(stream)]


def volumes_of(case: WrittenCase) -> list[dict[str, str | int | float]]:
    """Return the rows of a finished case's ``volumes.csv``, numbers as numbers."""
    return [
        {
            **row,
            "level": int(row["level"]),
            **{name: float(row[name]) for name in ("soft_ml", "hard_ml", *INTERVAL_COLUMNS) if name in row},
        }
        for row in _volumes(case)
    ]
