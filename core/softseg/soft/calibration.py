"""Temperatures of a tree's levels: with them a model's probabilities are as often right as they state.

Temperature scaling (Guo et al., On calibration of modern neural networks, 2017) divides the logits of a classifier by
one number. Here each level of the tree has its own (ours): the logarithms of the probabilities of siblings are divided
by the temperature of their level and made a distribution again, given their parent. With one temperature for all levels
of a flat tree it is the published method. The most probable child of a node never changes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.files import read_json_object
from softseg.soft.branches import CHUNK, Decisions
from softseg.tree import LabelTree
from softseg.types import FloatArray

FILE = "calibration.json"
"""Name of the file in a model folder."""

FORMAT_VERSION = 1

COLDEST, HOTTEST = 0.05, 20.0
"""Temperatures are within these (our default)."""

_NEGLIGIBLE = 1e-3  # no probability of a voxel that is left as it is would change by more


@dataclass(frozen=True)
class Calibration:
    """Temperatures of the decisions at each depth of a tree.

    Attributes
    ----------
    temperatures: the decision at the root first, one for each depth above the deepest leaf; 1 changes nothing, more
        than 1 makes less sure.
    details: how they were found, plain values.
    """

    temperatures: tuple[float, ...]
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for depth, value in enumerate(self.temperatures):
            if not (math.isfinite(value) and COLDEST <= value <= HOTTEST):
                raise InputError(
                    f"expected a temperature from {COLDEST:g} to {HOTTEST:g}, got {value!r}",
                    field=f"temperatures[{depth}]",
                )

    def require_tree(self, tree: LabelTree) -> None:
        """Raise :class:`InputError` unless there is one temperature for each level of decisions of ``tree``."""
        if len(self.temperatures) != tree.depth:
            raise InputError(
                f"expected {tree.depth} temperatures, one for each level of the tree, got {len(self.temperatures)}",
                field="temperatures",
                hint="calibrate the model again",
            )

    def apply(
        self, probabilities: FloatArray, tree: LabelTree, classes: npt.NDArray[np.int64] | None = None
    ) -> FloatArray:
        """Return calibrated probabilities of the leaves.

        Parameters
        ----------
        probabilities: float32 ``(..., C)``, distributions over the leaves; sums below 1 stay as they are.
        tree: whose leaves they are of.
        classes: leaf indices of the last axis, the others have probability 0; all leaves by default.

        Voxels so sure that no probability would change by more than 0.001 are left as they are.
        """
        if all(temperature == 1 for temperature in self.temperatures):
            return probabilities
        decisions = decisions_of(tree)
        exponents = [1 / temperature for temperature in self.temperatures]
        flat = probabilities.reshape(-1, probabilities.shape[-1])
        out: FloatArray = flat.copy()
        unsure = self._least_doubt(tree)
        # in double precision: beside a probability of 1, one of 1e-8 is lost in single, yet a high temperature raises
        # it
        total = flat.sum(axis=1, dtype=np.float64)
        voxels = np.flatnonzero(total - flat.max(axis=1) > unsure * total)
        for first in range(0, voxels.size, CHUNK):
            part = voxels[first : first + CHUNK]
            if classes is None:
                out[part] = decisions.sharpened(np.ascontiguousarray(flat[part].T), exponents).T
            else:
                every = np.zeros((len(tree.leaves), part.size), flat.dtype)
                every[classes] = flat[part].T
                out[part] = decisions.sharpened(every, exponents)[classes].T
        return np.asarray(out.reshape(probabilities.shape))

    def _least_doubt(self, tree: LabelTree) -> float:
        """Return how much may be missing to certainty so that at most ``_NEGLIGIBLE`` is missing afterwards.

        At each level what is missing is shared by ``k - 1`` siblings or fewer; it grows most when they share it evenly.
        """
        siblings = max(2, *(len(tree.children(node.id)) for node in tree.inner_nodes)) - 1
        each = _NEGLIGIBLE / (siblings * tree.depth)
        return float(siblings * each ** max(1.0, *self.temperatures))

    def to_json(self) -> dict[str, Any]:
        """Return what ``calibration.json`` holds."""
        return {"format_version": FORMAT_VERSION, "temperatures": list(self.temperatures), **self.details}

    def save(self, file: Path) -> None:
        """Write ``calibration.json``; the caller sees to it that a half-written one is never read."""
        file.write_text(json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @staticmethod
    def load(file: Path, tree: LabelTree) -> Calibration:
        """Read ``calibration.json``.

        Raises
        ------
        InputError: it is damaged, of a newer version, or of another tree; the file is named.
        """
        content = read_json_object(file)
        version = content.pop("format_version", None)
        if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= FORMAT_VERSION:
            raise InputError(
                f"expected format version {FORMAT_VERSION}, got {version!r}", file=file, hint="update softseg"
            )
        values = content.pop("temperatures", None)
        if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
            raise InputError(f"expected a list of numbers, got {values!r}", file=file, field="temperatures")
        try:
            found = Calibration(tuple(float(value) for value in values), content)
            found.require_tree(tree)
        except InputError as error:
            raise InputError(error.message, file=file, field=error.field, hint=error.hint) from error
        return found


@lru_cache(maxsize=8)
def decisions_of(tree: LabelTree) -> Decisions:
    """Return the tables of a tree, made once."""
    return Decisions.of(tree)
