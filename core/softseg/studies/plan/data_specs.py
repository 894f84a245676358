"""The parts of STUDY.yaml about the data: scribbles, larger voxels, simulated raters, objects."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from softseg.data.disagreement import HABIT, SCALE_MM


class Part(BaseModel):
    """A piece of the file: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StrokesSpec(Part):
    """Scribbles instead of complete label maps: exactly one of the amounts.

    Attributes
    ----------
    share: fraction of each structure's labelled voxels in the training part.
    per_structure: scribbles of each structure in each scan.
    length: voxels of a scribble.
    splits: whose labels become scribbles.
    """

    share: float | None = Field(default=None, gt=0, le=1)
    per_structure: int | None = Field(default=None, ge=1)
    length: int = Field(default=10, ge=1)
    splits: list[Literal["train", "val"]] = ["train"]

    @model_validator(mode="after")
    def _one(self) -> StrokesSpec:
        if (self.share is None) == (self.per_structure is None):
            raise ValueError("expected either share or per_structure")
        return self

    @property
    def name(self) -> str:
        """For tables and folders: ``1%`` or ``20-strokes``."""
        return f"{100 * self.share:g}%" if self.share is not None else f"{self.per_structure}-strokes"


class ObjectsSpec(Part):
    """How single objects are counted; see :mod:`softseg.evaluation.objects`.

    Attributes
    ----------
    connectivity: ``volume``, or ``slice``: the parts in each slice are objects of their own.
    covered: fraction of an object that must be covered for it to be found, or to be real.
    small_ml: objects of the reference up to this volume are small; by default the smallest third of each node's.
    """

    connectivity: Literal["volume", "slice"] = "volume"
    covered: float = Field(default=0.5, gt=0, le=1)
    small_ml: float | None = Field(default=None, gt=0)


class CoarsenSpec(Part):
    """The study's data averaged to larger voxels first; see :func:`softseg.data.coarsen.coarsen`.

    Attributes
    ----------
    spacing: mm, one number or ``[i, j, k]`` (0 keeps the images' own).
    soft: labels become the probabilities of the fine ones, else each voxel's class with the largest probability.
    margin_mm: images are cut to the box of their labels with so much around it; null: they are not cut.
    """

    spacing: float | tuple[float, float, float] = 0.0
    soft: bool = False
    margin_mm: float | None = None

    @property
    def spacing_ijk(self) -> tuple[float, float, float]:
        """Three numbers."""
        return self.spacing if isinstance(self.spacing, tuple) else (self.spacing,) * 3


class RatersSpec(Part):
    """Simulated raters instead of the data's own labels; see :class:`softseg.data.disagreement.Disagreement`.

    Attributes
    ----------
    count: raters of each case.
    shift_mm, border_mm, scale_mm, habit: how much they disagree.
    splits: parts of each fold that have raters; the others keep the own labels. A test part with raters is evaluated
        against the fraction of raters, one without against the own labels.
    seed: of the raters; the same ones in all trainings.
    """

    count: int = Field(default=4, ge=2)
    shift_mm: float = Field(default=0.5, ge=0)
    border_mm: float = Field(default=0.5, ge=0)
    scale_mm: float = Field(default=SCALE_MM, gt=0)
    habit: float = Field(default=HABIT, ge=0, le=1)
    splits: list[Literal["train", "val", "test"]] = Field(default=["train", "val", "test"], min_length=1)
    seed: int = 0
