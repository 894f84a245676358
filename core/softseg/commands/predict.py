"""``softseg predict``: segment scans with a model folder."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from softseg.commands.common import CancelFileOption, DeviceOption, EventsOption, QuietOption, long_work


class MapType(str, enum.Enum):
    """How soft maps are stored: shares 0..1, or round(255 x share)."""

    FLOAT32 = "float32"
    UINT8 = "uint8"


def predict(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model folder or the name of a shipped model.")],
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
    uncertainty: Annotated[
        str | None, typer.Option("--uncertainty", metavar="tta:N|dropout:N", help="Also estimate the uncertainty.")
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
    map_type: Annotated[MapType, typer.Option("--map-type", help="Number type of soft maps.")] = MapType.FLOAT32,
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
            uncertainty=uncertainty,
            outliers=outliers,
            postprocess=postprocess or (),
            map_type=map_type.value,
            device=device,
            events=work,
        )
