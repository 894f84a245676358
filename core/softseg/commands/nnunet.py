"""``softseg nnunet``: what nnU-Net itself has to be told."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import typer

app = typer.Typer(help="Our losses as trainers of nnU-Net.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Our losses as trainers of nnU-Net."""


@app.command("trainers")
def trainers() -> None:
    """Print the folder of our trainers for nnU-Net, the value of its variable nnUNet_extTrainer."""
    package = importlib.util.find_spec("softseg.nnunet.plugin")
    for folder in package.submodule_search_locations or () if package else ():
        typer.echo(str(Path(folder).resolve()))
