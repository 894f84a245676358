"""``softseg doctor``: check this computer."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object; sizes in bytes.")] = False,
) -> None:
    """Describe this computer and what it can run."""
    from softseg.doctor import examine

    machine = examine()
    typer.echo(json.dumps(machine.to_json(), indent=2) if as_json else machine.to_text())
