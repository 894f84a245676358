"""From dataset and recipe to a training that is ready to start or to go on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from softseg.data import CaseStore, Dataset, PatchSampler, Plan, default_augmentation, make_plan
from softseg.errors import InputError
from softseg.events import Events
from softseg.files import require_writable_folder
from softseg.losses import build_loss
from softseg.network import Head, build_network, set_output_bias
from softseg.prediction.devices import resolve_device, resolve_precision
from softseg.training.board import Board
from softseg.training.curves import Log
from softseg.training.optimization import average_of, make_optimizer
from softseg.training.recipe import Recipe
from softseg.training.run import Run
from softseg.training.validation import least_pause
from softseg.training.warm_start import start_from
from softseg.tree import LabelTree

BIAS_BATCHES = 4
"""Batches from which the class frequencies are estimated (our default)."""

LEAST_FREQUENCY = 1e-4
"""Frequency that a class is given at least (our default)."""

VALIDATION_SHARE = 0.1
"""With a time budget, validation takes at most this share of it (our default)."""


class Pace:
    """Keeps validation from eating a time budget; without one it never interferes, so runs stay repeatable."""

    def __init__(self, limited: bool) -> None:
        self._limited = limited
        self._last_took = 0.0
        self._last_end = float("-inf")

    def allows(self, run: Run) -> bool:
        """Whether enough time has passed since the last validation."""
        pause = self._last_took * (1 / VALIDATION_SHARE - 1)
        return not self._limited or run.finished or time.monotonic() - self._last_end >= pause

    @contextlib.contextmanager
    def measure(self) -> Iterator[None]:
        """Take the time of one validation."""
        started = time.monotonic()
        yield
        self._last_end = time.monotonic()
        self._last_took = self._last_end - started


@dataclass(frozen=True)
class Setup:
    """What the loop needs besides the run itself."""

    run: Run
    store: CaseStore
    sampler: PatchSampler
    validation_cases: list[str]
    validate_every: int
    board: Board
    pace: Pace


def prepare_run(
    dataset: Dataset,
    recipe: Recipe,
    out: Path,
    tree: LabelTree | None,
    device: str,
    seed: int,
    resume: bool,
    overrides: dict[str, Any],
    cache: str | Path | None,
    events: Events,
) -> Setup:
    """Check everything, make or read the plan, prepare the cases and build or restore the run."""
    folder = require_writable_folder(out)
    last = folder / "checkpoints" / "last.pt"
    if last.exists() and not resume:
        raise InputError(
            "holds a training already", file=folder, hint="add --resume to go on, or choose another folder"
        )
    dataset = dataset.with_tree(suitable_tree(dataset.tree if tree is None else tree, recipe, events))
    tree = dataset.tree
    training_cases = [case.id for case in dataset.split("train")]
    if not training_cases:
        raise InputError("no case has the split train", file=dataset.path, field="cases")
    validation_cases = [case.id for case in dataset.split("val")][: recipe.validation.cases]
    chosen = resolve_device(device, events)
    plan = _plan(dataset, recipe, folder, overrides, resume, chosen.type == "cuda", events)
    background = None if tree.background is None else tree.leaf_index(tree.background.id)
    head = Head(recipe.head.name, len(tree.leaves), background)
    loss = build_loss(recipe.losses, tree).to(chosen)
    check_fit(recipe, head, loss)
    augmentation = default_augmentation(plan, recipe.augmentation)
    recipe.save(folder / "recipe.yaml")
    plan.save(folder / "plan.json")
    tree.save(folder / "tree.json")
    store = CaseStore(dataset, plan, folder / "cache" if cache is None else Path(cache))
    store.prepare(events, [*training_cases, *validation_cases])
    sampler = PatchSampler(store, training_cases, plan, recipe.targets, augmentation, seed)
    run = _new_run(folder, recipe, plan, tree, head, chosen, seed, tuple(training_cases), loss, events)
    log = Log(folder / "log.jsonl")
    if resume and last.exists():
        run.restore()
        log.cut(run.step)
        events.log(f"resumed at step {run.step}")
    else:
        if resume:
            events.warning("there is no checkpoint to resume from: starting at the beginning")
        log.path.unlink(missing_ok=True)
        _start_bias(run, sampler)
        log.write("start", seed=seed, device=str(chosen), precision=run.precision, cases=len(training_cases))
    for line in describe(run, training_cases, validation_cases):
        events.log(line)
        if run.step == 0:
            log.write("setting", text=line)
    shapes = [store.load(case).geometry.shape for case in validation_cases]
    pause = least_pause(shapes, plan, recipe.validation.overlap)
    every = recipe.validation.every or max(1, recipe.steps // 20, pause)
    board = Board(folder / "tensorboard", run.step)
    return Setup(run, store, sampler, validation_cases, every, board, Pace(recipe.minutes is not None))


def suitable_tree(tree: LabelTree, recipe: Recipe, events: Events) -> LabelTree:
    """Return the tree with a background leaf, or without one for a sparse recipe; the change is announced."""
    if recipe.sparse and tree.background is not None:
        events.log("sparse: the background leaf is taken out of the tree; value 0 means unlabelled")
        return tree.remove(tree.background.id)
    if not recipe.sparse and tree.background is None:
        events.log("the tree has no background leaf: one was added under the root")
        return tree.with_background()
    return tree


def check_fit(recipe: Recipe, head: Head, loss: torch.nn.Module) -> None:
    """Raise :class:`InputError` if loss and head do not go together."""
    if head.name == "normrelu" and loss.on == "logits":
        raise InputError(
            "the normrelu head has no logits for these losses",
            field="losses",
            hint="use adaptive-wing with normrelu, or the softmax head",
        )
    if head.name == "normrelu" and recipe.targets == "crisp":
        raise InputError("normrelu belongs with soft targets", field="targets", hint="set targets: soft")


def _plan(
    dataset: Dataset, recipe: Recipe, folder: Path, overrides: dict[str, Any], resume: bool, gpu: bool, events: Events
) -> Plan:
    saved = folder / "plan.json"
    if resume and saved.exists():
        return Plan.load(saved)
    changes = {"raters": recipe.raters, **recipe.plan, **overrides}
    if recipe.batch_size is not None:
        changes["batch_size"] = recipe.batch_size
    return make_plan(dataset, overrides=changes, gpu=gpu, events=events)


def _new_run(
    folder: Path,
    recipe: Recipe,
    plan: Plan,
    tree: LabelTree,
    head: Head,
    device: torch.device,
    seed: int,
    cases: tuple[str, ...],
    loss: torch.nn.Module,
    events: Events,
) -> Run:
    network = build_network(plan.network, len(plan.channels), head.out_channels, plan.dimensions)
    if recipe.init is not None:
        copied, total = start_from(recipe.init, network)
        events.log(f"{copied} of {total} weight tensors start from {recipe.init}")
    network.to(device)
    dtype = resolve_precision(plan.precision, device)
    return Run(
        folder=folder,
        recipe=recipe,
        plan=plan,
        tree=tree,
        head=head,
        device=device,
        dtype=dtype,
        seed=seed,
        cases=cases,
        network=network,
        loss=loss,
        optimizer=make_optimizer(recipe.optimizer, network),
        scaler=torch.amp.GradScaler(device.type, enabled=dtype == torch.float16),
        average=None if recipe.average is None else average_of(network, recipe.average),
    )


def _start_bias(run: Run, sampler: PatchSampler) -> None:
    if not run.recipe.frequency_bias or run.recipe.init is not None:
        return
    if run.head.name == "normrelu":
        set_output_bias(run.network, torch.full((run.head.out_channels,), 0.2))
        return
    counts = torch.zeros(run.head.classes, dtype=torch.float64)
    for step in range(BIAS_BATCHES):
        target = sampler.batch(step).target
        if target.is_floating_point():
            counts += target.double().sum(dim=(0, *range(2, target.ndim)))
        else:
            leaves = target[(target >= 0) & (target < run.head.classes)]
            counts += torch.bincount(leaves, minlength=run.head.classes).double()
    frequency = counts / counts.sum().clamp(min=1)
    set_output_bias(run.network, frequency.clamp(min=LEAST_FREQUENCY).log().float())


def describe(run: Run, training_cases: list[str], validation_cases: list[str]) -> list[str]:
    """Return, line by line, what the recipe set and which of it is ours rather than a paper's."""
    recipe, plan, spec = run.recipe, run.plan, run.recipe.optimizer
    weights = sum(weight.numel() for weight in run.network.parameters())
    budget = f"{recipe.steps} steps" + (f" or {recipe.minutes:g} minutes" if recipe.minutes else "")
    lines = [
        f"recipe {recipe.name}: {recipe.targets} targets, head {recipe.head.name}"
        + (f" (scope {recipe.head.scope})" if recipe.head.name == "normrelu" else "")
        + f", raters {recipe.raters}"
        + (", sparse: only labelled voxels count" if recipe.sparse else ""),
        "losses: " + " + ".join(_loss_text(loss) for loss in recipe.losses),
        f"optimizer {spec.name}, learning rate {spec.learning_rate:g} ({spec.schedule}, warm-up {spec.warmup:g}), "
        f"weight decay {spec.weight_decay:g}, gradient clip {spec.gradient_clip} (our defaults, not a paper's)",
        f"network {plan.network.name}, {weights / 1e6:.1f} million weights, {run.head.classes} leaves, "
        f"{run.head.out_channels} output channels, computing in {run.precision} on {run.device}",
        f"{plan.batch_size} patches of {' x '.join(map(str, plan.patch_size))} voxels a step, {budget}, "
        f"mean of weights {recipe.average or 'off'}",
        f"{len(training_cases)} training cases, {len(validation_cases)} validation cases"
        + ("" if validation_cases else ": the last network is saved, there is no early stop"),
    ]
    if recipe.minutes is not None:
        lines.append("a time budget makes the schedule depend on the speed of this computer: not repeatable")
    return lines


def _loss_text(loss: dict[str, Any]) -> str:
    options = ", ".join(f"{key} {value}" for key, value in loss.items() if key != "name")
    return f"{loss.get('name')} ({options})" if options else str(loss.get("name"))
