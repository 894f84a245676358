"""Soft ground truth and soft results: distributions over the leaves of a label tree, never thresholded.

Loads with numpy and SimpleITK alone.
"""

from softseg.soft.labels import SoftLabels
from softseg.soft.parcellation import NodeVolume, SoftParcellation
from softseg.soft.postprocess import fill_holes, keep_largest, remove_small
from softseg.soft.raters import fuse_raters
from softseg.soft.resample import resample_dense_slabs, resample_image, resample_labels
from softseg.soft.slabs import Slab

__all__ = [
    "NodeVolume",
    "Slab",
    "SoftLabels",
    "SoftParcellation",
    "fill_holes",
    "fuse_raters",
    "keep_largest",
    "remove_small",
    "resample_dense_slabs",
    "resample_image",
    "resample_labels",
]
