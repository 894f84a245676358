"""``softseg collapse``: from a stored soft parcellation to a label map or to one node's soft map."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softseg.commands.common import CancelFileOption, EventsOption, QuietOption, long_work
from softseg.errors import InputError


def collapse(
    context: typer.Context,
    soft: Annotated[Path, typer.Argument(metavar="SOFT", help="A soft parcellation (.soft.npz).")],
    out: Annotated[Path, typer.Option("--out", help="The image to write: LABELS.nii.gz or MAP.nii.gz.")],
    cut: Annotated[str | None, typer.Option("--cut", metavar="LEVEL|FILE", help="Write labels at this cut.")] = None,
    node: Annotated[str | None, typer.Option("--node", metavar="ID", help="Write this node's soft map.")] = None,
    events: EventsOption = None,
    quiet: QuietOption = False,
    cancel_file: CancelFileOption = None,
) -> None:
    """Collapse a soft parcellation: labels at a cut (argmax of summed shares), or the share of one node."""
    if (cut is None) == (node is None):
        raise InputError("give either --cut or --node", field="--cut/--node")
    with long_work(context, events, quiet, cancel_file) as work:
        from softseg.image import Image, write_image
        from softseg.soft.parcellation import SoftParcellation

        work.stage("collapse")
        stored = SoftParcellation.load(soft)
        work.check()
        if cut is not None:
            chosen = stored.tree.cut_from(cut)
            work.result("labels", write_image(Image(stored.labels(chosen), stored.geometry), out))
        else:
            share = stored.probability(stored.tree.find(str(node)).id)
            work.result("soft map", write_image(Image(share, stored.geometry), out))
