"""SoftSeg: soft segmentations organised by a label tree, from training to the report.

``import softseg``, the label tree and the soft parcellation need only numpy, scipy and SimpleITK, so that 3D Slicer
can use them before anything is installed. Everything else is loaded where it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softseg.prediction.in_memory import predict
    from softseg.soft.parcellation import SoftParcellation
    from softseg.tree import LabelTree

__version__ = "0.1.0"
__all__ = ["LabelTree", "SoftParcellation", "__version__", "predict"]


def __getattr__(name: str) -> Any:
    if name == "LabelTree":
        from softseg.tree import LabelTree

        return LabelTree
    if name == "SoftParcellation":
        from softseg.soft.parcellation import SoftParcellation

        return SoftParcellation
    if name == "predict":
        from softseg.prediction.in_memory import predict

        return predict
    raise AttributeError(f"module 'softseg' has no attribute {name!r}")
