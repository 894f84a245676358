"""What people said about voxels of a soft parcellation, as a layer over what the model said.

Loads with numpy alone.
"""

from softseg.soft.corrections.choosing import Suggestion, ball
from softseg.soft.corrections.correction import Correction

__all__ = ["Correction", "Suggestion", "ball"]
