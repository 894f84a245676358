"""Asks once whether weights with a licence that does not allow everything are to be used."""

import json

import slicer
from slicer.i18n import tr as _

from softseg.prediction.licences import is_permissive

__all__ = ["SETTING", "LicenceQuestion"]

SETTING = "SoftSegSlicer/AcceptedLicences"
"""JSON list of the licences that were agreed to, each with the name of its model."""


class LicenceQuestion:
    """Shows the licence before the first run; the answer is kept in the settings.

    Parameters
    ----------
    context: the panels' context; its dialogs ask people.
    """

    def __init__(self, context):
        self._context = context

    def agreed(self, model, summary):
        """Return whether a model may be used; asks where its licence does not allow everything and nobody agreed yet.

        Tests are not asked, and nothing is remembered of them; nor are scripts, which call the logic.

        Parameters
        ----------
        model: its name, or its folder.
        summary: ModelSummary.
        """
        if is_permissive(summary.licence) or slicer.app.testingEnabled():
            return True
        known, this = _accepted(), [str(model), summary.licence]
        if this in known:
            return True
        text = _(
            "The weights of {model} come with this licence:\n\n{licence}\n\nDo you accept it? You are asked only once."
        ).format(model=model, licence=summary.licence)
        if not self._context.dialogs.confirm(text, _("Licence of {model}").format(model=model)):
            return False
        slicer.app.settings().setValue(SETTING, json.dumps([*known, this]))
        return True


def _accepted():
    try:
        found = json.loads(slicer.app.settings().value(SETTING) or "[]")
    except (TypeError, ValueError):
        return []
    return found if isinstance(found, list) else []
