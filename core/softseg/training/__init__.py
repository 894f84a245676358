"""Training: recipes, the loop, checkpoints that resume exactly, curves.

Recipes load without torch; the rest is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from softseg.training.recipe import Recipe, recipe_explanations, recipe_names

if TYPE_CHECKING:
    from softseg.training.trainer import train

__all__ = ["Recipe", "recipe_explanations", "recipe_names", "train"]


def __getattr__(name: str) -> Any:
    if name == "train":
        from softseg.training.trainer import train

        return train
    raise AttributeError(f"module 'softseg.training' has no attribute {name!r}")
