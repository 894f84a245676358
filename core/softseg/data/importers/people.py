"""Who is who, and which split each person is in: from a table, from nnU-Net's splits, or by the names alone.

A person (the ``group`` of a case) never crosses splits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from softseg.data.importers.files import listed
from softseg.data.importers.people_files import read_people, read_splits
from softseg.data.importers.sessions import scans_of_one
from softseg.errors import InputError
from softseg.events import Events

Fractions: TypeAlias = tuple[float, float, float]
"""Parts of the people for train, val and test; they sum to 1."""

DEFAULT_FRACTIONS: Fractions = (0.7, 0.15, 0.15)

_SHOWN = 5


@dataclass(frozen=True)
class Choices:
    """A user's choices about people and splits.

    Attributes
    ----------
    people: a table of the person of each case.
    splits: a file like nnU-Net's ``splits_final.json``.
    fold: which of its folds, from 0; None for the first.
    fractions: parts of the people for train, val and test, where neither gives it.
    """

    people: str | PathLike[str] | None = None
    splits: str | PathLike[str] | None = None
    fold: int | None = None
    fractions: Fractions = DEFAULT_FRACTIONS


def with_people(cases: Sequence[Mapping[str, Any]], choices: Choices, events: Events) -> list[dict[str, Any]]:
    """Return the cases with ``group`` and ``split``.

    Parameters
    ----------
    cases: each with an ``id``; with a ``group`` where the layout itself names the person; with a ``split`` where that
        is settled (a test set of its own).
    choices: the user's.
    events: receives what was found, and warnings of ids that look like scans of one person.

    Raises
    ------
    InputError: the table or the splits do not fit the cases, or a person would be in two splits.
    """
    ids = [str(case["id"]) for case in cases]
    groups = {str(case["id"]): str(case.get("group", case["id"])) for case in cases}
    table = None if choices.people is None else read_people(Path(choices.people), ids, groups, events)
    if table is not None:
        groups |= table.person
    fixed = {str(case["id"]): str(case["split"]) for case in cases if "split" in case}
    given: Mapping[str, str] = {}
    source: Path | None = None
    if choices.splits is not None:
        source = Path(choices.splits)
        given = read_splits(source, choices.fold, [name for name in ids if name not in fixed], events)
    elif choices.fold is not None:
        raise InputError("no splits were found or given", field="fold", hint="give splits_final.json with --splits")
    elif table is not None and any(table.split.values()):
        source = Path(choices.people or "")
        given = table.split
    given = {**given, **fixed}
    splits = _by_group(ids, groups, given, choices.fractions, source)
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
        raise InputError(
            f"expected three fractions that sum to 1, the first above 0, got {fractions}", field="fractions"
        )
    order = sorted(set(people), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    least = 1 if len(order) >= 3 else 0
    val, test = (max(round(len(order) * part), least) if part > 0 else 0 for part in fractions[1:])
    names = ["val"] * val + ["test"] * test
    names = names[: max(0, len(order) - 1)]
    return dict(zip(order, names + ["train"] * (len(order) - len(names)), strict=True))


def _by_group(
    ids: Sequence[str], groups: Mapping[str, str], given: Mapping[str, str], fractions: Fractions, source: Path | None
) -> dict[str, str]:
    """Return the split of each case: as given, else by the digest of its person."""
    of_group: dict[str, tuple[str, str]] = {}
    for name in ids:
        if given.get(name):
            split, first = of_group.setdefault(groups[name], (given[name], name))
            if split != given[name]:
                raise InputError(
                    f"person {groups[name]!r} is in two splits: {first!r} in {split}, {name!r} in {given[name]}",
                    file=source,
                    hint="put all scans of a person into one split",
                )
    open_groups = [groups[name] for name in ids if groups[name] not in of_group]
    if any(split == "test" for split, _ in of_group.values()) and source is None:
        total = fractions[0] + fractions[1]
        fractions = (fractions[0] / total, fractions[1] / total, 0.0)
    rest = split_people(open_groups, fractions)
    return {name: of_group[groups[name]][0] if groups[name] in of_group else rest[groups[name]] for name in ids}


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
        "name the persons with --people TABLE"
    )
