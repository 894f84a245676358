"""Text from people inside the files of a MONAI bundle, where some signs make a program of it.

MONAI's parser evaluates every text that begins with ``$``, takes one that begins with ``@`` for a reference and one
that begins with ``%`` for a file to insert, builds an object from a mapping with the key ``_target_``, and looks for
relative references (``@#``, ``%::``) inside of texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_ESCAPE = "'"
_ACTIVE = ("$", "@", "%", _ESCAPE)
_RELATIVE = re.compile(r"([@%])(?=#|::)")


def is_inert(value: Any) -> bool:
    """Whether MONAI's parser takes a value for nothing but plain values."""
    if isinstance(value, str):
        return not value.startswith(_ACTIVE[:3]) and not _RELATIVE.search(value)
    if isinstance(value, Mapping):
        return all(is_inert(key) and not str(key).startswith("_") and is_inert(item) for key, item in value.items())
    return all(map(is_inert, value)) if isinstance(value, (list, tuple)) else True


def shown(text: str) -> str:
    """Return a text for people that MONAI's parser takes for a text: active signs get a blank before or behind them."""
    text = _RELATIVE.sub(r"\1 ", text)
    return f" {text}" if text.startswith(_ACTIVE[:3]) else text


def escaped(value: Any) -> Any:
    """Return values whose texts and keys begin with an apostrophe where they would be active; see :func:`unescaped`."""
    if isinstance(value, str):
        return _ESCAPE + value if value.startswith(_ACTIVE) else value
    if isinstance(value, Mapping):
        return {_escaped_key(str(key)): escaped(item) for key, item in value.items()}
    return [escaped(item) for item in value] if isinstance(value, (list, tuple)) else value


def unescaped(value: Any) -> Any:
    """Return the values that :func:`escaped` was given, with lists for tuples and texts for other keys."""
    if isinstance(value, str):
        return value.removeprefix(_ESCAPE)
    if isinstance(value, Mapping):
        return {unescaped(key): unescaped(item) for key, item in value.items()}
    return [unescaped(item) for item in value] if isinstance(value, list) else value


def _escaped_key(key: str) -> str:
    return _ESCAPE + key if key.startswith((*_ACTIVE, "_")) else key
