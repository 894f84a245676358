"""``softseg data``: annotators and images that are simulated from label maps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softseg.commands.common import CancelFileOption, EventsOption, QuietOption, long_work
from softseg.commands.data_app import app
from softseg.errors import InputError
from softseg.requests.lists import split_list


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
        list[str] | None,
        typer.Option("--hold-out", metavar="ID", help="Leave this node of the tree unlabelled; may be repeated."),
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
        if whole and not hold_out:
            raise InputError("nothing to do", field="--per-structure, --fraction or --hold-out")
        result = data
        if hold_out:
            nodes = [node for text in hold_out for node in split_list(text)]
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


@app.command("heads")
def heads(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Folder of label maps of whole heads.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for DATA.json and the label maps.")],
    closing: Annotated[
        float, typer.Option("--closing", metavar="MM", help="Radius of the closing of the brain mask.", min=0)
    ] = 8.0,
    brains: Annotated[
        Path | None,
        typer.Option("--brains", metavar="DATA.json", help="Labelled brains (the tree brain-134) to put into heads."),
    ] = None,
    events: EventsOption = None,
    quiet: QuietOption = False,
    cancel_file: CancelFileOption = None,
) -> None:
    """Prepare label maps of whole heads (the tree head-tissues) for the recipe head-any."""
    with long_work(context, events, quiet, cancel_file) as work:
        from softseg.data import Dataset
        from softseg.synthesis.heads import import_heads

        given = None if brains is None else Dataset.load(brains)
        work.result("dataset", import_heads(source, out, closing, work, given))


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
