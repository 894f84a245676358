"""Everything that changes while a network trains, in one object, and its checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn
from torch.optim.swa_utils import AveragedModel

from softseg.data import Plan
from softseg.errors import InputError, SoftSegError
from softseg.files import write_beside
from softseg.losses.compound import CompoundLoss
from softseg.network import Head, read_weights, write_weights
from softseg.system import raise_out_of_memory
from softseg.training.curves import Curve
from softseg.training.optimization import learning_rate
from softseg.training.ranks import Ranks
from softseg.training.recipe import Recipe
from softseg.tree import LabelTree
from softseg.yaml_text import load_yaml

CHECKPOINT_VERSION = 1


@dataclass(eq=False)
class Run:
    """A training in progress.

    Attributes
    ----------
    folder: where everything is written.
    recipe, plan, tree, head, device, dtype, seed, cases: what does not change; ``cases`` are the ids trained on.
    network, optimizer, scaler, average: what learns; ``average`` is None where the recipe wants no mean of weights.
    learner: called while learning: ``network``, or what adds up the gradients of several processes around it.
    ranks: the processes that train together.
    step: optimisation steps done.
    seconds: time spent when that step ended, over all sessions of this training.
    best, best_step: best validation score so far and when.
    waited: validations since then.
    curve: loss and scores so far.
    pictures: whether curves and validation are drawn.
    details: fields of the model's card beside those of the run, such as the model that it was fine-tuned from.
    """

    folder: Path
    recipe: Recipe
    plan: Plan
    tree: LabelTree
    head: Head
    device: torch.device
    dtype: torch.dtype
    seed: int
    cases: tuple[str, ...]
    network: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: AveragedModel | None
    loss: CompoundLoss
    learner: nn.Module
    ranks: Ranks = field(default_factory=Ranks)
    step: int = 0
    seconds: float = 0.0
    best: float | None = None
    best_step: int = 0
    waited: int = 0
    stopped: bool = False
    curve: Curve = field(default_factory=Curve)
    looked: float = field(default_factory=time.monotonic)
    pictures: bool = True
    details: Mapping[str, Any] = field(default_factory=dict)

    def start_learning(self) -> None:
        """Put the network into training mode; batch normalisation only where the recipe updates it."""
        self.network.train()
        for module in self.network.modules() if self.recipe.keep_statistics else ():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()

    @property
    def precision(self) -> str:
        """Name of the number type that the convolutions compute in."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def judged(self) -> nn.Module:
        """The network that is validated and saved: the mean of the weights if there is one."""
        return self.network if self.average is None else self.average.module

    def draw_anew(self) -> None:
        """Make what the next step draws at random (dropout) a function of seed, step and process alone."""
        numbers = np.random.SeedSequence([self.seed, self.step, self.ranks.rank]).generate_state(2)
        torch.manual_seed(int(numbers[0]) << 31 | int(numbers[1]) >> 1)

    def count_step(self, loss: float, rate: float) -> None:
        """Note that a step was done; only here does the clock move on, so that all hooks see the same time."""
        self.step += 1
        self.curve.add(loss, rate)
        now = time.monotonic()
        self.seconds += now - self.looked
        self.looked = now

    @property
    def passed(self) -> float:
        """Fraction of the training that has gone by, 0..1: of its steps or, if larger, of its time budget."""
        fraction = self.step / self.recipe.steps
        if self.recipe.minutes is not None:
            fraction = max(fraction, self.seconds / (60 * self.recipe.minutes))
        return min(1.0, fraction)

    @property
    def finished(self) -> bool:
        """Whether steps or time are used up or the scores have stopped rising."""
        return self.stopped or self.passed >= 1.0

    @property
    def end_reason(self) -> str:
        """Why the training ended: ``"early stopping"``, ``"steps"`` or ``"time"``; empty while it goes on."""
        if self.stopped:
            return "early stopping"
        if self.step >= self.recipe.steps:
            return "steps"
        return "time" if self.finished else ""

    @property
    def expected_steps(self) -> int:
        """How many steps there will be: those of the recipe, or fewer if the time budget ends before."""
        return min(self.recipe.steps, math.ceil(self.step / self.passed)) if self.step else self.recipe.steps

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return learning_rate(self.recipe.optimizer, self.passed)

    @property
    def last_path(self) -> Path:
        """The checkpoint to resume from."""
        return self.folder / "checkpoints" / "last.pt"

    @property
    def best_path(self) -> Path:
        """The weights with the best validation score."""
        return self.folder / "checkpoints" / "best.pt"

    def save(self) -> None:
        """Write ``checkpoints/last.pt``, complete or not at all; process 0 alone does."""
        if not self.ranks.main:
            return
        state: dict[str, Any] = {
            "version": CHECKPOINT_VERSION,
            "seed": self.seed,
            "recipe": self.recipe.to_yaml(),
            "cases": list(self.cases),
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "best_step": self.best_step,
            "waited": self.waited,
            "stopped": self.stopped,
            "curve": self.curve.state(),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
        }
        with write_beside(self.last_path) as temporary:
            write_weights(state, temporary)

    def restore(self) -> None:
        """Go back to ``checkpoints/last.pt``.

        Raises
        ------
        InputError: the file is damaged, or belongs to another training (seed, recipe, network).
        """
        state = read_weights(self.last_path, self.device)
        try:
            self._take(state)
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError, yaml.YAMLError) as error:
            if isinstance(error, SoftSegError):
                raise
            raise_out_of_memory(error, self.last_path)
            raise InputError(
                "does not fit this training: it is damaged, or of another network",
                file=self.last_path,
                hint="start in another folder",
            ) from error

    def _take(self, state: dict[str, Any]) -> None:
        """Restore a checkpoint; raises ValueError, TypeError, KeyError or RuntimeError if it does not fit."""
        if state.get("version") != CHECKPOINT_VERSION:
            raise InputError("is not a checkpoint of this version of softseg", file=self.last_path)
        if state["seed"] != self.seed:
            hint = f"resume with --seed {state['seed']}"
            raise InputError(f"was trained with seed {state['seed']}, not {self.seed}", file=self.last_path, hint=hint)
        if Recipe.from_dict(_mapping(state["recipe"]), file=self.last_path) != self.recipe:
            hint = f"use --recipe {self.folder / 'recipe.yaml'} without changes, or start in another folder"
            raise InputError("was trained with another recipe", file=self.last_path, hint=hint)
        if state["cases"] != list(self.cases):
            raise InputError("was trained on other cases", file=self.last_path, hint="start in another folder")
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        for parameter, held in self.optimizer.state.items():
            for value in held.values():
                if isinstance(value, torch.Tensor) and value.ndim and value.shape != parameter.shape:
                    raise ValueError("the optimizer's state has other shapes")
        self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        counts = [state[name] for name in ("step", "best_step", "waited")]
        if any(type(count) is not int or count < 0 for count in counts) or not 0 <= float(state["seconds"]) < math.inf:
            raise ValueError("expected counts of steps and seconds")
        self.step, self.seconds = state["step"], float(state["seconds"])
        self.best = None if state["best"] is None else float(state["best"])
        self.best_step = state["best_step"]
        self.waited, self.stopped = state["waited"], bool(state["stopped"])
        self.curve = Curve.from_state(state["curve"])
        self.looked = time.monotonic()

    def save_best(self) -> None:
        """Write the evaluated network to ``checkpoints/best.pt``."""
        state = {"step": self.step, "score": self.best, "network": self.judged.state_dict()}
        with write_beside(self.best_path) as temporary:
            write_weights(state, temporary)


def _mapping(text: Any) -> dict[str, Any]:
    value = load_yaml(text) if isinstance(text, str) else None
    if not isinstance(value, dict):
        raise TypeError("expected the text of a recipe")
    return value
