"""Links of the documentation to files outside ``docs``, which the site does not hold, lead to the repository."""

from __future__ import annotations

import re
from typing import Any


def on_page_markdown(markdown: str, config: Any, **_: Any) -> str:
    """Return a page whose links to ``../file`` lead to the repository."""
    return re.sub(r"\]\(\.\./(?=[A-Z])", f"]({config['repo_url']}/blob/main/", markdown)
