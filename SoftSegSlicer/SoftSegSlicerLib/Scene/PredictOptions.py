"""What else the engine is asked about a scan: outliers, repeated answers, a confidence."""

from dataclasses import dataclass

from softseg.errors import InputError
from softseg.soft.confidence import steps_of


@dataclass(frozen=True)
class PredictOptions:
    """Options of one segmentation.

    Attributes
    ----------
    outliers: whether an outlier score is computed; the model must have a fitted one.
    uncertainty: ``"tta:N"`` or ``"dropout:N"``: N repeated answers and how much they differ; empty for one answer.
    confidence: share, 0.5..1, that a structure must have to be shown; None: the largest wins.
    """

    outliers: bool = False
    uncertainty: str = ""
    confidence: float | None = None

    def check(self):
        """Raise InputError where the engine would refuse them."""
        kind, _colon, count = self.uncertainty.partition(":")
        if self.uncertainty and (kind not in ("tta", "dropout") or not count.isdigit()):
            raise InputError(f"expected tta:N or dropout:N, got {self.uncertainty!r}", hint="for example tta:8")
        if self.confidence is not None:
            steps_of(self.confidence)

    def arguments(self):
        """Return them for the command line of ``softseg predict``."""
        found = ["--outliers"] if self.outliers else []
        found += ["--uncertainty", self.uncertainty] if self.uncertainty else []
        return found + (["--confidence", f"{self.confidence:g}"] if self.confidence is not None else [])
