"""Who is who, and which split each person is in: from a table, from nnU-Net's splits, or by the names alone.

A person (the ``group`` of a case) never crosses splits.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from softseg.data.importers.files import listed, stem
from softseg.data.importers.sessions import scans_of_one
from softseg.errors import InputError
from softseg.events import Events
from softseg.tables import NamedTable, read_named_table
from softseg.texts import read_json

Fractions: TypeAlias = tuple[float, float, float]
"""Parts of the people for train, val and test; they sum to 1."""

DEFAULT_FRACTIONS: Fractions = (0.7, 0.15, 0.15)

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
_SHOWN = 5


@dataclass(frozen=True)
class Choices:
    """What a user says about people and splits.

    Attributes
    ----------
    people: a table that says whose scan each case is.
    splits: a file like nnU-Net's ``splits_final.json``.
    fold: which of its folds, from 0; None for the first.
    fractions: parts of the people for train, val and test, where neither says it.
    """

    people: str | PathLike[str] | None = None
    splits: str | PathLike[str] | None = None
    fold: int | None = None
    fractions: Fractions = DEFAULT_FRACTIONS


@dataclass(frozen=True)
class _People:
    """What a table says, by case id: whose scan it is, and its split (empty where it is not given)."""

    person: Mapping[str, str]
    split: Mapping[str, str]


def with_people(cases: Sequence[Mapping[str, Any]], choices: Choices, events: Events) -> list[dict[str, Any]]:
    """Return the cases with ``group`` and ``split``.

    Parameters
    ----------
    cases: each with an ``id``; with a ``group`` where the layout itself says who it is; with a ``split`` where that is
        settled (a test set of its own).
    choices: what the user says.
    events: told what was found, and warned of ids that look like scans of one person.

    Raises
    ------
    InputError: the table or the splits do not fit the cases, or a person would be in two splits.
    """
    ids = [str(case["id"]) for case in cases]
    groups = {str(case["id"]): str(case.get("group", case["id"])) for case in cases}
    table = None if choices.people is None else _read_people(Path(choices.people), ids, groups, events)
    if table is not None:
        groups |= table.person
    fixed = {str(case["id"]): str(case["split"]) for case in cases if "split" in case}
    said: Mapping[str, str] = {}
    source: Path | None = None
    if choices.splits is not None:
        source = Path(choices.splits)
        said = _read_splits(source, choices.fold, [name for name in ids if name not in fixed], events)
    elif choices.fold is not None:
        raise InputError("no splits were found or given", field="fold", hint="give splits_final.json with --splits")
    elif table is not None and any(table.split.values()):
        source = Path(choices.people or "")
        said = table.split
    said = {**said, **fixed}
    splits = _by_group(ids, groups, said, choices.fractions, source)
    tested = {groups[name] for name, split in fixed.items() if split == "test"}
    moved = [name for name in ids if name not in fixed and groups[name] in tested]
    if moved:
        events.warning(f"{listed(moved)} are scans of people of the test set, so they are tested and do not train")
    if table is None:
        _warn_of_sessions(ids, groups, splits, events)
    return [{**case, "group": groups[str(case["id"])], "split": splits[str(case["id"])]} for case in cases]


def split_people(people: Sequence[str], fractions: Fractions = DEFAULT_FRACTIONS) -> dict[str, str]:
    """Return the split of each person: the same for the same names, however often each occurs and in whatever order.

    People are ordered by a digest of their names. With three people or more, each split whose fraction is not 0 gets
    at least one; training keeps the rest.

    Raises
    ------
    InputError: the fractions are negative, do not sum to 1, or leave nothing for training.
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6 or fractions[0] <= 0:
        raise InputError(f"expected three shares that sum to 1, the first above 0, got {fractions}", field="fractions")
    order = sorted(set(people), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    least = 1 if len(order) >= 3 else 0
    val, test = (max(round(len(order) * part), least) if part > 0 else 0 for part in fractions[1:])
    names = ["val"] * val + ["test"] * test
    names = names[: max(0, len(order) - 1)]
    return dict(zip(order, names + ["train"] * (len(order) - len(names)), strict=True))


def _by_group(
    ids: Sequence[str], groups: Mapping[str, str], said: Mapping[str, str], fractions: Fractions, source: Path | None
) -> dict[str, str]:
    """Return the split of each case: as it is said, else by the digest of its person."""
    of_group: dict[str, tuple[str, str]] = {}
    for name in ids:
        if said.get(name):
            split, first = of_group.setdefault(groups[name], (said[name], name))
            if split != said[name]:
                raise InputError(
                    f"person {groups[name]!r} is in two splits: {first!r} in {split}, {name!r} in {said[name]}",
                    file=source,
                    hint="put all scans of a person into one split",
                )
    open_groups = [groups[name] for name in ids if groups[name] not in of_group]
    if any(split == "test" for split, _ in of_group.values()) and source is None:
        total = fractions[0] + fractions[1]
        fractions = (fractions[0] / total, fractions[1] / total, 0.0)
    rest = split_people(open_groups, fractions)
    return {name: of_group[groups[name]][0] if groups[name] in of_group else rest[groups[name]] for name in ids}


# -- the table of people --------------------------------------------------------------------------------------------


def _read_people(file: Path, ids: Sequence[str], groups: Mapping[str, str], events: Events) -> _People:
    table = read_named_table(file, _COLUMNS)
    key, person = _key_and_person(table, file)
    person_of: dict[str, str] = {}
    split_of: dict[str, str] = {}
    line_of: dict[str, int] = {}
    rescans: list[tuple[str, str, int]] = []
    for row in table.rows:
        name = row.cells[key]
        if not name or name.casefold() == "n/a":
            raise InputError(f"no {table.columns[key]}", file=file, field=f"line {row.line}")
        found = _cases_of(name, ids, groups, whole=key == "case")
        who = row.cells.get(person, "") if person else ""
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
        before = _cases_of(other, ids, groups, whole=True)
        if len(before) != 1:
            raise InputError(f"no case {other!r}, which {case!r} repeats", file=file, field=f"line {line}")
        old, new = people.get(case, groups[case]), people.get(before[0], groups[before[0]])
        people.setdefault(before[0], new)
        people = {name: new if who == old else who for name, who in people.items()}
    events.log(f"{file}: {len(set(people.values()))} people in {len(people)} cases")
    return _People(people, split_of)


def _key_and_person(table: NamedTable, file: Path) -> tuple[str, str]:
    """Return which columns name the case and the person (empty: only rescans are named)."""
    given = table.columns
    person = next((column for column in ("person", "participant") if column in given), "")
    if "case" in given:
        person = person or ("group" if "group" in given else "")
        if person or "rescan" in given:
            return "case", person
        raise InputError(
            "no column says who a case is of", file=file, hint="name it person, subject, participant_id or group"
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


def _cases_of(name: str, ids: Sequence[str], groups: Mapping[str, str], whole: bool) -> list[str]:
    """Return the cases that a cell means: by id, by the name of a file, or, unless ``whole``, by the person's name."""
    plain = stem(Path(name.replace("\\", "/")))
    without_channel = re.sub(r"_\d{4}$", "", plain)
    for wanted in (name, plain, without_channel):
        if wanted in ids:
            return [wanted]
    if not whole:
        names = {name, f"sub-{name}"}
        found = [case for case in ids if groups[case] in names and groups[case] != case]
        ahead = [case for case in ids if any(re.match(rf"{re.escape(one)}(?![A-Za-z0-9])", case) for one in names)]
        return found or ahead
    longest = max((case for case in ids if plain.startswith(f"{case}_")), key=len, default=None)
    return [] if longest is None else [longest]


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
            f"does not say who {listed(alone)} {'is' if len(alone) == 1 else 'are'}",
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


# -- splits of nnU-Net ----------------------------------------------------------------------------------------------


def _read_splits(file: Path, fold: int | None, ids: Sequence[str], events: Events) -> dict[str, str]:
    """Return the split of each case in one fold of ``[{"train": [...], "val": [...]}, ...]``."""
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


# -- ids that look like one person ----------------------------------------------------------------------------------


def _warn_of_sessions(ids: Sequence[str], groups: Mapping[str, str], splits: Mapping[str, str], events: Events) -> None:
    """Warn where different people have names like scans of one person."""
    alike = scans_of_one(groups.values())
    if not alike:
        return
    of_group = {groups[name]: splits[name] for name in ids}
    crossing = [base for base, names in alike.items() if len({of_group[name] for name in names}) > 1]
    order = [*crossing, *[base for base in alike if base not in crossing]]
    shown = "; ".join(f"{', '.join(alike[base][:4])} (of {base}?)" for base in order[:_SHOWN])
    more = f" and {len(order) - _SHOWN} more" if len(order) > _SHOWN else ""
    where = f"{len(crossing)} of them lie in several splits" if crossing else "none of them lies in several splits"
    events.warning(
        f"these names look like scans of one person but count as different people: {shown}{more}; {where}; "
        "say who is who with --people TABLE"
    )
