"""A synthetic spinal cord: an axial T2*-weighted scan of no real person, to try the cord model.

The shapes are ellipses and a butterfly, drawn on a fine grid and averaged onto the scan's, so that voxels at borders
hold parts of two tissues. It is for illustration: scores on it mean nothing for real scans.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from softseg.geometry import Geometry
from softseg.image import Image

__all__ = ["cord_phantom"]

_SIZE, _SLICES, _SPACING = 128, 10, (0.5, 0.5, 5.0)
_FINE = 4
_BODY, _BONE, _FLUID, _WHITE, _GREY = 70.0, 30.0, 230.0, 120.0, 165.0


def cord_phantom(seed: int = 0) -> tuple[Image, npt.NDArray[np.float32]]:
    """Return the scan, int16 on ten axial slices of 0.5 x 0.5 x 5 mm, and the soft labels of grey and white matter.

    Parameters
    ----------
    seed: of the noise.

    Returns
    -------
    the scan, and float32 ``(2, k, j, i)`` on its grid.
    """
    random = np.random.default_rng(seed)
    fine = (np.arange(_SIZE * _FINE) + 0.5) / _FINE - _SIZE / 2
    x, y = (0.5 * axis for axis in np.meshgrid(fine, fine))
    scan, probabilities = [], []
    for number in range(_SLICES):
        bend = 1.5 * np.sin(number / 3)
        grey, white, fluid, bone = _tissues(x, y - bend, 1 + 0.06 * np.cos(number / 2))
        image = _BODY + (_BONE - _BODY) * bone + (_FLUID - _BONE) * fluid
        image += (_WHITE - _FLUID) * (white | grey) + (_GREY - _WHITE) * grey
        scan.append(_averaged(image))
        probabilities.append((_averaged(grey), _averaged(white)))
    noisy = np.stack(scan) * (1 + 0.15 * _averaged(np.cos(x / 40) * np.cos(y / 40)))
    noisy += random.normal(0, 6, noisy.shape)
    # the body lies on its back: left to right, front to back, feet to head
    geometry = Geometry((_SIZE, _SIZE, _SLICES), _SPACING, (-32.0, -32.0, -25.0))
    return Image(np.rint(noisy).clip(0).astype(np.int16), geometry), np.moveaxis(
        np.array(probabilities, np.float32), 1, 0
    )


_Mask = npt.NDArray[np.bool_]
_Plane = npt.NDArray[np.float64]


def _tissues(x: _Plane, y: _Plane, growth: float) -> tuple[_Mask, _Mask, _Mask, _Mask]:
    """Return grey matter, white matter, fluid and bone, each with all that lies inside it left out but bone."""
    cord = _ellipse(x, y, 0, 0, 6.3 * growth, 4.2 * growth)
    fluid = _ellipse(x, y, 0, 0.3, 8.6, 6.8)
    bone = _ellipse(x, y, 0, 0, 14, 12) | _ellipse(x, y, 0, -16, 13, 9)
    grey = _ellipse(x, y, 0, 0, 2.2, 0.55)
    for side in (-1, 1):
        grey |= _ellipse(x, y, side * 1.9, -0.9, 1.15, 1.5)  # front horn
        grey |= _turned(x, y, side * 2.3, 1.3, 0.6, 2.2, side * 0.35)  # back horn
    grey &= cord
    return grey, cord & ~grey, fluid, bone


def _ellipse(x: _Plane, y: _Plane, cx: float, cy: float, a: float, b: float) -> _Mask:
    return np.asarray(((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 <= 1)


def _turned(x: _Plane, y: _Plane, cx: float, cy: float, a: float, b: float, angle: float) -> _Mask:
    u, v = x - cx, y - cy
    return _ellipse(np.cos(angle) * u + np.sin(angle) * v, np.cos(angle) * v - np.sin(angle) * u, 0, 0, a, b)


def _averaged(fine: npt.NDArray[np.generic]) -> _Plane:
    parts = np.asarray(fine, np.float64).reshape(_SIZE, _FINE, _SIZE, _FINE)
    return np.asarray(parts.mean(axis=(1, 3)))
