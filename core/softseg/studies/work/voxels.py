"""The evaluated voxels of one training: what they are, what was answered at every level, their outlier scores."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.system import raise_out_of_memory

INSIDE, HELD_OUT, UNTRAINED = 0, 1, 2
"""What a voxel's class was to the training: labelled; held out; not held out, but by chance never labelled."""


@dataclass(frozen=True, eq=False)
class JudgedVoxels:
    """Evaluated voxels; ``n`` of them.

    Attributes
    ----------
    case: uint16 ``[n]``, position among the names of cases.
    tested: bool ``[n]``, whether the case is in the test part (else in the validation part).
    state: uint8 ``[n]``, one of :data:`INSIDE`, :data:`HELD_OUT`, :data:`UNTRAINED`.
    truth: int16 ``[levels, n]``, the node's position in ``tree.nodes`` at each level, -1 where it is not labelled as
        finely.
    answer: int16 ``[levels, n]``, the node with the largest summed probability.
    share: float32 ``[levels, n]``, its probability.
    scores: float32 ``[scores, n]``, larger where stranger.
    """

    case: npt.NDArray[np.uint16]
    tested: npt.NDArray[np.bool_]
    state: npt.NDArray[np.uint8]
    truth: npt.NDArray[np.int16]
    answer: npt.NDArray[np.int16]
    share: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]

    @property
    def levels(self) -> int:
        """Number of levels."""
        return len(self.truth)

    def where(self, chosen: npt.NDArray[np.bool_]) -> JudgedVoxels:
        """Return a part of the voxels; ``chosen`` is ``[n]``."""
        return JudgedVoxels(**{field.name: getattr(self, field.name)[..., chosen] for field in fields(self)})

    @staticmethod
    def joined(parts: list[JudgedVoxels]) -> JudgedVoxels:
        """Return several tables as one."""
        return JudgedVoxels(
            **{
                field.name: np.concatenate([getattr(part, field.name) for part in parts], axis=-1)
                for field in fields(JudgedVoxels)
            }
        )

    def save(self, path: Path) -> None:
        """Write an ``.npz`` file."""
        arrays: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        np.savez_compressed(path, **arrays)

    @staticmethod
    def load(path: Path) -> JudgedVoxels:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputError: the file is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                return JudgedVoxels(**{field.name: stored[field.name] for field in fields(JudgedVoxels)})
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise_out_of_memory(error, path)
            raise InputError("is missing or damaged", file=path, hint="delete its folder to train again") from error
