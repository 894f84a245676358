"""``softseg calibrate``: make a model's probabilities mean what they say."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from softseg.commands.common import CancelFileOption, DeviceOption, EventsOption, QuietOption, long_work


class Split(str, enum.Enum):
    """Parts of a dataset."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


def calibrate(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model folder; calibration.json is written into it.")],
    data: Annotated[Path, typer.Argument(metavar="DATA.json", help="The dataset description.")],
    split: Annotated[Split, typer.Option("--split", help="The cases that decide.")] = Split.VAL,
    test_split: Annotated[
        Split | None, typer.Option("--test-split", help="Also judge the result on these; they do not decide.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the reliability plots and their numbers.")
    ] = None,
    voxels: Annotated[
        int, typer.Option("--voxels", metavar="N", help="Labelled voxels that are looked at, over all cases.")
    ] = 200_000,
    device: DeviceOption = "auto",
    seed: Annotated[int, typer.Option("--seed", help="Of the choice of voxels.")] = 0,
    events: EventsOption = None,
    quiet: QuietOption = False,
    cancel_file: CancelFileOption = None,
) -> None:
    """Find a temperature for each level of the tree on validation cases, and store them in MODEL."""
    with long_work(context, events, quiet, cancel_file) as work:
        from softseg.calibration import calibrate as run_calibration
        from softseg.data import Dataset

        run_calibration(
            model,
            Dataset.load(data),
            split=split.value,
            test_split=None if test_split is None else test_split.value,
            out=out,
            voxels=voxels,
            device=device,
            seed=seed,
            events=work,
        )
