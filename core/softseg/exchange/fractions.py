"""Fractional DICOM Segmentations as probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy.typing as npt

from softseg.dicom.reading import read_segmentation
from softseg.errors import InputError
from softseg.exchange.source import ProbabilityMap, Source, image_grid
from softseg.soft.grids import nearest_values
from softseg.soft.turns import describe, on_one_lattice


def read_fractions(file: Path, like: Path | None) -> Source:
    """Return the segments of a fractional DICOM Segmentation.

    Parameters
    ----------
    file: the segmentation.
    like: the image whose grid is wanted, since segmentations may leave out what holds nothing; None for the file's own.

    Raises
    ------
    InputError: it is damaged, holds labels and no fractions, or lies on other voxels than the image.
    """
    found = read_segmentation(file)
    if found.kind != "FRACTIONAL":
        raise InputError(
            f"holds labels ({found.kind}), no probabilities", file=file, hint="give it as labels or as a reference"
        )
    own = found.geometry
    grid = own if like is None else image_grid(like)
    if not on_one_lattice(own, grid):
        raise InputError(f"the segmentation lies on other voxels: {describe(own)}, not {describe(grid)}", file=like)

    def volumes() -> Iterator[npt.NDArray[Any]]:
        for segment in found.segments:
            voxels = segment.read()
            yield voxels if like is None else nearest_values(voxels, own, grid, slice(0, grid.shape[0]), 0)

    notes = () if found.probability else ("its fractions are parts of voxels (OCCUPANCY), taken as probabilities",)
    if like is None:
        notes = (*notes, "slices that hold nothing may be left out of it; --like IMAGE gives the grid of the image")
    maps = tuple(ProbabilityMap(segment.name, step=1 / found.most) for segment in found.segments)
    return Source(file, f"a DICOM segmentation of {len(maps)} segments", maps, grid, volumes, notes)
