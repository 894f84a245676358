"""The training: from a dataset and a recipe to a model folder.

The loop itself is :func:`_learn`; everything else a training does beside learning (reporting, validating, saving) is a
hook, a function that is called after every step.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from softseg.data import Dataset, Plan
from softseg.data.sampler import Batch
from softseg.errors import CancelledError, LostProcessError
from softseg.events import Events
from softseg.network import memory_format
from softseg.prediction.exporting import add_onnx
from softseg.system import autocast, cores
from softseg.training.arguments import TrainingArguments
from softseg.training.finish import finished_model
from softseg.training.hooks import Hook, make_hooks
from softseg.training.objective import loss_of, plain_memory_errors, require_finite
from softseg.training.ranks import joined_ranks
from softseg.training.recipe import Recipe
from softseg.training.run import Run
from softseg.training.samplers import Sampler
from softseg.training.setup import prepare_run
from softseg.training.shared_step import shared_loss
from softseg.tree import LabelTree

MOST_WORKERS = 8
"""Threads that make batches for one GPU, at most (our default)."""


def train(
    dataset: Dataset,
    recipe: Recipe,
    out: str | Path,
    *,
    tree: LabelTree | None = None,
    device: str = "auto",
    seed: int = 0,
    resume: bool = False,
    overrides: dict[str, Any] | None = None,
    cache: str | Path | None = None,
    pictures: bool = True,
    onnx: bool = True,
    plan: Plan | None = None,
    details: Mapping[str, Any] | None = None,
    events: Events | None = None,
) -> Path:
    """Train a network on the ``train`` cases of ``dataset`` and return the model folder ``out/model``.

    Started by ``torchrun``, all processes share each step's patches and process 0 alone writes and reports.

    Parameters
    ----------
    dataset: cases; those of the split ``val`` choose the best network. Without any, the last network is saved.
    recipe: what to train with.
    out: folder of this run: recipe.yaml, plan.json, tree.json, log.jsonl, metrics.csv, curves.png, tensorboard/,
        checkpoints/last.pt and best.pt, model/, cache/ (preprocessed cases; may be deleted afterwards).
    tree: another label tree than the dataset's.
    device: ``"auto"``, ``"cpu"`` or ``"cuda:N"``.
    seed: the same seed, data, number of threads and CPU give the same network, bit by bit.
    resume: go on from ``checkpoints/last.pt``; on a CPU the result equals that of an uninterrupted run.
    overrides: changes to the plan, with dotted keys; they win over the recipe's.
    cache: folder of preprocessed cases that several runs may share, ``out/cache`` by default.
    plan: the plan of a model that is trained further, instead of one made for the dataset.
    details: fields of the model's card beside those from the training.
    pictures: whether ``curves.png`` and ``validation.png`` are drawn; with trainings of seconds that takes its time.
    onnx: whether the model gets its ``models/model.onnx``, where the packages that write it are installed.
    events: progress, metrics, warnings; and the user's wish to stop, after which the run can be resumed.

    Raises
    ------
    InputError: dataset, recipe or plan do not fit together, the folder holds another run, or the loss diverged.
    OutOfMemoryError: a step does not fit into memory.
    CancelledError: stopped on request, with a checkpoint.
    LostProcessError: another process of the training is gone; there is a checkpoint if process 0 is left.
    FollowedError: another process failed and reports the reason.
    """
    events = Events() if events is None else events
    folder = Path(out)
    dataset = dataset if tree is None else dataset.with_tree(tree)
    cache = folder / "cache" if cache is None else Path(cache)
    with joined_ranks(device, events) as (ranks, own_device), torch.random.fork_rng():
        torch.manual_seed(seed)
        request = TrainingArguments(
            dataset, recipe, folder, own_device, seed, resume, overrides or {}, cache, pictures, plan, details or {}
        )
        setup = prepare_run(request, ranks, events)
        run = setup.run
        events.stage("train", total=run.recipe.steps if run.recipe.minutes is None else None, done=run.step)
        with plain_memory_errors(run.device, run.plan.batch_size, run.plan.patch_size):
            _learn(run, setup.sampler, make_hooks(setup, events), events)
        with ranks.together():
            path = finished_model(run, dataset.name)
            if onnx and ranks.main:
                add_onnx(path, events)
    events.result("model", path)
    return path


def _learn(run: Run, sampler: Sampler, hooks: list[Hook], events: Events) -> None:
    run.start_learning()
    batches = cast("Generator[tuple[int, Batch], None, None]", sampler.batches(run.step, workers=_workers(run)))
    try:
        with run.ranks.told_of_losses():
            if run.step:  # what was still to do when the run was interrupted
                _after_step(run, hooks, events)
            while not run.finished:
                rate = run.learning_rate
                _, batch = next(batches)
                run.count_step(_step(run, batch, rate), rate)
                _after_step(run, hooks, events)
    except (CancelledError, LostProcessError):
        run.save()
        raise
    finally:
        batches.close()


def _workers(run: Run) -> int:
    """Return how many threads make batches: one beside a network on the CPU, which needs the cores itself."""
    own = cores() // run.ranks.local_size
    return 1 if run.device.type == "cpu" else max(1, min(MOST_WORKERS, own - 1))


def _after_step(run: Run, hooks: list[Hook], events: Events) -> None:
    """Run the hooks where there are any; all processes go on with the clock and the decisions of process 0."""
    if run.ranks.any(events.cancel.requested):
        events.cancel.cancel()

    def work() -> tuple[float, float]:
        require_finite(run.curve.losses[-1], run.step)
        for hook in hooks:
            hook(run)
        return run.seconds, float(run.stopped)

    run.seconds, stopped = run.ranks.from_main(work)
    run.stopped = bool(stopped)


def _step(run: Run, batch: Batch, rate: float) -> float:
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    image = batch.image.to(run.device, memory_format=memory_format(run.plan.dimensions), non_blocking=True)
    target = batch.target.to(run.device, non_blocking=True)
    mask = None if batch.mask is None else batch.mask.to(run.device, non_blocking=True)
    coarse = None if batch.coarse is None else batch.coarse.to(run.device, non_blocking=True)
    run.draw_anew()
    with _statistics_put_back(run):
        with autocast(run.dtype, run.device):
            logits = run.learner(image)
        loss = _loss(run, logits, target, mask, coarse)
        run.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(run.scaler.scale(loss * run.ranks.size))  # the gradients of all are averaged
        total = float(run.ranks.sum(loss.detach()))
    # from here on no other process is needed, so the step is done and counted as a whole
    if run.recipe.optimizer.gradient_clip is not None:
        run.scaler.unscale_(run.optimizer)
        torch.nn.utils.clip_grad_norm_(run.network.parameters(), run.recipe.optimizer.gradient_clip)
    run.scaler.step(run.optimizer)
    run.scaler.update()
    if run.average is not None:
        run.average.update_parameters(run.network)
    return total


@contextmanager
def _statistics_put_back(run: Run) -> Iterator[None]:
    """Undo what a step that a lost process cut short has done to running means and variances: it is not counted."""
    before = [buffer.clone() for buffer in run.network.buffers()] if run.ranks.several else []
    try:
        yield
    except Exception:
        for buffer, value in zip(run.network.buffers(), before, strict=False):  # none were kept by a single process
            buffer.copy_(value)
        raise


def _loss(run: Run, logits: Tensor, target: Tensor, mask: Tensor | None, coarse: Tensor | None) -> Tensor:
    scope = run.recipe.head.scope
    if run.ranks.several:
        return shared_loss(run.ranks, run.loss, run.head, scope, logits, target, mask, coarse)
    return loss_of(run.loss, run.head, scope, logits, target, mask, coarse)
