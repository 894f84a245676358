"""``softseg data``: describe, check and fuse training data."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from softseg.commands.common import CancelFileOption, EventsOption, QuietOption, long_work
from softseg.errors import InputError

app = typer.Typer(help="Check, import and fuse training data.", no_args_is_help=True, rich_markup_mode=None)


class Layout(str, enum.Enum):
    """How the source folder is organised."""

    BIDS = "bids"
    NNUNET = "nnunet"
    DECATHLON = "decathlon"
    FOLDER = "folder"


class Fusion(str, enum.Enum):
    """How several raters become one soft label."""

    MEAN = "mean"
    MAJORITY = "majority"
    STAPLE = "staple"


@app.command("check")
def check(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(metavar="DATA.json", help="The dataset description.")],
    events: EventsOption = None,
    quiet: QuietOption = False,
    cancel_file: CancelFileOption = None,
) -> None:
    """Read every file that DATA.json names and check that all belongs together."""
    with long_work(context, events, quiet, cancel_file) as work:
        from softseg.data import Dataset, check_dataset

        check_dataset(Dataset.load(data), work)


@app.command("import")
def import_data(
    context: typer.Context,
    layout: Annotated[Layout, typer.Argument(help="How SRC is organised.")],
    source: Annotated[Path, typer.Argument(metavar="SRC", help="The folder to describe.")],
    out: Annotated[Path, typer.Option("--out", metavar="DATA.json", help="The dataset description to write.")],
    events: EventsOption = None,
    quiet: QuietOption = False,
    cancel_file: CancelFileOption = None,
) -> None:
    """Describe a folder of known layout as DATA.json; no image is copied."""
    with long_work(context, events, quiet, cancel_file) as work:
        from softseg.data import import_bids, import_decathlon, import_folder, import_nnunet

        importers = {
            Layout.BIDS: import_bids,
            Layout.NNUNET: import_nnunet,
            Layout.DECATHLON: import_decathlon,
            Layout.FOLDER: import_folder,
        }
        work.result("dataset", importers[layout](source, out))


@app.command("fuse")
def fuse(
    context: typer.Context,
    masks: Annotated[list[Path], typer.Argument(metavar="MASK", help="The raters' masks, on one grid.")],
    out: Annotated[Path, typer.Option("--out", metavar="SOFT.nii.gz", help="The soft label to write.")],
    method: Annotated[Fusion, typer.Option("--method", help="mean, majority or staple.")] = Fusion.MEAN,
    events: EventsOption = None,
    quiet: QuietOption = False,
    cancel_file: CancelFileOption = None,
) -> None:
    """Fuse the masks of several raters into one soft mask."""
    with long_work(context, events, quiet, cancel_file) as work:
        from softseg.image import Image, read_image, write_image
        from softseg.soft import fuse_raters

        images = [read_image(mask) for mask in masks]
        for image, mask in zip(images, masks, strict=True):
            if not image.geometry.same_grid(images[0].geometry):
                raise InputError(f"not on the grid of {masks[0]}", file=mask, hint="resample the masks to one grid")
        work.check()
        fused = fuse_raters([image.array for image in images], method=method.value)
        work.check()
        work.result("soft label", write_image(Image(fused, images[0].geometry), out))
