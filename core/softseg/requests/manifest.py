"""What a prediction says it wrote: which input became which case, in which folder, with which files.

The engine writes it as ``results.json`` into the output folder, for a single case too, and puts each case into its
``result`` event (key ``case``). Whoever wants a file of a case asks here; nothing else derives a path from a name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

from softseg.errors import InputError
from softseg.files import read_json_object, write_beside

RESULTS_FILE = "results.json"

FORMAT_VERSION = 2

State = Literal["done", "skipped", "failed"]

SOFT, LABELS, NODE, OUTLIERS, VOLUMES, MASK = "soft", "labels", "node", "outliers", "volumes", "mask"
NODES = "nodes"
"""Roles of files that others ask for; docs/prediction.md lists all roles."""

RECORD = "record"
"""Role of what says how a case was made, where it lies beside the files of other cases."""


@dataclass(frozen=True)
class OutputFile:
    """One file of a case.

    Attributes
    ----------
    role: what it is: ``"soft"``, ``"labels"``, ``"node"`` ...
    path: its name in the case's folder.
    of: which one of its role: the cut of a label map, the id of a node; empty where there is only one.
    """

    role: str
    path: str
    of: str = ""


@dataclass(frozen=True)
class WrittenCase:
    """The result of one case.

    Attributes
    ----------
    case: its name, as people read it.
    state: ``"done"``, ``"skipped"`` (complete before) or ``"failed"``.
    images: its files, one per channel, absolute.
    folder: of its results, None where it failed.
    files: in that folder.
    seconds: that it took.
    error: kind, message, file, field and hint of what went wrong.
    model: name of the model.
    """

    case: str
    state: State
    images: tuple[str, ...]
    folder: Path | None = None
    files: tuple[OutputFile, ...] = ()
    seconds: float = 0.0
    error: Mapping[str, str | None] | None = None
    model: str = ""

    def __post_init__(self) -> None:
        """Check the case.

        Raises
        ------
        InputError: the state is unknown, or a case that did not fail has no folder.
        """
        if self.state not in get_args(State):
            raise InputError(f"expected {', '.join(get_args(State))}, got {self.state!r}", field="state")
        if self.state != "failed" and self.folder is None:
            raise InputError(f"case {self.case} has no folder", field="folder")

    def file(self, role: str, of: str = "") -> Path:
        """Return the file of a role.

        Raises
        ------
        InputError: there is none.
        """
        for file in self.files:
            if self.folder is not None and (file.role, file.of) == (role, of):
                return self.folder / file.path
        raise InputError(
            f"case {self.case} has no file of this kind: {' '.join(part for part in (role, of) if part)}",
            file=self.folder,
            hint="look at the log, and predict it again",
        )

    @property
    def places(self) -> frozenset[Path]:
        """What of a folder the case takes: its files where they lie beside those of others, else the folder."""
        if self.folder is None:
            return frozenset()
        shared = [file for file in self.files if file.role == RECORD]
        return frozenset(self.folder.absolute() / file.path for file in shared) or frozenset({self.folder.absolute()})

    def to_json(self, beside: Path | None = None) -> dict[str, Any]:
        """Return it as plain values; the folder relative to ``beside`` where it lies in it, else absolute."""
        folder = self.folder
        if folder is not None:
            whole = folder.absolute()
            inside = beside is not None and beside.absolute() in (whole, *whole.parents)
            folder = whole.relative_to(beside.absolute()) if beside is not None and inside else whole
        return {
            "case": self.case,
            "state": self.state,
            "images": list(self.images),
            "folder": "" if folder is None else folder.as_posix(),
            "files": files_to_json(self.files),
            "seconds": self.seconds,
            "error": None if self.error is None else dict(self.error),
            "model": self.model,
        }

    @staticmethod
    def from_json(values: Mapping[str, Any], beside: Path | None = None) -> WrittenCase:
        """Return the case that :meth:`to_json` wrote.

        Raises
        ------
        InputError: something is missing, or of another kind.
        """
        try:
            folder = str(values.get("folder") or "")
            base = Path() if beside is None else beside
            return WrittenCase(
                case=str(values["case"]),
                state=values["state"],
                images=tuple(map(str, values["images"])),
                folder=base / folder if folder else None,
                files=files_from_json(values.get("files", ())),
                seconds=float(values.get("seconds", 0.0)),
                error=values.get("error"),
                model=str(values.get("model", "")),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"is no case of a prediction: {values}", file=beside) from error

    @staticmethod
    def of_event(event: Mapping[str, Any]) -> WrittenCase | None:
        """Return the case of a ``result`` event, None for another event."""
        values = event.get("case") if event.get("event") == "result" else None
        return WrittenCase.from_json(values) if isinstance(values, Mapping) else None


def files_to_json(files: Sequence[OutputFile]) -> list[dict[str, str]]:
    """Return files as plain values."""
    return [{"role": file.role, "of": file.of, "path": file.path} for file in files]


def files_from_json(values: Any) -> tuple[OutputFile, ...]:
    """Return the files that :func:`files_to_json` wrote; none of what is anything else."""
    found = values if isinstance(values, (list, tuple)) else ()
    return tuple(
        OutputFile(str(each["role"]), str(each["path"]), str(each.get("of", "")))
        for each in found
        if isinstance(each, Mapping) and "role" in each and "path" in each
    )


@dataclass(frozen=True)
class Manifest:
    """All cases of an output folder.

    Attributes
    ----------
    folder: the output folder.
    cases: in the order in which they were asked for; those of earlier commands after them.
    model: name of the model of the last command.
    """

    folder: Path
    cases: tuple[WrittenCase, ...] = ()
    model: str = ""

    @staticmethod
    def read(folder: str | PathLike[str]) -> Manifest:
        """Return the content of an output folder's ``results.json``.

        Raises
        ------
        InputError: there is no such file, or it holds something else.
        """
        place = Path(folder)
        path = place / RESULTS_FILE
        if not path.is_file():
            raise InputError("there is no such file: nothing was predicted into this folder", file=path)
        content = read_json_object(path)
        cases = content.get("cases")
        if not isinstance(cases, list):
            raise InputError("expected a list", file=path, field="cases")
        # before format 2 the folder was written as the command line gave it, from the folder of that time
        beside = place if content.get("format_version", 1) >= FORMAT_VERSION else None
        return Manifest(
            place, tuple(WrittenCase.from_json(case, beside) for case in cases), str(content.get("model", ""))
        )

    def of_images(self, images: Sequence[str | PathLike[str]]) -> WrittenCase:
        """Return the case of these files.

        Raises
        ------
        InputError: there is none.
        """
        wanted = absolute(images)
        for case in self.cases:
            if absolute(case.images) == wanted:
                return case
        raise InputError(f"no case of {', '.join(wanted)}", file=self.folder / RESULTS_FILE)

    def with_earlier(self, earlier: Manifest) -> Manifest:
        """Return this manifest and, after its own, the cases of an earlier one whose results are still there."""
        own = {absolute(case.images) for case in self.cases}
        places = {place for case in self.cases for place in case.places}
        kept = [
            case
            for case in earlier.cases
            if case.folder is not None
            and case.folder.is_dir()
            and not places.intersection(case.places)
            and absolute(case.images) not in own
        ]
        return Manifest(self.folder, (*self.cases, *kept), self.model)

    def write(self) -> Path:
        """Write ``results.json``; it is complete or absent.

        Raises
        ------
        InputError: it cannot be written.
        """
        target = self.folder / RESULTS_FILE
        counts = {state: sum(case.state == state for case in self.cases) for state in get_args(State)}
        content = {
            "format_version": FORMAT_VERSION,
            "model": self.model,
            **counts,
            "cases": [case.to_json(self.folder) for case in self.cases],
        }
        with write_beside(target) as file:  # pure ASCII: names of files need not be valid text
            file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        return target


def absolute(images: Sequence[str | PathLike[str]]) -> tuple[str, ...]:
    """Return files with their whole path: what identifies a case.

    Links are not followed: two names of one file are two cases, as in folders that version control fills with links.
    """
    return tuple(os.path.abspath(image) for image in images)  # noqa: PTH100 - resolve() follows links
