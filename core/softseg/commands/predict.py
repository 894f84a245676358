"""``softseg predict``: segment scans with a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softseg.commands.common import CancelFileOption, DeviceOption, EventsOption, QuietOption, long_work


def predict(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model folder or the name of a shipped model.")],
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Scans, or folders of scans.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the results, one folder per scan.")],
    cut: Annotated[str | None, typer.Option("--cut", metavar="LEVEL|FILE", help="Also write this label map.")] = None,
    nodes: Annotated[
        str | None, typer.Option("--nodes", metavar="ID,ID", help="Also write soft maps of these.")
    ] = None,
    uncertainty: Annotated[
        str | None, typer.Option("--uncertainty", metavar="tta:N|dropout:N", help="Also estimate the uncertainty.")
    ] = None,
    outliers: Annotated[bool, typer.Option("--outliers", help="Also map what belongs to no trained class.")] = False,
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
            device=device,
            events=work,
        )
