"""Correcting a soft parcellation: what a click may mean, and the result with corrections applied.

The corrections, and their layer over the model's prediction, are in :mod:`softseg.soft.corrections`.
Loads with numpy alone.
"""

from softseg.soft.correcting.choosing import Suggestion, ball

__all__ = ["Suggestion", "ball"]
