"""Several texts joined by commas in one option, the former style; what holds a comma stands in double quotes."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ITEM = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,]*?))\s*(?:,|$)')


def join_list(items: Iterable[str]) -> str:
    """Return ``a,b`` for a and b; an item with a comma, a quotation mark or blanks around it is quoted."""
    return ",".join(_quoted(item) for item in items)


def split_list(text: str) -> list[str]:
    """Return the items of a text, without blanks around them and without empty ones that are not quoted."""
    found = []
    for match in _ITEM.finditer(text):
        quoted, plain = match.groups()
        if quoted is not None:
            found.append(quoted.replace('""', '"'))
        elif plain:
            found.append(plain)
    return found


def _quoted(item: str) -> str:
    bare = item and item == item.strip() and not set(item) & set(',"')
    return item if bare else '"' + item.replace('"', '""') + '"'
