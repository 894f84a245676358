"""``softseg data``: describe, check and fuse training data."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from softseg.commands.asked import command_of
from softseg.commands.common import CancelFileOption, EventsOption, QuietOption, long_work
from softseg.errors import InputError, naming
from softseg.events import Events
from softseg.requests.evaluate import FalseColourRequest
from softseg.requests.export_data import ExportDataRequest

app = typer.Typer(help="Check, import and fuse training data.", no_args_is_help=True, rich_markup_mode=None)


class Layout(str, enum.Enum):
    """How the source folder is organised."""

    BIDS = "bids"
    NNUNET = "nnunet"
    DECATHLON = "decathlon"
    FOLDER = "folder"
    CORRECTIONS = "corrections"


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


@app.command("import")
def import_data(
    context: typer.Context,
    layout: Annotated[Layout, typer.Argument(help="How SRC is organised.")],
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
        str | None,
        typer.Option("--channel", help="Name of the only channel (folder), or of all, A,B (corrections)."),
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

        importers: dict[Layout, Callable[..., Path]] = {
            Layout.BIDS: import_bids,
            Layout.NNUNET: import_nnunet,
            Layout.DECATHLON: import_decathlon,
            Layout.FOLDER: import_folder,
            Layout.CORRECTIONS: import_corrections,
        }
        options = {
            "tree": tree,
            "labels": _named(label or []),
            "suffixes": suffix,
            "derivatives": derivatives,
            "label_map": label_map,
            "channel": channel,
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
        if len(source) > 1 and layout is not Layout.CORRECTIONS:
            raise InputError(f"the layout {layout.value} describes one folder, got {len(source)}", field="SRC")
        described = source if layout is Layout.CORRECTIONS else source[0]
        with naming(source[0]):
            made = importers[layout](described, out, **given, events=work)
        work.result("dataset", made)


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


@app.command("strokes", hidden=True)  # its old name, for one more release
@app.command("scribbles")
def scribbles(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(metavar="DATA.json", help="A dataset with complete label maps.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the new DATA.json and label maps.")],
    per_structure: Annotated[
        int | None, typer.Option("--per-structure", metavar="N", help="Scribbles of each structure and case.")
    ] = None,
    fraction: Annotated[
        float | None,
        typer.Option("--fraction", metavar="F", help="Instead: fraction of each structure's voxels, 0..1."),
    ] = None,
    old_fraction: Annotated[float | None, typer.Option("--share", hidden=True)] = None,
    length: Annotated[int, typer.Option("--length", metavar="N", help="Maximum length of a scribble in voxels.")] = 10,
    hold_out: Annotated[
        str | None, typer.Option("--hold-out", metavar="ID,ID", help="Leave these nodes of the tree unlabelled.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="The same seed draws the same scribbles.")] = 0,
    events: EventsOption = None,
    quiet: QuietOption = False,
    cancel_file: CancelFileOption = None,
) -> None:
    """Simulate an annotator who draws a few scribbles, to measure the cost of sparse labels; test cases stay whole."""
    with long_work(context, events, quiet, cancel_file) as work:
        from softseg.data import Dataset, simulate

        fraction = old_fraction if fraction is None else fraction
        whole = per_structure is None and fraction is None
        if whole and hold_out is None:
            raise InputError("nothing to do", field="--per-structure, --fraction or --hold-out")
        result = data
        if hold_out is not None:
            nodes = [node.strip() for node in hold_out.split(",") if node.strip()]
            place = out if whole else out / "held-out"
            result = simulate.hold_out(Dataset.load(result), nodes, place, events=work)
        if not whole:
            result = simulate.write_scribbles(
                Dataset.load(result),
                out,
                per_structure=per_structure,
                fraction=fraction,
                seed=seed,
                length=length,
                events=work,
            )
        work.result("dataset", result)


@app.command("raters")
def raters(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(metavar="DATA.json", help="A dataset with one set of labels per case.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the new DATA.json and label maps.")],
    count: Annotated[int, typer.Option("--count", metavar="N", help="Raters of each case.")] = 4,
    shift: Annotated[float, typer.Option("--shift", metavar="MM", help="Maximum shift of a map.")] = 0.5,
    border: Annotated[
        float, typer.Option("--border", metavar="MM", help="Maximum additional border shift, in or out.")
    ] = 0.5,
    scale: Annotated[
        float, typer.Option("--scale", metavar="MM", help="Distance of independent values of the border shift.")
    ] = 3.0,
    habit: Annotated[
        float,
        typer.Option("--habit", metavar="S", help="Fraction of --border that a rater repeats in all scans, 0..1."),
    ] = 0.5,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same raters.")] = 0,
    events: EventsOption = None,
    quiet: QuietOption = False,
    cancel_file: CancelFileOption = None,
) -> None:
    """Simulate raters who disagree at borders, within given bounds, to study disagreement."""
    with long_work(context, events, quiet, cancel_file) as work:
        from softseg.data import Dataset
        from softseg.data.disagreement import Disagreement
        from softseg.data.rater_dataset import write_raters

        how = Disagreement(count, shift, border, scale, habit)
        work.result("dataset", write_raters(Dataset.load(data), out, how, seed=seed, events=work))


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
    chosen = None if bands is None else [int(part) for part in _numbers(bands, "three", "--bands", "49,26,16")]
    low, high = _numbers(percent, "two", "--percent", "2,98")
    image = read_channel(request.cube)
    events.check()
    events.result("picture", write_false_colour(image, request.out, chosen, (low, high)))


false_colour = app.command("false-colour")(command_of(FalseColourRequest, _false_colour))


def _numbers(text: str, count: str, option: str, example: str) -> tuple[float, ...]:
    """Return two or three numbers from text such as ``2,98``."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(found) != {"two": 2, "three": 3}[count]:
        raise InputError(f"expected {count} numbers such as {example}, got {text!r}", field=option)
    return found


@app.command("heads")
def heads(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Folder of label maps of whole heads.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for DATA.json and the label maps.")],
    closing: Annotated[
        float, typer.Option("--closing", metavar="MM", help="Radius of the closing of the brain mask.", min=0)
    ] = 8.0,
    events: EventsOption = None,
    quiet: QuietOption = False,
    cancel_file: CancelFileOption = None,
) -> None:
    """Prepare label maps of whole heads (the tree head-tissues) for the recipe head-any."""
    with long_work(context, events, quiet, cancel_file) as work:
        from softseg.synthesis.fluid import import_heads

        work.result("dataset", import_heads(source, out, closing, work))


@app.command("synthesize")
def synthesize(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(metavar="DATA.json", help="A dataset with label maps.")],
    out: Annotated[Path, typer.Option("--out", metavar="PNG", help="The page to write.")],
    recipe: Annotated[str, typer.Option("--recipe", help="A synthetic recipe: a name or a YAML file.")] = "head-any",
    draws: Annotated[int, typer.Option("--draws", metavar="N", help="Number of draws.", min=1, max=1000)] = 40,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value of the recipe.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same draws.")] = 0,
    events: EventsOption = None,
    quiet: QuietOption = False,
    cancel_file: CancelFileOption = None,
) -> None:
    """Draw training samples of a synthetic recipe: images synthesised from label maps, and their targets."""
    with long_work(context, events, quiet, cancel_file) as work:
        from softseg.data import Dataset
        from softseg.training.draws import draw_page

        work.result("page", draw_page(Dataset.load(data), recipe, out, draws, seed, set_ or [], work))


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
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3):
        raise InputError(f"expected one number or three such as 2 or 1,1,0, got {text!r}", field="--spacing")
    return tuple(numbers * 3 if len(numbers) == 1 else numbers)


def _named(labels: list[str]) -> dict[str, str]:
    """Return endings of label files by node id from ``NODE=ENDING``."""
    pairs = [label.partition("=") for label in labels]
    wrong = next((label for label, (node, _, ending) in zip(labels, pairs, strict=True) if not (node and ending)), None)
    if wrong is not None:
        raise InputError(f"expected NODE=ENDING, got {wrong!r}", field="--label")
    return {node: ending for node, _, ending in pairs}


def _fractions(text: str) -> tuple[float, ...]:
    """Return three numbers from ``A,B,C``."""
    return _numbers(text, "three", "--fractions", "0.7,0.15,0.15")
