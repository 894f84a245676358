"""The meaning of a structure's name, however it is spelled: case, separators, sides; and names without meaning."""

from __future__ import annotations

import re
import unicodedata

from softseg.tree.mirror import SIDE

_BACKGROUND = {"background", "unlabeled background", "outside", "clear label"}
_EMPTY = re.compile(
    r"(?:(?:new )?(?:segments?|seg|labels?|label map|labelmap|region|roi|class|value|index|object|mask|colou?r|"
    r"unnamed|untitled|none|invalid))?(?: ?#? ?\d+)*"
)
"""Names that programs give: ``Segment_3``, ``label 3``, ``3``, none at all (in the form of :func:`plain_name`)."""
_SPELLINGS = {
    "gray": "grey",
    "tumor": "tumour",
    "tumors": "tumours",
    "edema": "oedema",
    "hemorrhage": "haemorrhage",
    "esophagus": "oesophagus",
    "cecum": "caecum",
    "fiber": "fibre",
    "center": "centre",
    "3rd": "third",
    "4th": "fourth",
    "5th": "fifth",
}
_BETWEEN = " _-./,()"
_LEFT = {"left", "lh", "l"}


def plain_name(text: str) -> str:
    """Return a name without case, and with single blanks for underscores, hyphens, dots, commas, slashes, brackets.

    A plus or minus that ends a name stays: ``HER2+`` is not ``HER2-``.
    """
    folded = re.sub(r"[_()\[\]{}<>:;\"'\s]+", " ", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(re.sub(r"(?<=\w)[-./,\\ ]+(?=\w)", " ", folded).split()).lstrip(" -./,").rstrip(" ./,")


def side_and_rest(text: str) -> tuple[str, str]:
    """Return the side in a name (``"left"``, ``"right"`` or none) and the rest of it in plain words.

    ``Left-Hippocampus``, ``hippocampus_L``, ``lh.hippocampus`` and ``LeftHippocampus`` mean the same, as do
    ``ctx-lh-insula`` and ``left insula``. A single letter is a side only at either end of a name that has other words:
    ``vertebra L1`` has none. American and British spellings are one.
    """
    text = unicodedata.normalize("NFKC", text)
    found = [match for match in SIDE.finditer(text) if len(match.group()) > 1 or _stands_alone(match, text)]
    sides = {"left" if match.group().casefold() in _LEFT else "right" for match in found}
    if len(sides) != 1:
        return "", _rest(text, sided=False)
    rest = text
    for match in reversed(found):
        rest = f"{rest[: match.start()].rstrip(_BETWEEN)} {rest[match.end() :].lstrip(_BETWEEN)}"
    if any(len(match.group()) == 1 for match in found) and not re.search(r"[^\W\d_]{2}|[^\W\d_]\d", rest):
        return "", _rest(text, sided=False)
    return sides.pop(), _rest(rest, sided=True)


def compact(text: str) -> str:
    """Return plain words without the blanks between them, but for those between two digits: ``brain stem``."""
    return re.sub(r"(?<!\d) | (?!\d)", "", text)


def says_nothing(name: str) -> bool:
    """Whether a name is one that programs give (``Segment_3``, ``label 3``, ``3``) or none at all."""
    return _EMPTY.fullmatch(plain_name(name)) is not None


def is_background(name: str) -> bool:
    """Whether a name means what is outside of all structures."""
    return plain_name(name) in _BACKGROUND


def _stands_alone(match: re.Match[str], text: str) -> bool:
    """Whether a single letter is the first or last word of a name, with no digit beside it."""
    before, after = text[: match.start()], text[match.end() :]
    if before[-1:].isdigit() or after[:1].isdigit():
        return False
    return not before.strip(_BETWEEN) or not after.strip(_BETWEEN)


def _rest(text: str, sided: bool) -> str:
    words = [_SPELLINGS.get(word, word) for word in plain_name(text).split()]
    if sided and len(words) > 1 and words[0] == "ctx":  # FreeSurfer's cortex: ctx-lh-insula
        del words[0]
    return " ".join(words)
