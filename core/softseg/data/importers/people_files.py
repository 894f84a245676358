"""Tables of the person of each case, and files of splits, as a user gives them to an importer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from softseg.data.importers.files import listed, stem
from softseg.errors import InputError
from softseg.events import Events
from softseg.tables import NamedTable, read_named_table
from softseg.texts import read_json

_COLUMNS = {
    "case": (
        "case", "case_id", "scan", "scan_id", "filename", "file", "file_name", "image", "image_id", "identifier",
        "name", "id",
    ),
    "person": ("person", "person_id", "patient", "patient_id", "individual"),
    "participant": ("participant_id", "participant", "subject", "subject_id", "sub"),
    "group": ("group", "group_id"),
    "rescan": ("rescan_of", "rescan", "repeat_of", "same_person_as", "follow_up_of"),
    "split": ("split", "set", "partition"),
}  # fmt: skip
_SPLITS = {
    "train": ("train", "training", "tr"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "ts", "holdout"),
}


@dataclass(frozen=True)
class People:
    """A table's columns by case id: the person, and the split (empty where it is not given)."""

    person: Mapping[str, str]
    split: Mapping[str, str]


def read_people(file: Path, ids: Sequence[str], groups: Mapping[str, str], events: Events) -> People:
    """Read a table of people.

    Parameters
    ----------
    file: the table, with columns named as in ``docs/datasets.md``.
    ids: of the cases.
    groups: the persons known from the layout; the id itself where it is not known.
    events: receives what was found.

    Raises
    ------
    InputError: it is no such table, leaves out a case, or has two values for one; the line is named.
    """
    table = read_named_table(file, _COLUMNS)
    key, person = _key_and_person(table, file)
    person_of: dict[str, str] = {}
    split_of: dict[str, str] = {}
    line_of: dict[str, int] = {}
    rescans: list[tuple[str, str, int]] = []
    by_person = {} if key == "case" else _cases_by_person([row.cells[key] for row in table.rows], ids, groups)
    for row in table.rows:
        name = row.cells[key]
        if not name or name.casefold() == "n/a":
            raise InputError(f"no {table.columns[key]}", file=file, field=f"line {row.line}")
        found = _case_of(name, ids) if key == "case" else by_person[name]
        who = row.cells.get(person, "") if person else ""
        who = "" if who.casefold() == "n/a" else who
        for case in found:
            if case in line_of and person_of.get(case, "") != who:
                raise InputError(
                    f"case {case!r} is of {person_of.get(case)!r} in line {line_of[case]} and of {who!r} here",
                    file=file,
                    field=f"line {row.line}",
                )
            line_of[case], person_of[case] = row.line, who
            split_of[case] = _split_name(row.cells.get("split", ""), file, row.line)
            if row.cells.get("rescan", "").casefold() not in ("", "n/a", "no", "0"):
                rescans.append((case, row.cells["rescan"], row.line))
    if person:
        _check_known(ids, groups, person_of, file, events)
    people = {case: who or groups[case] for case, who in person_of.items()}
    for case, other, line in rescans:
        before = _case_of(other, ids)
        if len(before) != 1:
            raise InputError(f"no case {other!r}, which {case!r} repeats", file=file, field=f"line {line}")
        old, new = people.get(case, groups[case]), people.get(before[0], groups[before[0]])
        people.setdefault(before[0], new)
        people = {name: new if who == old else who for name, who in people.items()}
    events.log(f"{file}: {len(set(people.values()))} people in {len(people)} cases")
    return People(people, split_of)


def _key_and_person(table: NamedTable, file: Path) -> tuple[str, str]:
    """Return which columns name the case and the person (empty: only rescans are named)."""
    given = table.columns
    person = next((column for column in ("person", "participant") if column in given), "")
    if "case" in given:
        person = person or ("group" if "group" in given else "")
        if person or "rescan" in given:
            return "case", person
        raise InputError(
            "no column names the person of a case", file=file, hint="name it person, subject, participant_id or group"
        )
    if "participant" in given:
        return "participant", person
    if "person" in given:
        return "person", "person"
    raise InputError(
        "no column names the cases",
        file=file,
        hint="name it case, scan or filename; or list people by participant_id, subject or person",
    )


def _case_of(name: str, ids: Sequence[str]) -> list[str]:
    """Return the case that a cell means, by its id or by the name of one of its files; empty if there is none."""
    plain = stem(Path(name.replace("\\", "/")))
    for wanted in (name, plain, re.sub(r"_\d{4}$", "", plain)):
        if wanted in ids:
            return [wanted]
    longest = max((case for case in ids if plain.startswith(f"{case}_")), key=len, default=None)
    return [] if longest is None else [longest]


def _cases_by_person(names: Sequence[str], ids: Sequence[str], groups: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the cases of each person: of all names that a case begins with, the longest is its person."""
    found: dict[str, list[str]] = {name: [] for name in names}
    for case in ids:
        fitting = [name for name in names if _begins(name, case) or _begins(name, groups[case])]
        if fitting:
            found[max(fitting, key=len)].append(case)
    return found


def _begins(name: str, text: str) -> bool:
    """Whether a text is a person's name, with ``sub-`` in front or not, or goes on behind it with a sign."""
    return any(re.match(rf"{re.escape(one)}(?![A-Za-z0-9])", text) for one in (name, f"sub-{name}"))


def _check_known(
    ids: Sequence[str], groups: Mapping[str, str], person_of: Mapping[str, str], file: Path, events: Events
) -> None:
    missing = [case for case in ids if case not in person_of]
    if not missing:
        return
    if len(missing) == len(ids):
        raise InputError(f"names none of the cases, such as {ids[0]!r}", file=file, hint="are the ids written alike?")
    alone = [case for case in missing if groups[case] == case]
    if alone:
        raise InputError(
            f"does not name the person of {listed(alone)}",
            file=file,
            hint="add a row for each",
        )
    events.warning(f"{file}: does not name {listed(missing)}; the subject in the file name counts as the person")


def _split_name(text: str, file: Path, line: int) -> str:
    plain = text.strip().casefold()
    if plain in ("", "n/a"):
        return ""
    for split, names in _SPLITS.items():
        if plain in names:
            return split
    raise InputError(f"expected train, val or test, got {text!r}", file=file, field=f"line {line}")


def read_splits(file: Path, fold: int | None, ids: Sequence[str], events: Events) -> dict[str, str]:
    """Return the split of each case in one fold of ``[{"train": [...], "val": [...]}, ...]``.

    Parameters
    ----------
    file: ``splits_final.json`` of nnU-Net, or one such object.
    fold: which, from 0; None for the first.
    ids: of the cases that must be in it.
    events: receives which fold was taken.

    Raises
    ------
    InputError: it is no such file, has no such fold, names a case twice, or leaves one out.
    """
    content = read_json(file)
    folds = content if isinstance(content, list) else [content]
    number = fold or 0
    if not 0 <= number < len(folds):
        raise InputError(f"has {len(folds)} folds, from 0; there is no fold {number}", file=file, field="fold")
    chosen = folds[number]
    lists = {name: chosen.get(name, []) for name in _SPLITS} if isinstance(chosen, dict) else {}
    if not lists.get("train") or not all(isinstance(names, list) for names in lists.values()):
        raise InputError('expected folds of {"train": [ids], "val": [ids]}', file=file, field=f"[{number}]")
    found: dict[str, str] = {}
    strange = []
    for split, names in lists.items():
        for name in map(str, names):
            case = name if name in ids else stem(Path(name))
            if case not in ids:
                strange.append(name)
            elif found.setdefault(case, split) != split:
                raise InputError(f"case {case!r} is in {found[case]} and in {split}", file=file, field=f"[{number}]")
    left = [case for case in ids if case not in found]
    if left:
        raise InputError(
            f"fold {number} does not name {listed(left)}", file=file, field=f"[{number}]", hint="add them to a split"
        )
    if strange:
        events.warning(f"{file}: fold {number} names {listed(strange)}, which the dataset does not have")
    which = f"fold {number} of {len(folds)}" + ("" if fold is not None or len(folds) == 1 else "; choose with --fold")
    events.log(f"{file}: train and val are those of {which}")
    return found
