"""What a training does after every step beside learning: report, validate, save."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

from softseg.events import Events
from softseg.training.curves import Log
from softseg.training.finish import save_model
from softseg.training.run import Run
from softseg.training.setup import Setup
from softseg.training.validation import validate

Hook: TypeAlias = Callable[[Run], None]
"""Called after every step, and once when an interrupted run goes on; does nothing that it has done at this step."""

CHECKPOINT_SECONDS = 60.0
"""A checkpoint is also written when the last one is older than this (our default)."""

REPORT_SECONDS = 1.0
"""Loss and learning rate are reported at most this often (our default)."""


def make_hooks(setup: Setup, events: Events) -> list[Hook]:
    """Return the hooks in the order in which they must run: the checkpoint comes after all that it contains.

    Process 0 alone has any.
    """
    if not setup.run.ranks.main:
        return []
    return [_recorder(setup, events), _judge(setup, events), _ender(setup), _saver(setup), _reporter(events)]


def _recorder(setup: Setup, events: Events) -> Hook:
    log, board = Log(setup.run.folder / "log.jsonl"), setup.board
    written, reported = setup.run.step, float("-inf")

    def record(run: Run) -> None:
        nonlocal written, reported
        if run.step == written:
            return
        written = run.step
        loss, rate = run.curve.losses[-1], run.curve.rates[-1]
        log.write("step", step=run.step, loss=loss, learning_rate=rate, seconds=round(run.seconds, 2))
        board.add_scalar("loss", loss, run.step)
        board.add_scalar("learning rate", rate, run.step)
        if time.monotonic() - reported >= REPORT_SECONDS:
            reported = time.monotonic()
            events.metrics({"step": run.step, "loss": loss, "learning_rate": rate})

    return record


def _judge(setup: Setup, events: Events) -> Hook:
    log, board = Log(setup.run.folder / "log.jsonl"), setup.board

    def judge(run: Run) -> None:
        due = run.step % setup.validate_every == 0 or run.finished
        if not setup.validation_cases:
            if run.finished:
                save_model(run, setup.store.dataset.name)
            return
        if not due or run.step in run.curve.scores or not setup.pace.allows(run):
            return
        with setup.pace.measure():
            scores = validate(run, setup.store, setup.validation_cases, events)
        run.curve.scores[run.step] = scores
        log.write("validation", step=run.step, **scores)
        for name, score in scores.items():
            board.add_scalar(name, score, run.step)
        events.metrics({"step": run.step, **scores})
        if _is_best(run, scores, events):
            save_model(run, setup.store.dataset.name)

    return judge


def _is_best(run: Run, scores: dict[str, float], events: Events) -> bool:
    metric = run.recipe.validation.metric
    score = scores.get(metric)
    if score is None:
        known = ", ".join(sorted(scores)) or "none"
        events.warning(f"no score {metric!r} at step {run.step}: the network is kept; there are {known}")
    if run.best is None or (score is not None and score > run.best):
        run.best, run.best_step, run.waited = score, run.step, 0
        run.save_best()
        return True
    run.waited += 1
    patience = run.recipe.validation.patience
    if patience is not None and run.waited >= patience:
        run.stopped = True
        events.log(f"stopped early at step {run.step}: no better {metric} since step {run.best_step}")
    return False


def _ender(setup: Setup) -> Hook:
    log, ended = Log(setup.run.folder / "log.jsonl"), setup.run.step if setup.run.finished else -1

    def end(run: Run) -> None:
        nonlocal ended
        if run.finished and run.step != ended:
            ended = run.step
            log.write("end", step=run.step, reason=run.end_reason, best_step=run.best_step)

    return end


def _saver(setup: Setup) -> Hook:
    # none yet: a checkpoint that a cancel left may lack the scores of its step, and the curve its row
    saved: tuple[int, bool] | None = None
    saved_at = time.monotonic()

    def save(run: Run) -> None:
        nonlocal saved, saved_at
        judged = run.step in run.curve.scores
        due = run.step % run.recipe.checkpoint_every == 0 or judged or run.finished
        if saved == (run.step, judged) or not (due or time.monotonic() - saved_at >= CHECKPOINT_SECONDS):
            return
        saved, saved_at = (run.step, judged), time.monotonic()
        run.curve.write_csv(run.folder / "metrics.csv")
        if run.pictures and (judged or run.finished):
            run.curve.write_picture(run.folder / "curves.png", f"{run.tree.name}, recipe {run.recipe.name}")
        setup.board.flush()
        run.save()

    return save


def _reporter(events: Events) -> Hook:
    def report(run: Run) -> None:
        events.progress(run.step, run.expected_steps)

    return report
