"""``softseg doctor``: what this machine can do."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object; sizes in bytes.")] = False,
) -> None:
    """Say what this machine is and which work fits into it."""
    from softseg.doctor import examine

    machine = examine()
    typer.echo(json.dumps(machine.to_json(), indent=2) if as_json else machine.to_text())
