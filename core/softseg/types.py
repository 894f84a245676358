"""Names for the arrays of this package.

Axis order is the same everywhere: ``(k, j, i)`` for a volume, as SimpleITK and Slicer hand arrays out, slices first;
``(C, k, j, i)`` with channels, classes or raters in front; ``(B, C, *spatial)`` for batches. A 2D network sees
``(B, C, j, i)``. Sizes, spacings and patch sizes are in array order too: ``(k, j, i)``.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float32]
"""float32, any shape; the docstring that uses it names the axes."""

IntArray: TypeAlias = npt.NDArray[np.integer[Any]]
"""Any integer type, any shape."""

BoolArray: TypeAlias = npt.NDArray[np.bool_]
"""Boolean, any shape."""

IGNORE_INDEX = -1
"""Class index of a voxel that has no label: it takes no part in losses and metrics."""

OUTLIER_VALUE = 65535
"""Value, in label maps of a tree with a background, of a voxel that belongs to no node; without one it is 0."""
