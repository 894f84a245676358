"""``softseg train``: learn from a described dataset by a recipe."""

from __future__ import annotations

import os
from typing import Any

import typer

from softseg.commands.asked import request_of, with_options
from softseg.commands.common import long_work
from softseg.errors import FollowedError, InputError
from softseg.events import Events
from softseg.requests.train import TrainRequest


def _train(
    context: typer.Context, events: Any = None, quiet: bool = False, cancel_file: Any = None, **given: Any
) -> None:
    follower = os.environ.get("RANK", "0") != "0"  # torchrun's number of this process; process 0 speaks for all
    try:
        with long_work(context, None if follower else events, quiet or follower, cancel_file) as work:
            _run(request_of(TrainRequest, given), work, follower)
    except FollowedError as error:  # process 0 says it
        raise typer.Exit(error.exit_code) from error


def _run(request: TrainRequest, events: Events, follower: bool) -> None:
    from softseg.data import Dataset
    from softseg.training import Recipe
    from softseg.tree import LabelTree

    try:
        chosen, dataset = Recipe.load(request.recipe, list(request.sets)), Dataset.load(request.data)
        other_tree = None if request.tree is None else LabelTree.load(request.tree)
    except InputError as error:
        if follower:
            raise FollowedError(0, error.exit_code) from error
        raise
    from softseg.training import train as run_training  # loads torch: after what can be said without it

    run_training(
        dataset,
        chosen,
        request.out,
        tree=other_tree,
        device=request.device,
        seed=request.seed,
        resume=request.resume,
        events=events,
    )


train = with_options(
    _train,
    TrainRequest,
    """Train a model on DATA.json by a recipe; the finished model is RUN/model.

    For several GPUs or machines: torchrun --nproc-per-node N -m softseg train ... (docs/scaling.md).
    """,
)
