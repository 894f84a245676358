"""Training: recipes, the loop, checkpoints that resume exactly, curves."""

from softseg.training.recipe import Recipe, recipe_explanations, recipe_names
from softseg.training.trainer import train

__all__ = ["Recipe", "recipe_explanations", "recipe_names", "train"]
