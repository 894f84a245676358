"""``softseg data``: check, fuse, coarsen and export training data."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from softseg.commands import data_import, data_simulate
from softseg.commands.asked import command_of
from softseg.commands.common import CancelFileOption, EventsOption, QuietOption, long_work
from softseg.commands.data_app import app
from softseg.commands.numbers import numbers
from softseg.errors import InputError
from softseg.events import Events
from softseg.requests.evaluate import FalseColourRequest
from softseg.requests.export_data import ExportDataRequest

__all__ = ["app", "data_import", "data_simulate"]


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
    """Read every file that DATA.json names and check that they are consistent."""
    with long_work(context, events, quiet, cancel_file) as work:
        from softseg.data import Dataset, check_dataset

        check_dataset(Dataset.load(data), work)


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
        import numpy as np

        from softseg.image import Image, read_image, say_notes, write_image
        from softseg.soft import fuse_raters
        from softseg.soft.raters import require_probabilities

        images = [read_image(mask, labels=True) for mask in masks]
        for image, mask in zip(images, masks, strict=True):
            say_notes(image.notes, mask, work.warning)
            if not image.geometry.same_grid(images[0].geometry):
                raise InputError(f"not on the grid of {masks[0]}", file=mask, hint="resample the masks to one grid")
            require_probabilities(image.array, file=mask)
        soft = [path for image, path in zip(images, masks, strict=True) if not np.isin(image.array, (0, 1)).all()]
        if soft and method is not Fusion.MEAN:
            work.warning(f"{soft[0]}: {method.value} takes probabilities above 0.5 as drawn; mean keeps them")
        work.check()
        fused = fuse_raters([image.array for image in images], method=method.value)
        work.check()
        work.result("soft label", write_image(Image(fused, images[0].geometry), out))


def _export(request: ExportDataRequest, events: Events) -> None:
    """Write a dataset in the layout of another tool: nnU-Net's raw folder."""
    from softseg.data import Dataset, export_nnunet

    events.result("dataset", export_nnunet(Dataset.load(request.data), request.out, events))


export_data = app.command("export")(command_of(ExportDataRequest, _export))


def _false_colour(request: FalseColourRequest, events: Events) -> None:
    """Write three bands of a cube as red, green and blue, to look at."""
    from softseg.data.cubes import read_channel
    from softseg.data.cubes.false_colour import write_false_colour

    bands, percent = request.bands, request.percent
    chosen = None if bands is None else [int(part) for part in numbers(bands, "three", "--bands", "49,26,16")]
    low, high = numbers(percent, "two", "--percent", "2,98")
    image = read_channel(request.cube)
    events.check()
    events.result("picture", write_false_colour(image, request.out, chosen, (low, high)))


false_colour = app.command("false-colour")(command_of(FalseColourRequest, _false_colour))


@app.command("coarsen")
def coarsen_data(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(metavar="DATA.json", help="The dataset with fine voxels.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the new DATA.json, images and labels.")],
    spacing: Annotated[
        str, typer.Option("--spacing", metavar="MM|I,J,K", help="Voxel size; one number, or three (0 keeps the own).")
    ],
    soft: Annotated[bool, typer.Option("--soft", help="Write soft maps of every leaf instead of label maps.")] = False,
    margin: Annotated[
        float | None,
        typer.Option("--margin", metavar="MM", help="Crop to the labels plus this margin."),
    ] = None,
    events: EventsOption = None,
    quiet: QuietOption = False,
    cancel_file: CancelFileOption = None,
) -> None:
    """Average a dataset to larger voxels, for quick studies and for exact soft labels."""
    with long_work(context, events, quiet, cancel_file) as work:
        from softseg.data import Dataset
        from softseg.data.coarsen import coarsen

        made = coarsen(Dataset.load(data), out, _spacing(spacing), soft=soft, margin_mm=margin, events=work)
        work.result("dataset", made)


def _spacing(text: str) -> tuple[float, ...]:
    """Return three spacings from ``MM`` or ``I,J,K``."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) not in (1, 3):
        raise InputError(f"expected one number or three such as 2 or 1,1,0, got {text!r}", field="--spacing")
    return tuple(found * 3 if len(found) == 1 else found)
