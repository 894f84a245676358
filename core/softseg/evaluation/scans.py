"""The scan that a result is drawn on: grey values, or false colours of a cube."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.data.cubes.cube import ChannelImage, Cube, turn
from softseg.data.cubes.false_colour import false_colour
from softseg.evaluation.slices import upright


def upright_scan(scan: ChannelImage) -> npt.NDArray[Any]:
    """Return the scan ``(k, j, i)``, or the false colours ``[k, j, i, 3]`` (uint8) of a cube, turned upright."""
    if not isinstance(scan, Cube):
        return upright(scan.array, scan.geometry)
    turned = turn(scan, "LPS")
    return np.asarray(false_colour(turned))
