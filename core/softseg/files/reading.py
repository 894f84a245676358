"""Reading the JSON that the writers of this package wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from softseg.errors import InputError
from softseg.texts import read_json


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises
    ------
    InputError: it cannot be read, is not JSON, or holds something else.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError("expected a JSON object", file=path)
    return content
