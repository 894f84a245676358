"""People's corrections of a soft parcellation, as a layer over the model's prediction.

Loads with numpy alone.
"""

from softseg.soft.corrections.correction import Correction, corrected_voxel_count

__all__ = ["Correction", "corrected_voxel_count"]
