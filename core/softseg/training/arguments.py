"""The arguments of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from softseg.data import Dataset, Plan
from softseg.network import Head
from softseg.training.recipe import Recipe
from softseg.tree import LabelTree


@dataclass(frozen=True)
class TrainingArguments:
    """The arguments of :func:`softseg.training.train`.

    The dataset has the tree that is learned; ``out`` and ``cache`` are folders; ``painted`` is the tree
    whose leaves synthetic images are painted with.
    """

    dataset: Dataset
    recipe: Recipe
    out: Path
    device: str
    seed: int
    resume: bool
    overrides: dict[str, Any]
    cache: Path
    pictures: bool = True
    plan: Plan | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    painted: LabelTree | None = None

    @property
    def tree(self) -> LabelTree:
        """The tree whose leaves are learned."""
        return self.dataset.tree

    @property
    def training_cases(self) -> list[str]:
        """Ids of the cases to learn from."""
        return [case.id for case in self.dataset.split("train")]

    @property
    def validation_cases(self) -> list[str]:
        """Ids of the cases that evaluate."""
        return [case.id for case in self.dataset.split("val")][: self.recipe.validation.cases]

    @property
    def checkpoint(self) -> Path:
        """What would be resumed from."""
        return self.out / "checkpoints" / "last.pt"

    @property
    def head(self) -> Head:
        """The head that recipe and tree ask for."""
        background = None if self.tree.background is None else self.tree.leaf_index(self.tree.background.id)
        return Head(self.recipe.head.name, len(self.tree.leaves), background)
