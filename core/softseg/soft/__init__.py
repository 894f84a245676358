"""Soft ground truth and soft results: distributions over the leaves of a label tree, never thresholded.

Loads with numpy and SimpleITK alone.
"""

from softseg.soft.labels import SoftLabels
from softseg.soft.parcellation import NodeVolume, SoftParcellation
from softseg.soft.resample import resample_dense_slabs, resample_image, resample_labels
from softseg.soft.slabs import Slab

__all__ = [
    "NodeVolume",
    "Slab",
    "SoftLabels",
    "SoftParcellation",
    "resample_dense_slabs",
    "resample_image",
    "resample_labels",
]
