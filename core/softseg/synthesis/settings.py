"""How strongly the images vary that are made up from label maps."""

from __future__ import annotations

from typing import TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Probability: TypeAlias = float
Range: TypeAlias = tuple[float, float]


class SynthesisSpec(BaseModel):
    """What varies from draw to draw. Values are our defaults, near SynthSeg's unless noted.

    Attributes
    ----------
    fraction: part of the patches that are synthetic, 0..1; the others are patches of real scans.
    learn: label tree to learn where it is not the dataset's, a file or the name of a shipped one. A class is learned
        as the nearest node on its path in the dataset's tree that is a leaf there, else as background.
    coarse: whether a class without such a leaf trains the nearest inner node of that tree on its path, if there is one
        (ours).
    brain: node of the learned tree that is kept where the skull is taken off.
    shared: probability that a node takes the intensity of its parent, by its depth in the dataset's tree: the first
        number is for children of the root, the last for all deeper nodes too (ours).
    familiar: probability that a draw looks like a common MR contrast (T1, T2, PD or FLAIR), with variations, rather
        than like any (ours); the dataset's tree must hold tissues of ``head-tissues``.
    sides: probability that left and right have one intensity; the rest of the tree is asked only otherwise (ours).
    rotation_degrees, scale, shear: largest rotation about each axis, range of the zoom of each axis, largest shear.
    elastic_mm, elastic_knot_mm: largest standard deviation of the displacement of knots, distance between knots.
    shift_mm: largest distance between the middle of the patch and the middle of the brain, each axis; in a third of
        the draws twice that.
    spread: largest standard deviation of the texture of a class; intensities lie in 0..1.
    bias_field: largest standard deviation of the log gain at the knots of a smooth field.
    gamma: standard deviation of the logarithm of the exponent.
    noise: largest standard deviation of the noise.
    thickness_mm: largest slice thickness, across one of the three axes.
    resolution_mm: largest voxel side of images that are equally coarse along all axes.
    stripped, cropped, defaced, cut: probability that all outside the brain is gone; that it is gone beyond some
        distance from the brain; that the face is gone; that the field of view ends inside the head.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fraction: float = Field(default=1.0, gt=0, le=1)
    learn: str | None = None
    coarse: bool = False
    brain: str = "brain"
    shared: tuple[float, ...] = (0.0, 0.6, 0.85)
    familiar: Probability = Field(default=0.0, ge=0, le=1)
    sides: Probability = Field(default=0.97, ge=0, le=1)
    rotation_degrees: float = Field(default=18.0, ge=0, le=180)
    scale: Range = (0.85, 1.2)
    shear: float = Field(default=0.05, ge=0, lt=1)
    elastic_mm: float = Field(default=4.0, ge=0)
    elastic_knot_mm: float = Field(default=30.0, gt=0)
    shift_mm: float = Field(default=25.0, ge=0)
    mirror: Probability = Field(default=0.5, ge=0, le=1)
    spread: float = Field(default=0.08, ge=0)
    bias_field: float = Field(default=0.5, ge=0)
    gamma: float = Field(default=0.35, ge=0)
    noise: float = Field(default=0.07, ge=0)
    thickness_mm: float = Field(default=8.0, gt=0)
    resolution_mm: float = Field(default=4.0, gt=0)
    stripped: Probability = Field(default=0.12, ge=0, le=1)
    cropped: Probability = Field(default=0.12, ge=0, le=1)
    defaced: Probability = Field(default=0.3, ge=0, le=1)
    cut: Probability = Field(default=0.35, ge=0, le=1)
