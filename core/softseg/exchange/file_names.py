"""Which structure a file is a map of, by its name: what tools and standards say in file names."""

from __future__ import annotations

import re
from collections.abc import Sequence

TISSUES = ("grey matter", "white matter", "CSF")
_BIDS = {"gm": TISSUES[0], "wm": TISSUES[1], "csf": TISSUES[2], "bg": "background"}
_SPM = (*TISSUES, "bone", "soft tissue", "air")
_SPM_NAME = re.compile(r"[rw]{0,2}[cp]([1-6])(?=.)", re.IGNORECASE)
_MODULATED = re.compile(r"r?(?:mw|m0w)[cp][1-6]", re.IGNORECASE)
_FAST_NAME = re.compile(r"(.*)_(?:pve|prob)_(\d)", re.IGNORECASE)
_BIDS_NAME = re.compile(r".*_(?:label|seg|desc)-([A-Za-z0-9]+)(?:_[^_]+)*_probseg|.*_label-([A-Za-z0-9]+).*")
_ENDS = re.compile(r"[_.-](?:probseg|probs?|probability|probabilities|posteriors?|pve|map)$", re.IGNORECASE)
_BEGINS = re.compile(r"^(?:posteriors?|probs?|probability)[_.-]", re.IGNORECASE)


def family(stems: Sequence[str]) -> list[int]:
    """Return which of a folder's files are maps, where a tool's or standard's names tell them from its others."""
    for is_one in (
        lambda stem: stem.endswith("_probseg"),
        lambda stem: _FAST_NAME.fullmatch(stem) is not None,
        lambda stem: _SPM_NAME.match(stem) is not None,
        lambda stem: _MODULATED.match(stem) is not None,
    ):
        found = [number for number, stem in enumerate(stems) if is_one(stem)]
        if len(found) > 1:
            return found
    return list(range(len(stems)))


def structure_names(stems: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the structure of each file, and what is to be said about how it was found.

    Raises
    ------
    ValueError: the files are maps that hold no probabilities.
    """
    if any(_MODULATED.match(stem) for stem in stems):
        raise ValueError("modulated maps (mwc, mwp) hold volumes, not probabilities; take c1, c2, c3 or wc1, wc2, wc3")
    fast = [match for stem in stems if (match := _FAST_NAME.fullmatch(stem))]
    if len(fast) == len(stems) and {match.group(2) for match in fast} == {"0", "1", "2"} and len(fast) == 3:
        order = (TISSUES[2], TISSUES[0], TISSUES[1])
        said = "classes 0, 1, 2 are taken as CSF, grey and white matter, as FAST orders them in T1 images"
        return [order[int(match.group(2))] for match in fast], [said]
    spm = [match for stem in stems if (match := _SPM_NAME.match(stem))]
    rests = {stem[match.end() :] for stem, match in zip(stems, spm, strict=False)}
    if len(spm) == len(stems) and len(stems) > 1 and len(rests) == 1:
        said = "classes 1, 2, 3 are taken as grey matter, white matter and CSF, as SPM and CAT order them"
        return [_SPM[int(match.group(1)) - 1] for match in spm], [said]
    bids = [match for stem in stems if (match := _BIDS_NAME.fullmatch(stem))]
    if len(bids) == len(stems):
        labels = [match.group(1) or match.group(2) for match in bids]
        return [_BIDS.get(label.lower(), label) for label in labels], []
    bare = [_ENDS.sub("", _BEGINS.sub("", stem)) for stem in stems]
    first, last = min(bare), max(bare)
    same = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    common = first[:same] if len(bare) > 1 else ""
    cut = common.rfind("_") + 1
    if re.search(r"(?i)left|right|lh|rh", common[:cut]):
        cut = 0
    return [name[cut:] or name for name in bare], []
