"""Which names of two lists belong together: never by order, and never by a guess."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from softseg.errors import InputError

_WORDS = (
    "dseg|probseg|seg|segm|segmentations?|labels?|labelmaps?|lab|masks?|gt|groundtruth|truth|manual|annotations?|"
    "references?|refs?|pred|predictions?|predicted|results?|outputs?|out|soft|leaves|level|images?|img|scans?|volumes?|vol"
)
_LAST = re.compile(rf"[ _.\-]+(?:{_WORDS})$")
_FIRST = re.compile(rf"^(?:{_WORDS})(?:[ _.\-]+|(?=\d))")
_ONLY = re.compile(rf"(?:{_WORDS})(?:[ _.\-]*(?:{_WORDS}))*(?:(?<=level)[ _.\-]*\d+)?")
_CHANNEL = re.compile(r"[ _]0000$")
"""The first channel, as nnU-Net names its images."""
_BIDS = re.compile(r"(?:^|_)(sub|ses|run)-([a-z0-9]+)")
_SHOWN = 10


@dataclass(frozen=True)
class Names:
    """What one file or folder goes by.

    Attributes
    ----------
    shown: what messages and tables call it.
    others: what else it goes by, such as the file that a prediction was made from.
    """

    shown: str
    others: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """All of them, the surest first, each once."""
        return tuple(dict.fromkeys((self.shown, *self.others)))


@dataclass(frozen=True)
class PairedNames:
    """What belongs together, by place in the two lists.

    Attributes
    ----------
    pairs: places in the first and in the second list, in the order of the first.
    first_left, second_left: places of what has no partner.
    """

    pairs: tuple[tuple[int, int], ...]
    first_left: tuple[int, ...]
    second_left: tuple[int, ...]


def pair_names(first: Sequence[Names], second: Sequence[Names], what: tuple[str, str]) -> PairedNames:
    """Pair two lists by their names.

    Equal names come first, then names that differ in case alone, then those that differ in words for the kind of
    file it is (``p1_seg`` and ``labels_p1``; ``p1_0000`` and ``p1``), then BIDS names of one subject, session and run.
    A name is never taken for the beginning of another: ``p1`` is not ``p10``. The order of the lists does not matter.

    Parameters
    ----------
    what: what the lists hold, for messages, in the plural: ``("predictions", "references")``.

    Raises
    ------
    InputError: a name stands for several of a list while one of the other list has it; they are named.
    """
    pairs: dict[int, int] = {}
    for key_of in (_as_written, _without_case, _without_kind, _subject):
        for ranks in _ranks(first, second):
            _pair_unique(first, second, key_of, ranks, pairs)
        _refuse_ambiguous(first, second, key_of, pairs, what)
    taken = set(pairs.values())
    return PairedNames(
        tuple(sorted(pairs.items())),
        tuple(place for place in range(len(first)) if place not in pairs),
        tuple(place for place in range(len(second)) if place not in taken),
    )


def says_kind_only(name: str) -> bool:
    """Whether a file's name tells its kind only and not its case: ``seg``, ``labels_leaves``, ``mask``."""
    return _ONLY.fullmatch(_without_case(name)) is not None


def listed(names: Sequence[str]) -> str:
    """Return names for a message, the first of many."""
    shown = ", ".join(sorted(names)[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


def _ranks(first: Sequence[Names], second: Sequence[Names]) -> list[tuple[int, int]]:
    """Return which of their names are compared, the surest first."""
    one, other = (max((len(names.all) for names in side), default=0) for side in (first, second))
    return sorted(product(range(one), range(other)), key=lambda ranks: (sum(ranks), ranks))


_Key = Callable[[str], str]


def _places(side: Sequence[Names], rank: int, key_of: _Key, taken: set[int]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for place, names in enumerate(side):
        if place not in taken and rank < len(names.all) and (key := key_of(names.all[rank])):
            found.setdefault(key, []).append(place)
    return found


def _pair_unique(
    first: Sequence[Names], second: Sequence[Names], key_of: _Key, ranks: tuple[int, int], pairs: dict[int, int]
) -> None:
    """Add the pairs whose key is found once on either side."""
    one = _places(first, ranks[0], key_of, set(pairs))
    other = _places(second, ranks[1], key_of, set(pairs.values()))
    pairs.update({one[key][0]: other[key][0] for key in one if len(one[key]) == len(other.get(key, ())) == 1})


def _refuse_ambiguous(
    first: Sequence[Names], second: Sequence[Names], key_of: _Key, pairs: dict[int, int], what: tuple[str, str]
) -> None:
    """Raise :class:`InputError` where open names of both sides agree but several could be meant."""
    for ranks in _ranks(first, second):
        one = _places(first, ranks[0], key_of, set(pairs))
        other = _places(second, ranks[1], key_of, set(pairs.values()))
        for key in sorted(set(one) & set(other)):
            left = [first[place].shown for place in one[key]]
            right = [second[place].shown for place in other[key]]
            raise InputError(
                f"'{key}' could mean {len(left)} {what[0]} ({listed(left)}) and {len(right)} {what[1]} "
                f"({listed(right)})",
                hint="give them different names, or pair them with --pairs",
            )


def _as_written(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _without_case(name: str) -> str:
    return _as_written(name).casefold()


def _without_kind(name: str) -> str:
    """Return a name without words for the kind of file; empty where nothing else is left."""
    plain = _without_case(name)
    if says_kind_only(name):
        return ""
    before = None
    while before != plain:
        before = plain
        for pattern in (_LAST, _FIRST):
            plain = pattern.sub("", plain) or plain
    return _CHANNEL.sub("", plain) or plain


def _subject(name: str) -> str:
    found = dict(_BIDS.findall(_without_case(name)))
    return "_".join(f"{key}-{found[key]}" for key in ("sub", "ses", "run") if key in found) if "sub" in found else ""
