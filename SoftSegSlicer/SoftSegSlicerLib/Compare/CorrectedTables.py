"""What a comparison found of a corrected result and of the model's own answer, side by side."""

import math

from .ComparisonTables import ComparisonTables

SCORES = ("dice", "soft_dice")


class CorrectedTables(ComparisonTables):
    """The tables of a corrected result, whose rows hold the model's scores too.

    Each row of levels and structures has further keys: ``dice_model`` and ``soft_dice_model``, the scores of the
    model's own answer by the same reference, and ``dice_change`` and ``soft_dice_change``, corrected minus model. They
    are nan where either side was not measured.

    Parameters
    ----------
    folder: what ``softseg evaluate`` wrote of the corrected result.
    modelFolder: what it wrote of the same result ``--without-corrections``.

    Raises
    ------
    InputError: there are no tables.
    """

    judgesModel = True

    def __init__(self, folder, modelFolder):
        super().__init__(folder)
        model = ComparisonTables(modelFolder)
        _join(self.levels, {row["level"]: row for row in model.levels}, lambda row: row["level"])
        nodes = {_place(row): row for row in model._nodes}
        _join(self._nodes, nodes, _place)
        self._inModel = {place for place, row in nodes.items() if model._isThere(row)}

    def _isThere(self, row):
        """Whether a structure is in one of all three: one that was corrected away stays in the table."""
        return super()._isThere(row) or _place(row) in self._inModel


def _place(row):
    return row["level"], row["node"]


def _join(rows, model, keyOf):
    for row in rows:
        before = model.get(keyOf(row), {})
        for score in SCORES:
            row[f"{score}_model"] = before.get(score, math.nan)
            row[f"{score}_change"] = row[score] - row[f"{score}_model"]
