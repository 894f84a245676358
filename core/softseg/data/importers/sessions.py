"""Which ids look like several scans of one person: ``p01_a`` and ``p01_b``, ``sub-1_ses-2``, ``P001-2``, ``x_pre``.

Nothing is decided here. Ids that differ in nothing but such an ending are worth a warning, because two scans of one
person in different splits make every score too good.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_GAP = r"[_\-. ()]"
_WORDS = (
    "baseline|base|bl|follow[-_ ]?up|fu|pre[-_ ]?op|post[-_ ]?op|pre|post|initial|first|second|third|last|repeat|"
    "rescan|retest|test|scan|again|new|old|before|after|morning|evening"
)
_COUNTED = (
    "session|ses|visit|scan|run|timepoint|tp|time|exam|study|rep|day|week|wk|month|mo|year|yr|fu|acq|mr|[vtsmwdry]"
)
_DATE = (
    r"(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?[0-3]\d|[0-3]\d[-_.](?:0[1-9]|1[0-2])[-_.](?:19|20)\d\d|(?:19|20)\d\d"
)

_ENTITY = re.compile(rf"(?i)(?:^|{_GAP})(?:session|ses|visit|run|timepoint|tp)[-_]?[a-z]{{0,2}}\d+(?={_GAP}|$)")
_NAMED = re.compile(rf"(?i){_GAP}+(?:(?:{_COUNTED})[-_ ]?\d{{1,3}}|(?:{_WORDS})[-_ ]?\d{{0,3}}|{_DATE})\)?$")
_FIRST = "baseline|bl|follow[-_ ]?up|fu|pre[-_ ]?op|post[-_ ]?op|pre|post|rescan|retest"
_NAMED_FIRST = re.compile(rf"(?i)^(?:(?:{_COUNTED})[-_]?\d{{1,3}}|(?:{_FIRST})){_GAP}+(?=.*\d)")
_UID = re.compile(r"\d+(\.\d+){3,}")
_LETTER = re.compile(r"(?i)(?<=\d)[a-e]$")
_SHORT = re.compile(rf"{_GAP}+(?:[a-zA-Z]|\d{{1,3}})\)?$")


def scans_of_one(ids: Iterable[str]) -> dict[str, list[str]]:
    """Return ids that look like scans of one person, two or more for each, by what they have in common.

    A number or a single letter at the end distinguishes scans only behind something that ends with a number itself
    (``P001-2``, but not ``case_2``), or where several beginnings have two ids each.
    """
    ids = sorted(set(ids))
    known = set(ids)
    found: dict[str, set[str]] = {}
    unsure: dict[str, set[str]] = {}
    for name in ids:
        if _UID.fullmatch(name):
            continue
        base, sure = _base(name)
        if base != name and base:
            place = found if sure else unsure
            place.setdefault(base, set()).add(name)
            if base in known:
                place[base].add(base)
    pairs = {base: names for base, names in unsure.items() if 2 <= len(names) <= 4 and base not in found}
    if len(pairs) > 1 and 2 * sum(map(len, pairs.values())) >= len(ids):
        found |= pairs
    return {base: sorted(names) for base, names in sorted(found.items()) if len(names) > 1}


def _base(name: str) -> tuple[str, bool]:
    """Return an id without the part that numbers a person's scans, and whether that is clear from the id alone."""
    base = _ENTITY.sub("", name).strip("_-. ")
    while (shorter := _NAMED.sub("", base)) not in (base, ""):
        base = shorter
    if base == name:
        base = _NAMED_FIRST.sub("", name)
    if base != name:
        return base, True
    letter = _LETTER.sub("", name)
    if letter != name:
        return letter, True
    short = _SHORT.sub("", name)
    return short, bool(re.search(r"\d$", short))
