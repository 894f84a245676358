"""What people said about voxels of a soft parcellation, as a layer over what the model said.

Loads with numpy alone.
"""

from softseg.soft.corrections.correction import Correction, corrected_voxel_count

__all__ = ["Correction", "corrected_voxel_count"]
