"""What a map over the slices shows."""

from dataclasses import dataclass
from enum import Enum

from . import References


class Kind(Enum):
    """What the values of a map are."""

    PROBABILITY = "probability"
    UNCERTAINTY = "uncertainty"
    DECISION = "decision"
    OUTLIER_SCORE = "outlier score"
    DISAGREEMENT = "disagreement"


_ROLES = {
    Kind.PROBABILITY: References.HEAT_MAP,
    Kind.UNCERTAINTY: References.ENTROPY,
    Kind.DECISION: References.ENTROPY,
    Kind.OUTLIER_SCORE: References.OUTLIER_SCORE,
    Kind.DISAGREEMENT: References.DISAGREEMENT,
}
_TEXTS = {
    Kind.UNCERTAINTY: "uncertainty map",
    Kind.OUTLIER_SCORE: "outlier score",
    Kind.DISAGREEMENT: "disagreement",
}
_DECISION = "decision in "


@dataclass(frozen=True)
class ShownMap:
    """What a map shows.

    Attributes
    ----------
    kind: what its values are.
    nodeId: the node whose probability it is, or in which a decision is made; None for the other kinds.
    """

    kind: Kind
    nodeId: str | None = None

    @staticmethod
    def probability(nodeId):
        """Return that of a node's probability."""
        return ShownMap(Kind.PROBABILITY, nodeId)

    @staticmethod
    def decision(nodeId):
        """Return that of the uncertainty among the parts of a node."""
        return ShownMap(Kind.DECISION, nodeId)

    @property
    def role(self):
        """The reference under which a segmentation holds the volume."""
        return _ROLES[self.kind]

    @property
    def text(self):
        """What the attribute ``References.SHOWN_NODE`` of the volume says; a scene keeps it."""
        if self.kind is Kind.PROBABILITY:
            return self.nodeId
        return _TEXTS.get(self.kind) or f"{_DECISION}{self.nodeId}"

    @staticmethod
    def of(role, text):
        """Return what the volume with this role and attribute shows, None where the scene is damaged."""
        if role == References.HEAT_MAP:  # any text is a node's id here, "disagreement" too
            return ShownMap.probability(text)
        if role == References.ENTROPY and text.startswith(_DECISION):
            return ShownMap.decision(text[len(_DECISION) :])
        return next((ShownMap(kind) for kind in _TEXTS if _ROLES[kind] == role), None)


UNCERTAINTY = ShownMap(Kind.UNCERTAINTY)
"""The entropy over the nodes of the cut."""
OUTLIER_SCORE = ShownMap(Kind.OUTLIER_SCORE)
"""The score by which outliers are told."""
DISAGREEMENT = ShownMap(Kind.DISAGREEMENT)
"""How much repeated answers differ."""
