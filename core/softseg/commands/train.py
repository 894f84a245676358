"""``softseg train``: train a model on a dataset with a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from softseg import torchrun
from softseg.commands.asked import request_of, with_options
from softseg.commands.common import long_work
from softseg.errors import FollowedError, InputError
from softseg.events import Events
from softseg.requests.train import TrainRequest

if TYPE_CHECKING:
    from softseg.data import Dataset


def _train(
    context: typer.Context,
    events: Any = None,
    quiet: bool = False,
    cancel_file: Any = None,
    threads: int | None = None,
    **given: Any,
) -> None:
    follower = torchrun.is_follower()
    try:
        with long_work(context, None if follower else events, quiet or follower, cancel_file, threads) as work:
            _run(request_of(TrainRequest, given), work, follower)
    except FollowedError as error:  # process 0 says it
        raise typer.Exit(error.exit_code) from error


def _run(request: TrainRequest, events: Events, follower: bool) -> None:
    from softseg.data import Dataset
    from softseg.headers.room import require_room_for_each
    from softseg.training import Recipe
    from softseg.tree import LabelTree

    try:
        _require_fit(request)
        dataset = Dataset.load(request.data)
        if not (request.resume or follower):
            require_room_for_each(file for case in dataset.cases for _, file in case.files())
        chosen = None if request.recipe is None else Recipe.load(request.recipe, list(request.sets))
        other_tree = None if request.tree is None else LabelTree.load(request.tree)
    except InputError as error:
        if follower:
            raise FollowedError(0, error.exit_code) from error
        raise
    if request.model is not None:
        _fine_tune(request, dataset, events, follower)
        return
    assert chosen is not None  # noqa: S101 - a request has a recipe or a model
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


def _require_fit(request: TrainRequest) -> None:
    """Raise :class:`InputError` unless there is something to train by, and one tree."""
    if request.recipe is None and request.model is None:
        raise InputError("missing", field="--recipe", hint="name a recipe, or a model to fine-tune with --from")
    if request.tree is not None and request.model is not None:
        raise InputError("a model that is fine-tuned keeps its label tree", field="--tree", hint="leave --tree out")


def _fine_tune(request: TrainRequest, dataset: Dataset, events: Events, follower: bool) -> None:
    from softseg.fine_tuning import fine_tune

    fine_tune(
        dataset,
        str(request.model),
        request.out,
        recipe=request.recipe,
        sets=request.sets,
        device=request.device,
        seed=request.seed,
        resume=request.resume,
        follower=follower,
        events=events,
    )


train = with_options(
    _train,
    TrainRequest,
    """Train a model on DATA.json with a recipe, or fine-tune one (--from); the new model is RUN/model.

    For several GPUs or machines: torchrun --nproc-per-node N -m softseg train ... (docs/scaling.md).
    """,
)
