"""Correcting a soft parcellation: what a click may mean, and the result with what people said applied to it.

What they said, and the layer that it makes over the model's own answer, is in :mod:`softseg.soft.corrections`.
Loads with numpy alone.
"""

from softseg.soft.correcting.choosing import Suggestion, ball

__all__ = ["Suggestion", "ball"]
