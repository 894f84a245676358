"""Changes that are given as ``key=value``: dotted keys, and values that are YAML."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from softseg.errors import InputError
from softseg.yaml_text import load_yaml

FIELD = "--set"
"""What messages call the option by which people give changes."""


def key_and_value(change: str) -> tuple[str, Any]:
    """Return key and value of ``key=value``; ``1e-3``, which YAML reads as text, is the number that people mean.

    Raises
    ------
    InputError: there is no ``=``, a part of the dotted key is empty, or the value is not YAML.
    """
    key, equals, text = change.partition("=")
    key = key.strip()
    if not equals or not all(parts_of(key)):
        raise InputError(f"expected key=value, got {change!r}", field=FIELD)
    try:
        value = load_yaml(text)
    except yaml.YAMLError as error:
        raise InputError(f"the value is not YAML: {text!r}", field=f"{FIELD} {key}") from error
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value)
    return key, value


def parts_of(key: str) -> list[str]:
    """Return the parts of a dotted key."""
    return key.split(".")


def below(overrides: Mapping[str, Any] | None, root: str) -> dict[str, Any]:
    """Return the overrides of one branch: those with the key ``root``, and those with keys below it."""
    return {key: value for key, value in (overrides or {}).items() if parts_of(key)[0] == root}


def but(overrides: Mapping[str, Any] | None, root: str) -> dict[str, Any]:
    """Return all overrides but those of one branch, see :func:`below`."""
    return {key: value for key, value in (overrides or {}).items() if parts_of(key)[0] != root}


def names_any(changes: Iterable[str], keys: Iterable[str]) -> str | None:
    """Return the first of ``keys`` that ``key=value`` texts change, None where they change none."""
    changed = {change.partition("=")[0].strip() for change in changes}
    return next((key for key in keys if key in changed), None)
