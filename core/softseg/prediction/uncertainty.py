"""How sure a prediction is: the same scan predicted several times, and how much the answers differ.

``tta:N`` (test-time augmentation) shows the network N slightly different pictures of the scan: mirrored, moved by a few
voxels, brighter or darker. ``dropout:N`` (Monte Carlo dropout) predicts it N times with the network's own dropout left
on. In both cases the stored distribution is the mean of the N, and two maps measure its uncertainty, in nats:

- entropy of the mean: everything the model is uncertain about;
- mutual information, the entropy of the mean minus the mean of the entropies: the part that comes from the answers
  disagreeing with each other. It is 0 where all agree, also where they agree on being uncertain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from softseg.requests.predict import repeats
from softseg.types import FloatArray

LARGEST_SHIFT = 4
"""Test-time augmentation moves the image by 0 to this many voxels along each axis (our default)."""

BRIGHTNESS = 0.1
"""Standard deviation of the factor and of the offset that test-time augmentation applies, in units of the image's
own standard deviation (our default)."""


@dataclass(frozen=True)
class Uncertainty:
    """How, and how often, a scan is predicted.

    Attributes
    ----------
    kind: ``"tta"`` or ``"dropout"``.
    samples: number of predictions, at least 2.
    """

    kind: Literal["tta", "dropout"]
    samples: int

    @staticmethod
    def parse(text: str) -> Uncertainty:
        """Return what ``tta:N`` or ``dropout:N`` means.

        Raises
        ------
        InputError: it is neither, or N is not a number from 2 to 1000.
        """
        kind, count = repeats(text)
        return Uncertainty("tta" if kind == "tta" else "dropout", count)


@dataclass(frozen=True, eq=False)
class Spread:
    """The mean of several predictions and how much they differ.

    Attributes
    ----------
    mean: float32 ``(..., C)``, the mean distribution.
    entropy: float32 ``(...)``, entropy of the mean in nats, 0 .. ln C.
    mutual_information: float32 ``(...)``, nats, 0 .. ln C.
    """

    mean: FloatArray
    entropy: FloatArray
    mutual_information: FloatArray

    @staticmethod
    def of(samples: Sequence[FloatArray]) -> Spread:
        """Return mean and spread of predictions of one part of the image, each ``(..., C)``."""
        mean = mean_of(samples)
        inner = entropy(samples[0])
        for sample in samples[1:]:
            inner += entropy(sample)
        inner /= len(samples)
        outer = entropy(mean)
        return Spread(mean, outer, np.maximum(outer - inner, 0))

    def changed(self, change: Callable[[FloatArray], FloatArray] | None) -> Spread:
        """Return the same with another mean, and its entropy; how much the predictions differ stays."""
        if change is None:
            return self
        mean = change(self.mean)
        return Spread(mean, entropy(mean), self.mutual_information)


@dataclass(frozen=True)
class Augmentation:
    """One small change of the image that can be undone in the prediction.

    Attributes
    ----------
    mirror: whether left and right are swapped.
    shift: voxels added before the image, per axis ``(k, j, i)``.
    gain, offset: intensities become ``gain * x + offset``.
    """

    mirror: bool = False
    shift: tuple[int, int, int] = (0, 0, 0)
    gain: float = 1.0
    offset: float = 0.0

    @staticmethod
    def draw(number: int, generator: np.random.Generator, dimensions: int) -> Augmentation:
        """Return the ``number``-th augmentation: 0 is none, odd ones are mirrored; 2D plans do not move along k."""
        if number == 0:
            return Augmentation()
        k, j, i = (int(n) for n in generator.integers(0, LARGEST_SHIFT + 1, size=3))
        gain, offset = generator.normal(0.0, BRIGHTNESS, size=2)
        return Augmentation(number % 2 == 1, (0 if dimensions == 2 else k, j, i), float(1 + gain), float(offset))

    def apply(self, image: FloatArray, left_right_axis: int) -> FloatArray:
        """Return the changed image ``[channels, k, j, i]``; voxels at a channel's minimum (background) stay equal."""
        changed = image * np.float32(self.gain) + np.float32(self.offset)
        if self.mirror:
            changed = np.flip(changed, axis=1 + left_right_axis)
        return np.ascontiguousarray(np.pad(changed, [(0, 0), *((n, 0) for n in self.shift)], mode="edge"))

    @staticmethod
    def several(count: int, dimensions: int, seed: int = 0) -> tuple[Augmentation, ...]:
        """Return ``count`` changes, none first; the same seed gives the same ones."""
        generator = np.random.default_rng(seed)
        return tuple(Augmentation.draw(number, generator, dimensions) for number in range(count))


def mean_of(samples: Sequence[FloatArray]) -> FloatArray:
    """Return the mean of predictions of one part of the image, float32 ``(..., C)``."""
    mean = np.array(samples[0], dtype=np.float32)
    for sample in samples[1:]:
        mean += sample
    mean /= len(samples)
    return mean


def entropy(probabilities: FloatArray) -> FloatArray:
    """Return ``-sum p ln p`` over the last axis of ``(..., C)``, in nats; 0 ln 0 is 0."""
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    logarithms *= probabilities
    return np.asarray(-logarithms.sum(axis=-1), np.float32)
