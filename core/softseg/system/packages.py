"""Which Python packages can be imported here."""

from __future__ import annotations

import importlib.util


def installed(package: str) -> bool:
    """Whether a Python package can be imported here."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # it is there but shut out
        return False
