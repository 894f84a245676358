"""Links of the documentation to files outside ``docs``: in the repository's own pages relative, on the site to the host."""

from __future__ import annotations

import re
from typing import Any


def on_page_markdown(markdown: str, config: Any, **_: Any) -> str:
    """Return a page whose links to ``../file`` lead to the repository."""
    return re.sub(r"\]\(\.\./(?=[A-Z])", f"]({config['repo_url']}/blob/main/", markdown)
