"""What became of segments that people edited, and how it is said."""

from dataclasses import dataclass

from ..Translation import tr as _


@dataclass(frozen=True)
class Edits:
    """What became of segments that were edited by hand.

    Attributes
    ----------
    voxels: how many voxels are corrected now that were not before, or otherwise.
    contested: voxels that more than one segment claimed; what was painted last has them.
    kept: hidden segmentation with what no correction can hold, None where there is nothing such.
    said: all of it in a sentence for people.
    """

    voxels: int
    contested: int
    kept: object
    said: str


def sentence(voxels, painting, kept):
    """Return what became of edited segments in a sentence; empty where nothing did."""
    parts = []
    if voxels:
        parts.append(_("{count} voxels were corrected").format(count=voxels))
    if painting.contested:
        text = _("{count} voxels were in more than one segment and went to the last one painted")
        parts.append(text.format(count=painting.contested))
    if kept is not None:
        text = _("{count} voxels lie outside the result's grid and are kept in '{name}'")
        parts.append(text.format(count=painting.outside, name=kept.GetName()))
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""
