"""One scan with its labels, and the files of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from softseg.errors import InputError

Split: TypeAlias = Literal["train", "val", "test"]

LabelFiles: TypeAlias = "Path | list[Path] | dict[str, Path]"

OPINION_WEIGHT = 0.5
"""Weight of an uncorrected voxel of a corrected result, unless DATA.json gives one (our default)."""

SOFT_SUFFIX = ".soft.npz"


class Images(dict[str, Path]):
    """The image files of a case by channel; one with labels alone raises an error when an image is requested.

    Parameters
    ----------
    files: file per channel.
    case_id, dataset: for the message.
    """

    def __init__(self, files: Mapping[str, Path], case_id: str, dataset: Path) -> None:
        super().__init__(files)
        self._case_id, self._dataset = case_id, dataset

    def __missing__(self, channel: str) -> Path:
        raise InputError(
            f"case {self._case_id!r} has no image {channel!r}: labels alone serve synthetic trainings only",
            file=self._dataset,
            field="cases",
            hint="name its images, or leave it out",
        )


@dataclass(frozen=True)
class Case:
    """One scan with its labels; all paths are absolute.

    Attributes
    ----------
    id: unique name within the dataset.
    group: the person; a group never crosses splits.
    split: ``"train"``, ``"val"`` or ``"test"``.
    images: file per channel; none where there are labels alone, which synthetic images are made from.
    labels: one label map; several raters' label maps; soft maps (0..1) by node id; or a corrected result (.soft.npz).
    mask: where (non-zero) the labels are valid; everywhere when absent.
    unlabelled: value of unlabelled voxels in the label maps, None if there is none.
    opinion_weight: weight of an uncorrected voxel of a corrected result, 0..0.9; a corrected one has 1.
    groups: whether a voxel corrected to an inner node keeps that label, else it has probabilities of the node's leaves.
    """

    id: str
    group: str
    split: Split
    images: dict[str, Path]
    labels: LabelFiles
    mask: Path | None = None
    unlabelled: int | None = None
    opinion_weight: float = OPINION_WEIGHT
    groups: bool = True

    @property
    def corrected(self) -> Path | None:
        """The corrected result that its labels are, None where they are anything else."""
        is_result = isinstance(self.labels, Path) and self.labels.name.endswith(SOFT_SUFFIX)
        return self.labels if is_result and isinstance(self.labels, Path) else None

    def files(self) -> list[tuple[str, Path]]:
        """Return all files with the field that names each, e.g. ``("images.T1", path)``."""
        found = [(f"images.{channel}", path) for channel, path in self.images.items()]
        if isinstance(self.labels, dict):
            found += [(f"labels.{node}", path) for node, path in self.labels.items()]
        elif isinstance(self.labels, list):
            found += [(f"labels[{position}]", path) for position, path in enumerate(self.labels)]
        else:
            found.append(("labels", self.labels))
        return found if self.mask is None else [*found, ("mask", self.mask)]
