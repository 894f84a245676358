"""An outlier score of an ensemble: of each member, joined, or how much the members disagree.

The members' scores have scales of their own, so each is taken as its place in its range (0 to 1, cut off at both ends),
and the score of the ensemble is the mean of these places (ours). ``disagreement`` is the mutual information of the
members' answers in nats: the entropy of their mean less the mean of their entropies (Lakshminarayanan et al., NeurIPS
2017, arXiv 1612.01474, evaluate ensembles by such a measure). It needs no estimates.

The files are those of :mod:`softseg.network.fitted_outliers`, in the folder of the ensemble; the members' folders stay
as they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softseg.files import read_json_object, require_inside
from softseg.network.fitted_outliers import (
    ESTIMATES_FILE,
    OUTLIERS_FILE,
    FittedOutliers,
    account,
    check_version,
    from_json,
    named_as,
    range_of,
    store,
    stored_estimates,
)
from softseg.network.heads import Head

if TYPE_CHECKING:
    from torch import Tensor

DISAGREEMENT = "disagreement"
"""Name of the score that only an ensemble has."""


@dataclass(frozen=True, eq=False)
class EnsembleOutliers:
    """A score of an ensemble with everything that was chosen for it.

    Attributes
    ----------
    score: its name.
    threshold: voxels with a larger score are outliers.
    low, high: scores of the first and the last step of the 8-bit storage (:mod:`softseg.soft.outliers`).
    members: for each member its own score, whose range defines 0 and 1; empty for ``disagreement``.
    chosen: how the threshold was chosen, on which cases and how many voxels, as plain values.
    """

    score: str
    threshold: float
    low: float
    high: float
    members: tuple[FittedOutliers, ...] = ()
    chosen: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return everything but the estimates, as plain values."""
        return {
            "score": self.score,
            "threshold": self.threshold,
            "low": self.low,
            "high": self.high,
            "members": [member.to_json() for member in self.members],
            "chosen": dict(self.chosen),
        }

    def digest(self) -> str:
        """Return a digest of everything that a prediction depends on."""
        parts = [self.score, self.threshold, self.low, self.high, *(member.digest() for member in self.members)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def save(self, folder: Path) -> None:
        """Write the files into the ensemble's folder, in place of an older score's."""
        tensors = {
            f"{number}.{name}": tensor
            for number, member in enumerate(self.members)
            for name, tensor in member.tensors.items()
        }
        store(folder, self.to_json(), tensors)

    @staticmethod
    def load(folder: Path, heads: Sequence[Head]) -> EnsembleOutliers | None:
        """Read the files of an ensemble's folder; None where there are none.

        Parameters
        ----------
        folder: the ensemble's.
        heads: of its members.

        Raises
        ------
        InputError: a file is damaged, of a newer version, or of an ensemble of other members; the file is named.
        """
        file, estimates = folder / OUTLIERS_FILE, folder / ESTIMATES_FILE
        if not file.is_file():
            return None
        for path in (file, estimates):
            require_inside(path, folder)
        content = read_json_object(file)
        check_version(content.get("format_version"), file)
        with named_as(file):
            score = str(content["score"])
            if score != DISAGREEMENT and score not in scores_of_ensemble(heads):
                raise ValueError(f"the members cannot have the score {score!r}")
            expected = 0 if score == DISAGREEMENT else len(heads)
            described = content["members"]
            if not isinstance(described, list) or len(described) != expected:
                raise ValueError(f"expected the scores of {expected} members")
            tensors = stored_estimates(content, estimates)
            members = tuple(
                from_json(one, _own(tensors, number), head)
                for number, (one, head) in enumerate(zip(described, heads if expected else (), strict=True))
            )
            if any(member.score != score for member in members):
                raise ValueError("a member has another score")
            return EnsembleOutliers(score, *range_of(content), members, account(content["chosen"], "chosen"))


def scores_of_ensemble(heads: Sequence[Head]) -> tuple[str, ...]:
    """Return the names of the scores that an ensemble of models with these heads can have."""
    from softseg.network.outlier_scores import SCORES, scores_for

    shared = [name for name in SCORES if all(name in scores_for(head) for head in heads)]
    return (DISAGREEMENT, *shared)


def title_of(score: str) -> str:
    """Return the displayed description of an ensemble's score."""
    from softseg.network.outlier_scores import SCORES

    if score == DISAGREEMENT:
        return "how much the members disagree (mutual information, nats)"
    return f"{SCORES[score].title}, joined over the members"


def _own(tensors: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
    prefix = f"{number}."
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
