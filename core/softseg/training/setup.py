"""From dataset and recipe to a training that is ready to start or to go on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from softseg.data import CaseStore, Hardware, Plan, default_augmentation, make_plan
from softseg.errors import InputError
from softseg.events import Events
from softseg.files import require_writable_folder
from softseg.losses import build_loss
from softseg.losses.coarse import uses_coarse
from softseg.losses.compound import CompoundLoss
from softseg.losses.generalized_wasserstein_dice import GeneralizedWassersteinDiceLoss
from softseg.network import Head, build_network, set_output_bias
from softseg.system import resolve_device, resolve_precision
from softseg.training.arguments import TrainingArguments
from softseg.training.board import Board
from softseg.training.curves import Log
from softseg.training.description import describe
from softseg.training.labelled import check_labelled
from softseg.training.optimization import average_of, make_optimizer
from softseg.training.ranks import Ranks
from softseg.training.recipe import Recipe
from softseg.training.run import Run
from softseg.training.samplers import Sampler, make_sampler
from softseg.training.score_names import require_score
from softseg.training.shared_step import require_shareable, shared_network
from softseg.training.step_memory import require_step_memory
from softseg.training.synthetic import label_maps, parted_cases, scans_of, synthetic_plan, synthetic_request
from softseg.training.validation import least_pause
from softseg.training.warm_start import start_from
from softseg.tree import LabelTree

BIAS_BATCHES = 4
"""Batches from which the class frequencies are estimated (our default)."""

LEAST_FREQUENCY = 1e-4
"""Frequency that a class is given at least (our default)."""

VALIDATION_FRACTION = 0.1
"""With a time budget, validation takes at most this fraction of it (our default)."""


FREE_TO_CHANGE = ("batch_size", "patch_size", "precision", "raters", "sampling")
"""What may change in the plan of a model that is trained further."""


class Pace:
    """Keeps validation from eating a time budget; without one it never interferes, so runs stay repeatable."""

    def __init__(self, limited: bool) -> None:
        self._limited = limited
        self._last_took = 0.0
        self._last_end = float("-inf")

    def allows(self, run: Run) -> bool:
        """Whether enough time has passed since the last validation."""
        pause = self._last_took * (1 / VALIDATION_FRACTION - 1)
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
    """What the loop needs beside the run itself."""

    run: Run
    store: CaseStore
    sampler: Sampler
    validation_cases: list[str]
    validate_every: int
    board: Board
    pace: Pace


def prepare_run(request: TrainingArguments, ranks: Ranks, events: Events) -> Setup:
    """Check everything, make or read the plan, prepare the cases and build or restore the run.

    Process 0 decides, writes and prepares; the others wait for it and then read the same.
    """
    with ranks.together():
        request = synthetic_request(request)
        tree = suitable_tree(request.tree, request.recipe, events)
        request = replace(request, dataset=request.dataset.with_tree(tree))
        if not any(map(uses_coarse, build_loss(request.recipe.losses, tree).parts)):
            request = replace(request, dataset=request.dataset.without_groups())
        require_score(request.recipe.validation.metric, tree, request.recipe.sparse)
        device = resolve_device(request.device, events)
        if device.type == "mps":  # the losses sum in float64, which it lacks
            raise InputError("trainings need a CPU or a CUDA device", field="device", hint="use --device cpu")
        if ranks.main:
            _lay_out(request, ranks, device, events)
    with ranks.together():
        return _build(request, ranks, device, events)


def _lay_out(request: TrainingArguments, ranks: Ranks, device: torch.device, events: Events) -> None:
    """Find every mistake that can be found now, then write recipe, plan and tree and prepare the cases."""
    folder, recipe = require_writable_folder(request.out), request.recipe
    if request.checkpoint.exists() and not request.resume:
        raise InputError(
            "holds a training already", file=folder, hint="add --resume to go on, or choose another folder"
        )
    if not request.training_cases:
        raise InputError("no case has the split train", file=request.dataset.path, field="cases")
    plan = _plan(request, ranks, device, events)
    ranks.items(plan.batch_size)
    loss = build_loss(recipe.losses, request.tree)
    check_fit(recipe, request.head, loss)
    if request.head.name == "normrelu" and recipe.targets == "crisp":
        events.warning("normrelu belongs with soft targets: set targets: soft, unless this is a comparison of parts")
    require_shareable(loss, ranks)
    default_augmentation(plan, recipe.augmentation)
    resolve_precision(plan.precision, device)
    with torch.random.fork_rng():
        network, _taken = _network(request, plan)
    require_step_memory(network, request.head, plan, recipe, device, ranks, events)
    if not request.checkpoint.exists():  # else they are what it was trained with
        recipe.save(folder / "recipe.yaml")
    plan.save(folder / "plan.json")
    request.tree.save(folder / "tree.json")
    store = CaseStore(request.dataset, plan, request.cache)
    scans, maps = parted_cases(request)
    if maps:
        label_maps(request, plan).prepare(events, maps)
    store.prepare(events, [*scans, *request.validation_cases])
    if scans:
        check_labelled(store, scans, request.validation_cases, loss, events)


def _build(request: TrainingArguments, ranks: Ranks, device: torch.device, events: Events) -> Setup:
    """Build network and sampler from what was laid out, and restore the run or write the beginning of its log."""
    if not (request.out / "plan.json").is_file():
        raise InputError(
            f"process {ranks.rank} does not see what process 0 wrote there",
            file=request.out,
            hint="all machines need the same folder under the same path",
        )
    recipe, plan = request.recipe, Plan.load(request.out / "plan.json")
    store = CaseStore(request.dataset, plan, request.cache)
    sampler = make_sampler(request, store, plan, ranks.items(plan.batch_size))
    run = _new_run(request, plan, ranks, device, events)
    if request.resume and request.checkpoint.exists():
        run.restore()
        events.log(f"resumed at step {run.step}")
    else:
        if request.resume:
            events.warning("there is no checkpoint to resume from: starting at the beginning")
        _start_bias(run, sampler)
    run.learner = shared_network(run.network, ranks, device)
    lines = describe(run, request.training_cases, request.validation_cases)
    if ranks.main:
        _open_log(run, lines)
    for line in lines:
        events.log(line)
    shapes = [store.load(case).geometry.shape for case in request.validation_cases]
    pause = least_pause(shapes, plan, recipe.validation.overlap)
    every = recipe.validation.every or max(1, recipe.steps // 20, pause)
    board = Board(request.out / "tensorboard" if ranks.main else None, run.step)
    return Setup(run, store, sampler, request.validation_cases, every, board, Pace(recipe.minutes is not None))


def _open_log(run: Run, lines: list[str]) -> None:
    """Cut the log back to the checkpoint, or begin a new one with what was set."""
    log = Log(run.folder / "log.jsonl")
    if run.step > 0:
        log.cut(run.step)
        return
    log.path.unlink(missing_ok=True)
    log.write("start", seed=run.seed, device=str(run.device), precision=run.precision, cases=len(run.cases))
    for line in lines:
        log.write("setting", text=line)


def suitable_tree(tree: LabelTree, recipe: Recipe, events: Events) -> LabelTree:
    """Return the tree with a background leaf, or without one for a sparse recipe; the change is announced."""
    if recipe.sparse and tree.background is not None:
        events.log("sparse: the background leaf is taken out of the tree; value 0 means unlabelled")
        return tree.remove(tree.background.id)
    if not recipe.sparse and tree.background is None:
        events.log("the tree has no background leaf: one was added under the root")
        return tree.with_background()
    return tree


def check_fit(recipe: Recipe, head: Head, loss: CompoundLoss) -> None:
    """Raise :class:`InputError` if loss, head and targets do not go together."""
    if head.name == "normrelu" and loss.on == "logits":
        raise InputError(
            "the normrelu head has no logits for these losses",
            field="losses",
            hint="use adaptive-wing with normrelu, or the softmax head",
        )
    if recipe.targets == "soft" and any(isinstance(part, GeneralizedWassersteinDiceLoss) for part in loss.parts):
        raise InputError(
            "generalized-wasserstein-dice needs one label per voxel, the recipe has soft targets",
            field="targets",
            hint="set targets: crisp, or use tree-wasserstein, which is exact for soft targets",
        )


def _plan(request: TrainingArguments, ranks: Ranks, device: torch.device, events: Events) -> Plan:
    """Return the saved plan of a resumed run, or make one.

    The batch is that of all processes together. By default each process gets what one would get alone.
    """
    saved = request.out / "plan.json"
    if request.resume and saved.exists():
        return Plan.load(saved)
    recipe = request.recipe
    changes = {"raters": recipe.raters, **recipe.plan, **request.overrides}
    if recipe.batch_size is not None:
        changes["batch_size"] = recipe.batch_size
    if request.plan is not None:
        return _same_preparation(request.plan, request.plan.with_overrides(changes))
    there = Hardware.here(device=device)  # each process has a GPU of its own; the CPU's memory is for all of them
    memory_gb = there.memory_gb if there.gpu else there.memory_gb / ranks.local_size
    if not parted_cases(request)[0]:
        return synthetic_plan(request, changes)
    plan = make_plan(scans_of(request), overrides=changes, memory_gb=memory_gb, device=device, events=events)
    if "batch_size" in changes or not ranks.several:
        return plan
    events.log(f"batch of {plan.batch_size} patches for each of {ranks.size} processes")
    return plan.with_overrides({"batch_size": plan.batch_size * ranks.size})


def _same_preparation(plan: Plan, changed: Plan) -> Plan:
    """Return a model's plan with changes that leave its network and what it sees as they are."""
    for name in sorted(Plan.model_fields):
        if name not in FREE_TO_CHANGE and getattr(plan, name) != getattr(changed, name):
            raise InputError(
                "a model that is trained further keeps its preparation and its network",
                field=f"plan.{name}",
                hint=f"of its plan only {', '.join(FREE_TO_CHANGE)} may change; for another one train a new model",
            )
    return changed


def _new_run(request: TrainingArguments, plan: Plan, ranks: Ranks, device: torch.device, events: Events) -> Run:
    recipe, head, tree = request.recipe, request.head, request.tree
    network, taken = _network(request, plan)
    if taken is not None:
        events.log(f"{taken[0]} of {taken[1]} weight tensors start from {recipe.init}")
    network.to(device)
    dtype = resolve_precision(plan.precision, device)
    return Run(
        folder=request.out,
        recipe=recipe,
        plan=plan,
        tree=tree,
        head=head,
        device=device,
        dtype=dtype,
        seed=request.seed,
        cases=tuple(request.training_cases),
        pictures=request.pictures,
        details=request.details,
        network=network,
        learner=network,
        ranks=ranks,
        loss=build_loss(recipe.losses, tree).to(device),
        optimizer=make_optimizer(recipe.optimizer, network),
        scaler=torch.amp.GradScaler(device.type, enabled=dtype == torch.float16),
        average=None if recipe.average is None else average_of(network, recipe.average),
    )


def _network(request: TrainingArguments, plan: Plan) -> tuple[torch.nn.Module, tuple[int, int] | None]:
    """Return the network and, where it starts from other weights, how many of how many tensors were taken."""
    network = build_network(plan.network, plan.inputs, request.head.out_channels, plan.dimensions)
    return network, None if request.recipe.init is None else start_from(request.recipe.init, network)


def _start_bias(run: Run, sampler: Sampler) -> None:
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
            counts += _leaf_counts(torch.bincount(target[target >= 0], minlength=len(run.tree.class_nodes)), run.tree)
    counts = run.ranks.sum(counts.to(run.device)).cpu()
    frequency = counts / counts.sum().clamp(min=1)
    set_output_bias(run.network, run.head.raw_for(frequency.clamp(min=LEAST_FREQUENCY).log().float()))


def _leaf_counts(counts: torch.Tensor, tree: LabelTree) -> torch.Tensor:
    """Return voxels by leaf from voxels by class index; those of an inner node are spread evenly over its leaves."""
    leaves = counts[: len(tree.leaves)].double()
    for node in tree.inner_nodes[1:]:  # the root counts as unlabelled
        below = tree.leaf_slice(node.id)
        leaves[below] += counts[tree.class_index(node.id)] / (below.stop - below.start)
    return leaves
