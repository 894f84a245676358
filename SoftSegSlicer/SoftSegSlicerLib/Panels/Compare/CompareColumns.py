"""Columns of the two tables of a comparison, with and without the model's own answer beside a corrected result."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from slicer.i18n import tr as _

__all__ = ["ComparedColumn", "change", "levelColumns", "number", "structureColumns", "volume"]


@dataclass(frozen=True)
class ComparedColumn:
    """One column of numbers.

    Attributes
    ----------
    title: of the header.
    key: of the rows of ComparisonTables.
    width: in pixels.
    text: writes a number.
    """

    title: str
    key: str
    width: int
    text: Callable[[float], str]


def number(value):
    """Return a score for a table."""
    return f"{value:.3f}" if math.isfinite(value) else "–"


def change(value):
    """Return the difference of two scores for a table, with its sign."""
    return f"{value:+.3f}" if math.isfinite(value) else "–"


def volume(value):
    """Return millilitres for a table, with as many digits as tell something."""
    if not math.isfinite(value):
        return "–"
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def levelColumns(judgesModel):
    """Return the columns beside the number of a level.

    Parameters
    ----------
    judgesModel: whether rows hold the scores of the model's own answer too.
    """
    count = ComparedColumn(_("Structures"), "nodes", 74, _count)
    if judgesModel:
        return (count, *_threeOfDice(), ComparedColumn(_("Missed"), "missed", 52, _count))
    return (
        count,
        ComparedColumn(_("Dice"), "dice", 74, number),
        ComparedColumn(_("Soft Dice"), "soft_dice", 74, number),
        ComparedColumn(_("Missed"), "missed", 74, _count),
    )


def structureColumns(judgesModel):
    """Return the columns beside the name of a structure; ``judgesModel`` as for :func:`levelColumns`."""
    if judgesModel:
        return _threeOfDice(barWidth=22)
    return (
        ComparedColumn(_("Dice"), "dice", 76, number),
        ComparedColumn(_("Soft"), "soft_dice", 48, number),
        ComparedColumn(_("ml"), "volume_ml", 54, volume),
        ComparedColumn(_("Ref. ml"), "volume_reference_ml", 54, volume),
    )


def _threeOfDice(barWidth=0):
    return (
        ComparedColumn(_("Dice,\nmodel"), "dice_model", 52, number),
        ComparedColumn(_("Dice,\ncorrected"), "dice", 66 + barWidth, number),
        ComparedColumn(_("Difference"), "dice_change", 70, change),
    )


def _count(value):
    return f"{value:.0f}"
