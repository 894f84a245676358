"""The training: from a dataset and a recipe to a model folder.

The loop itself is :func:`_learn`; everything else a training does beside learning (reporting, validating, saving) is a
hook, a function that is called after every step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from softseg.data import Dataset, PatchSampler
from softseg.data.sampler import Batch
from softseg.errors import CancelledError
from softseg.events import Events
from softseg.network import memory_format
from softseg.training.curves import Log
from softseg.training.finish import save_model
from softseg.training.objective import loss_of, plain_memory_errors, require_finite
from softseg.training.recipe import Recipe
from softseg.training.run import Run
from softseg.training.setup import Setup, prepare_run
from softseg.training.validation import validate
from softseg.tree import LabelTree

Hook = Callable[[Run], None]


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
    events: Events | None = None,
) -> Path:
    """Train a network on the ``train`` cases of ``dataset`` and return the model folder ``out/model``.

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
    events: progress, metrics, warnings; and the user's wish to stop, after which the run can be resumed.

    Raises
    ------
    InputError: dataset, recipe or plan do not fit together, the folder holds another run, or the loss diverged.
    OutOfMemoryError: a step does not fit into memory.
    CancelledError: stopped on request, with a checkpoint.
    """
    events = Events() if events is None else events
    with _repeatable(seed):
        setup = prepare_run(dataset, recipe, Path(out), tree, device, seed, resume, overrides or {}, cache, events)
        run = setup.run
        events.stage("train", total=run.recipe.steps, done=run.step)
        with plain_memory_errors(run.device, run.plan.batch_size, run.plan.patch_size):
            _learn(run, setup.sampler, _hooks(setup, events))
        return save_model(run, setup.store, events)


def _learn(run: Run, sampler: PatchSampler, hooks: list[Hook]) -> None:
    run.network.train()
    with contextlib.closing(iter(sampler.batches(run.step))) as batches:
        try:
            while not run.finished:
                rate = run.learning_rate
                for group in run.optimizer.param_groups:
                    group["lr"] = rate
                _, batch = next(batches)
                loss = _step(run, batch)
                require_finite(loss, run.step + 1)
                run.step += 1
                run.curve.add(loss, rate)
                for hook in hooks:
                    hook(run)
        except CancelledError:
            run.save()
            raise


def _step(run: Run, batch: Batch) -> float:
    image = batch.image.to(run.device, memory_format=memory_format(run.plan.dimensions), non_blocking=True)
    target = batch.target.to(run.device, non_blocking=True)
    mask = None if batch.mask is None else batch.mask.to(run.device, non_blocking=True)
    with torch.autocast(run.device.type, dtype=run.dtype, enabled=run.dtype != torch.float32):
        logits = run.network(image)
    loss = loss_of(run.loss, run.head, run.recipe.head.scope, logits, target, mask)
    run.optimizer.zero_grad(set_to_none=True)
    run.scaler.scale(loss).backward()
    if run.recipe.optimizer.gradient_clip is not None:
        run.scaler.unscale_(run.optimizer)
        torch.nn.utils.clip_grad_norm_(run.network.parameters(), run.recipe.optimizer.gradient_clip)
    run.scaler.step(run.optimizer)
    run.scaler.update()
    if run.average is not None:
        run.average.update_parameters(run.network)
    return float(loss.detach())


def _hooks(setup: Setup, events: Events) -> list[Hook]:
    """Return what happens after every step, in this order; the checkpoint is last so that it knows everything."""
    log = Log(setup.run.folder / "log.jsonl")
    board = setup.board
    every = setup.validate_every

    def write_step(run: Run) -> None:
        loss, rate = run.curve.losses[-1], run.curve.rates[-1]
        log.write("step", step=run.step, loss=loss, learning_rate=rate, seconds=round(run.elapsed, 2))
        board.add_scalar("loss", loss, run.step)
        board.add_scalar("learning rate", rate, run.step)

    def judge(run: Run) -> None:
        due = run.step % every == 0 or run.finished
        if not due or not setup.validation_cases or not setup.pace.allows(run):
            return
        with setup.pace.measure():
            scores = validate(run, setup.store, setup.validation_cases, events)
        run.curve.scores[run.step] = scores
        log.write("validation", step=run.step, **scores)
        for name, score in scores.items():
            board.add_scalar(name, score, run.step)
        events.metrics({"step": run.step, "loss": run.curve.smooth()[-1], **scores})
        _keep_best(run, scores, events)

    def checkpoint(run: Run) -> None:
        if run.step % run.recipe.checkpoint_every == 0 or run.step in run.curve.scores or run.finished:
            run.curve.write_csv(run.folder / "metrics.csv")
            run.curve.write_picture(run.folder / "curves.png", f"{run.tree.name}, recipe {run.recipe.name}")
            board.flush()
            run.save()

    def report(run: Run) -> None:
        done = max(run.step, round(run.passed * run.recipe.steps))
        events.progress(min(done, run.recipe.steps), run.recipe.steps)

    return [write_step, judge, checkpoint, report]


def _keep_best(run: Run, scores: dict[str, float], events: Events) -> None:
    score = scores.get(run.recipe.validation.metric)
    if score is None:
        known = ", ".join(sorted(scores))
        events.warning(f"no score {run.recipe.validation.metric!r} at step {run.step}; there are {known or 'none'}")
        return
    if run.best is None or score > run.best:
        run.best, run.best_step, run.waited = score, run.step, 0
        run.save_best()
        return
    run.waited += 1
    patience = run.recipe.validation.patience
    if patience is not None and run.waited >= patience:
        run.stopped = True
        events.log(f"stopped early at step {run.step}: no better score since step {run.best_step}")


@contextlib.contextmanager
def _repeatable(seed: int) -> Iterator[None]:
    """Seed torch and choose repeatable algorithms where there are any; put everything back afterwards."""
    strict, warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if not torch.cuda.is_available():
            torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict, warn_only=warn)
