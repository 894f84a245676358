"""The commands of ``softseg data``, to which the modules beside this one add theirs."""

from __future__ import annotations

import typer

app = typer.Typer(help="Check, import and fuse training data.", no_args_is_help=True, rich_markup_mode=None)
