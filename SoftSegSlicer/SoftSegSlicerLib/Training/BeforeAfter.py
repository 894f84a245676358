"""What a fine-tuning did to a model, on cases that it did not learn from, in words."""

import json
import os

from ..Translation import tr as _

FILE = "comparison.json"
SHOWN = ("dice/leaves", "soft_dice/leaves", "agreement")


def beforeAfter(folder):
    """Return the scores before and after of a run, a line each; empty where nothing was compared."""
    try:
        with open(os.path.join(str(folder), FILE), encoding="utf-8") as stream:
            content = json.load(stream)
        lines = [_line(name, content["scores"][name]) for name in SHOWN if name in content["scores"]]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    if not content.get("held_out"):
        lines.append(_("No scan was held out: these are the corrected scans. Other scans may have improved or not."))
    return "\n".join(lines)


def _line(name, score):
    titles = {
        "dice/leaves": _("Dice of the leaves"),
        "soft_dice/leaves": _("Soft Dice of the leaves"),
        "agreement": _("Corrected voxels predicted as corrected"),
    }
    text = _("{title}: {before} before, {after} after ({people})").format(
        title=titles[name],
        before=f"{score['before']:.3f}",
        after=f"{score['after']:.3f}",
        people=_("1 person") if score["people"] == 1 else _("{count} people").format(count=score["people"]),
    )
    if score.get("low") is None:
        return text
    return text + _(", change {low} to {high}").format(low=f"{score['low']:+.3f}", high=f"{score['high']:+.3f}")
