"""Probabilities in images: a stack (one volume per class in one file), or one file per structure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from softseg.errors import InputError
from softseg.exchange.file_names import family, structure_names
from softseg.exchange.source import ProbabilityMap, Source
from softseg.geometry import Geometry
from softseg.headers import IMAGE_SUFFIXES, PAIR_SUFFIXES, Header, place_notes, read_header
from softseg.soft.turns import axis_turn, describe, turned
from softseg.straight import is_sheared, straight_grid, straightened
from softseg.texts import as_text


def read_stack(file: Path) -> Source:
    """Return the volumes of one image, whose fourth axis counts the classes.

    Raises
    ------
    InputError: the image is damaged, holds colours, or a single volume.
    """
    header = read_header(file)
    if header.colours:
        raise InputError(f"holds {header.colours} colours, no probabilities", file=file)
    grid = _grid(header)
    maps = tuple(ProbabilityMap(step=_step(header)) for _ in range(header.bands))
    if header.bands == 1:
        names, _ = structure_names([stem_of(file)])
        maps = (ProbabilityMap(names[0], step=_step(header)),)
    return Source(
        file, f"a stack of {header.bands} volumes", maps, grid, lambda: _straight(header), place_notes(header)
    )


def read_files(files: Sequence[Path], shown: Path) -> Source:
    """Return one volume per file, in the order of their names; all lie on the grid of the first.

    Raises
    ------
    InputError: a file is damaged or holds several volumes, the grids differ, or names repeat.
    """
    headers = [read_header(file) for file in files]
    for header in headers:
        if header.bands != 1:
            raise InputError(f"holds {header.bands} volumes: give a stack alone", file=header.file)
    try:
        names, said = structure_names([stem_of(file) for file in files])
    except ValueError as error:
        raise InputError(str(error), file=shown) from error
    grids = [_grid(header) for header in headers]
    turns = []
    for header, grid in zip(headers, grids, strict=True):
        turn = axis_turn(grid, grids[0])
        if turn is None:
            raise InputError(
                f"lies on another grid than {files[0].name}: {describe(grid)}, not {describe(grids[0])}",
                file=header.file,
            )
        turns.append(turn)

    def volumes() -> Iterator[npt.NDArray[Any]]:
        for header, turn in zip(headers, turns, strict=True):
            for volume in _straight(header):
                yield turned(volume, turn)

    maps = tuple(ProbabilityMap(name, step=_step(header)) for name, header in zip(names, headers, strict=True))
    return Source(shown, f"{len(files)} maps", maps, grids[0], volumes, (*said, *place_notes(headers[0])))


def images_in(folder: Path) -> list[Path]:
    """Return the maps of a folder, sorted by name.

    Raises
    ------
    InputError: there is no image in it.
    """
    there = sorted(file for file in folder.iterdir() if file.is_file() and file.name.lower().endswith(IMAGE_SUFFIXES))
    if not there:
        raise InputError("holds no images", file=folder, hint=f"expected files ending in {', '.join(IMAGE_SUFFIXES)}")
    return [there[number] for number in family([stem_of(file) for file in there])]


def stem_of(file: Path) -> str:
    """Return a file's name without the ending of its format, as text that can be written."""
    name = as_text(file.name)
    for ending in sorted((*IMAGE_SUFFIXES, *PAIR_SUFFIXES), key=len, reverse=True):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def _grid(header: Header) -> Geometry:
    geometry = Geometry.from_affine(header.size, header.affine, header.forms)
    return straight_grid(geometry) if is_sheared(geometry) else geometry


def _straight(header: Header) -> Iterator[npt.NDArray[Any]]:
    geometry = Geometry.from_affine(header.size, header.affine, header.forms)
    for band in header.each_band():
        yield straightened(band[None], geometry, False)[0][0] if is_sheared(geometry) else band


def _step(header: Header) -> float:
    if header.number.kind == "f":
        return 0.0
    return 1.0 if header.scaling is None else abs(header.scaling[0])
