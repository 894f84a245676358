"""``softseg train``: learn from a described dataset by a recipe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from softseg.commands.common import CancelFileOption, DeviceOption, EventsOption, QuietOption, long_work
from softseg.errors import FollowedError, InputError


def train(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(metavar="DATA.json", help="The dataset description.")],
    recipe: Annotated[str, typer.Option("--recipe", help="A recipe's name or a YAML file.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of this run: log, curves, checkpoints, model.")],
    tree: Annotated[Path | None, typer.Option("--tree", help="Another label tree than the dataset's.")] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value of recipe or plan.")
    ] = None,
    device: DeviceOption = "auto",
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same data, same CPU: same model.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in --out.")] = False,
    events: EventsOption = None,
    quiet: QuietOption = False,
    cancel_file: CancelFileOption = None,
) -> None:
    """Train a model on DATA.json by a recipe; the finished model is RUN/model.

    For several GPUs or machines: torchrun --nproc-per-node N -m softseg train ... (docs/scaling.md).
    """
    follower = os.environ.get("RANK", "0") != "0"  # torchrun's number of this process; process 0 speaks for all
    try:
        with long_work(context, None if follower else events, quiet or follower, cancel_file) as work:
            from softseg.data import Dataset
            from softseg.training import Recipe
            from softseg.tree import LabelTree

            try:
                chosen, dataset = Recipe.load(recipe, sets or []), Dataset.load(data)
                other_tree = None if tree is None else LabelTree.load(tree)
            except InputError as error:
                if follower:
                    raise FollowedError(0, error.exit_code) from error
                raise
            from softseg.training import train as run_training  # loads torch: after what can be said without it

            run_training(dataset, chosen, out, tree=other_tree, device=device, seed=seed, resume=resume, events=work)
    except FollowedError as error:  # process 0 says it
        raise typer.Exit(error.exit_code) from error
