"""What is asked of the fit of an outlier score: which score, and how its threshold is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from softseg.errors import InputError
from softseg.outliers.threshold import MOST_LOSS


@dataclass(frozen=True)
class FitRequest:
    """A score, and how its threshold is chosen.

    Attributes
    ----------
    score: one of :data:`softseg.network.outlier_scores.SCORES`; of an ensemble also ``"disagreement"``.
    most_loss: accuracy on known labelled voxels (background apart) that the threshold may cost: the fraction of them
        that the model names rightly and that lie beyond it.
    tpr: instead, the fraction of known labelled voxels that stays below the threshold.
    threshold: instead, the threshold itself, in units of the score: nats for ``disagreement``, the mean place in the
        members' ranges, 0..1, for another score of an ensemble.
    held_out: ids of branches that the model was not trained on: their voxels are not known ones.
    threshold_cases: ids of the cases that the threshold and the stored range come from; the dataset's validation cases
        by default.
    options: of the score, e.g. ``{"temperature": 2}``; of an ensemble, those of every member.
    """

    score: str
    most_loss: float = MOST_LOSS
    tpr: float | None = None
    threshold: float | None = None
    held_out: Sequence[str] = ()
    threshold_cases: Sequence[str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(asked: FitRequest | str, settings: Mapping[str, Any]) -> FitRequest:
        """Return a request with other settings; a name stands for the request of that score."""
        given = {name: value for name, value in settings.items() if name != "options" or value is not None}
        return FitRequest(asked, **given) if isinstance(asked, str) else replace(asked, **given)

    def require_sound(self) -> None:
        """Raise :class:`InputError` unless a threshold can be chosen so."""
        if self.tpr is not None and not 0 < self.tpr <= 1:
            raise InputError(f"expected a fraction above 0, at most 1, got {self.tpr}", field="tpr")
        if not 0 <= self.most_loss < 1:
            raise InputError(f"expected a fraction from 0 to below 1, got {self.most_loss}", field="most loss")
