"""``softseg data import``: describe a folder of known layout as DATA.json."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from softseg.commands.common import CancelFileOption, EventsOption, QuietOption, long_work
from softseg.commands.data_app import app
from softseg.commands.numbers import numbers
from softseg.errors import InputError, naming


class FolderLayout(str, enum.Enum):
    """How the source folder is organised."""

    BIDS = "bids"
    NNUNET = "nnunet"
    DECATHLON = "decathlon"
    FOLDER = "folder"
    CORRECTIONS = "corrections"


@app.command("import")
def import_data(
    context: typer.Context,
    layout: Annotated[FolderLayout, typer.Argument(help="How SRC is organised.")],
    source: Annotated[
        list[Path], typer.Argument(metavar="SRC...", help="The folder to describe; corrected results (corrections).")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DATA.json", help="The dataset description to write.")],
    tree: Annotated[
        str | None, typer.Option("--tree", help="A tree file or the name of a shipped tree (bids, folder).")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="NODE=ENDING", help="Which label files are soft maps of this node (bids)."),
    ] = None,
    suffix: Annotated[
        list[str] | None,
        typer.Option("--suffix", help="Image suffix that is a channel, such as T1w; may be repeated (bids)."),
    ] = None,
    derivatives: Annotated[Path | None, typer.Option("--derivatives", help="Folder of the labels (bids).")] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option("--channel", help="Name of the only channel (folder); repeated: of all (corrections)."),
    ] = None,
    images: Annotated[
        list[str] | None,
        typer.Option(
            "--images", metavar="SCAN", help="The scan of each result; channels joined by commas (corrections)."
        ),
    ] = None,
    original: Annotated[
        Path | None,
        typer.Option("--with", metavar="DATA.json", help="Mix in the model's own training data (corrections)."),
    ] = None,
    opinion_weight: Annotated[
        float | None,
        typer.Option(
            "--opinion-weight",
            metavar="W",
            min=0,
            max=0.9,
            help="Weight of an uncorrected voxel (corrections). [default: 0.5]",
        ),
    ] = None,
    label_map: Annotated[
        str | None, typer.Option("--label-map", metavar="ENDING", help="Which label files are the label maps (bids).")
    ] = None,
    people: Annotated[
        Path | None,
        typer.Option(
            "--people",
            metavar="TABLE",
            help="Table (CSV, TSV, participants.tsv) of the person of each case; a person stays in one split.",
        ),
    ] = None,
    splits: Annotated[
        Path | None,
        typer.Option("--splits", metavar="JSON", help="train and val as in nnU-Net's splits_final.json."),
    ] = None,
    fold: Annotated[
        int | None, typer.Option("--fold", metavar="N", help="Which fold of the splits, from 0. [default: 0]", min=0)
    ] = None,
    fractions: Annotated[
        str | None,
        typer.Option("--fractions", metavar="A,B,C", help="Fractions of the people for train, val and test."),
    ] = None,
    events: EventsOption = None,
    quiet: QuietOption = False,
    cancel_file: CancelFileOption = None,
) -> None:
    """Describe a folder of known layout, or corrected results, as DATA.json; no image is copied."""
    with long_work(context, events, quiet, cancel_file) as work:
        from softseg.data import import_bids, import_corrections, import_decathlon, import_folder, import_nnunet

        importers: dict[FolderLayout, Callable[..., Path]] = {
            FolderLayout.BIDS: import_bids,
            FolderLayout.NNUNET: import_nnunet,
            FolderLayout.DECATHLON: import_decathlon,
            FolderLayout.FOLDER: import_folder,
            FolderLayout.CORRECTIONS: import_corrections,
        }
        options = {
            "tree": tree,
            "labels": _named(label or []),
            "suffixes": suffix,
            "derivatives": derivatives,
            "label_map": label_map,
            "channel": ",".join(channel) if channel else None,
            "images": images,
            "original": original,
            "opinion_weight": opinion_weight,
            "people": people,
            "splits": splits,
            "fold": fold,
            "fractions": None if fractions is None else _fractions(fractions),
        }
        given = {name: value for name, value in options.items() if value is not None and value != {}}
        known = inspect.signature(importers[layout]).parameters
        for name in given:
            if name not in known:
                option = {"labels": "label", "suffixes": "suffix", "original": "with"}.get(name, name.replace("_", "-"))
                raise InputError(f"the layout {layout.value} has no such option", field=f"--{option}")
        if len(source) > 1 and layout is not FolderLayout.CORRECTIONS:
            raise InputError(f"the layout {layout.value} describes one folder, got {len(source)}", field="SRC")
        described = source if layout is FolderLayout.CORRECTIONS else source[0]
        with naming(source[0]):
            made = importers[layout](described, out, **given, events=work)
        work.result("dataset", made)


def _named(labels: list[str]) -> dict[str, str]:
    """Return endings of label files by node id from ``NODE=ENDING``."""
    pairs = [label.partition("=") for label in labels]
    wrong = next((label for label, (node, _, ending) in zip(labels, pairs, strict=True) if not (node and ending)), None)
    if wrong is not None:
        raise InputError(f"expected NODE=ENDING, got {wrong!r}", field="--label")
    return {node: ending for node, _, ending in pairs}


def _fractions(text: str) -> tuple[float, ...]:
    """Return three numbers from ``A,B,C``."""
    return numbers(text, "three", "--fractions", "0.7,0.15,0.15")
