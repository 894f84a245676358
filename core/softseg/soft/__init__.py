"""Soft ground truth and soft results: distributions over the leaves of a label tree, never thresholded.

Loads with numpy and SimpleITK alone.
"""

from softseg.soft.labels import SoftLabels
from softseg.soft.resample import resample_image, resample_labels

__all__ = ["SoftLabels", "resample_image", "resample_labels"]
