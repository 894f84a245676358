"""What the licence of a model's weights allows, evaluated by its name."""

from __future__ import annotations

import re

__all__ = ["is_permissive"]

_PERMISSIVE = re.compile(
    r"apache|\bmit\b|\bbsd\b|\bisc\b|unlicen[cs]e|public domain|\bcc0\b|\bpddl\b|\bcc[ -]by\b(?![ -](nc|nd|sa))", re.I
)
_RESTRICTED = re.compile(r"\bnc\b|\bnd\b|\bsa\b|gpl|non.?commercial|no.?derivatives|academic|research use", re.I)


def is_permissive(licence: str) -> bool:
    """Whether a licence lets everybody use the weights for everything, with at most their authors named.

    A licence that is not known by its name is taken for one that does not. An empty text is none: such weights are
    people's own, and nothing is to be agreed to.

    Parameters
    ----------
    licence: a line as in a model card, such as ``"CC BY-NC: non-commercial, as the data it was trained on"``. What is
        text in brackets is about something else, such as the data.
    """
    text = re.sub(r"\([^)]*\)", "", licence).strip()
    return not text or (_PERMISSIVE.search(text) is not None and _RESTRICTED.search(text) is None)
