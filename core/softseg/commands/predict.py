"""``softseg predict``: segment scans with a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softseg.commands.common import (
    CancelFileOption,
    DeviceOption,
    EventsOption,
    MapType,
    MapTypeOption,
    QuietOption,
    long_work,
)


def predict(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model folder or shipped model; several joined by commas.")
    ],
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE", help="Scans, or folders of scans; several channels of one scan joined by commas."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the results, one folder per scan.")],
    cut: Annotated[
        list[str] | None,
        typer.Option("--cut", metavar="LEVEL|FILE", help="Labels at this cut; may be repeated. [default: the leaves]"),
    ] = None,
    nodes: Annotated[
        str | None, typer.Option("--nodes", metavar="ID,ID", help="Also write soft maps of these.")
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option("--confidence", metavar="C", help="Also answer as deep as it is this sure, from 0.5 to 1."),
    ] = None,
    uncertainty: Annotated[
        str | None, typer.Option("--uncertainty", metavar="tta:N|dropout:N", help="Also estimate the uncertainty.")
    ] = None,
    branches: Annotated[
        str | None,
        typer.Option("--branches", metavar="ID,ID|all", help="Also map how unsure the decision at these nodes is."),
    ] = None,
    outliers: Annotated[bool, typer.Option("--outliers", help="Also map what belongs to no trained class.")] = False,
    postprocess: Annotated[
        list[str] | None,
        typer.Option(
            "--postprocess",
            metavar="STEP:NODE",
            help="Clean the soft values: keep-largest:NODE, fill-holes:LEAF or remove-small:NODE:ML; may be repeated.",
        ),
    ] = None,
    map_type: MapTypeOption = MapType.FLOAT32,
    overlap: Annotated[
        float, typer.Option("--overlap", metavar="SHARE", help="Of neighbouring windows, from 0 to below 1.")
    ] = 0.5,
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            metavar="P",
            help="auto, float32, bfloat16 or float16. [default: the model's own]",
        ),
    ] = None,
    blend: Annotated[
        str,
        typer.Option(
            "--blend",
            metavar="WHAT",
            help="What is averaged where windows overlap: probabilities or logits.",
        ),
    ] = "probabilities",
    no_calibration: Annotated[
        bool, typer.Option("--no-calibration", help="Leave the model's calibration out.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Predict again what the same model and settings have predicted before.")
    ] = False,
    device: DeviceOption = "auto",
    events: EventsOption = None,
    quiet: QuietOption = False,
    cancel_file: CancelFileOption = None,
) -> None:
    """Segment scans softly: soft parcellation, label maps, soft maps and volumes."""
    with long_work(context, events, quiet, cancel_file) as work:
        from softseg.prediction import predict as run_prediction

        run_prediction(
            model,
            images,
            out,
            cut=cut,
            nodes=[node.strip() for node in (nodes or "").split(",") if node.strip()],
            confidence=confidence,
            uncertainty=uncertainty,
            branches=[node.strip() for node in (branches or "").split(",") if node.strip()],
            calibrated=not no_calibration,
            outliers=outliers,
            postprocess=postprocess or (),
            map_type=map_type.value,
            overlap=overlap,
            precision=precision,
            blend=blend,
            overwrite=overwrite,
            device=device,
            events=work,
        )
