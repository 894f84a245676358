"""``softseg collapse``: from a stored soft parcellation to a label map or to one node's soft map."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softseg.commands.common import CancelFileOption, EventsOption, MapType, MapTypeOption, QuietOption, long_work


def collapse(
    context: typer.Context,
    soft: Annotated[Path, typer.Argument(metavar="SOFT", help="A soft parcellation (.soft.npz).")],
    out: Annotated[Path, typer.Option("--out", help="The image to write: LABELS.nii.gz or MAP.nii.gz.")],
    cut: Annotated[str | None, typer.Option("--cut", metavar="LEVEL|FILE", help="Write labels at this cut.")] = None,
    node: Annotated[str | None, typer.Option("--node", metavar="ID", help="Write this node's soft map.")] = None,
    confidence: Annotated[
        float | None,
        typer.Option("--confidence", metavar="C", help="Write the deepest node that is this sure (0.5..1)."),
    ] = None,
    map_type: MapTypeOption = MapType.FLOAT32,
    events: EventsOption = None,
    quiet: QuietOption = False,
    cancel_file: CancelFileOption = None,
) -> None:
    """Collapse a soft parcellation: labels at a cut (argmax of summed shares) or as deep as sure, or a node's share."""
    with long_work(context, events, quiet, cancel_file) as work:
        from softseg.prediction import collapse as run_collapse

        run_collapse(soft, out, cut=cut, node=node, confidence=confidence, map_type=map_type.value, events=work)
