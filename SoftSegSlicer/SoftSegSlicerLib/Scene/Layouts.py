"""The arrangement of the views: changed where a table is shown, put back when the module is left."""

import slicer

_held: dict = {}


def show(number):
    """Arrange the views in another way, and remember how they were; does nothing without a main window."""
    layouts = slicer.app.layoutManager()
    if layouts is None or layouts.layout == number:
        return
    if layouts.layout != _held.get("ours"):
        _held["before"] = layouts.layout
    _held["ours"] = number
    layouts.setLayout(number)


def restore():
    """Put the views back, unless somebody has arranged them in yet another way since."""
    layouts = slicer.app.layoutManager()
    before, ours = _held.pop("before", None), _held.pop("ours", None)
    if layouts is not None and before is not None and layouts.layout == ours:
        layouts.setLayout(before)
