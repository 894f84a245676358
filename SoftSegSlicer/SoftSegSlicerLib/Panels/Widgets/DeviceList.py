"""What computes: the processor and the GPUs of this computer, as ``softseg doctor`` finds them."""

from __future__ import annotations

import json

import qt
from slicer.i18n import tr as _

from SoftSegSlicerLib.Panels.Widgets.Selectors import chosen
from SoftSegSlicerLib.Process.TextProcess import TextProcess

__all__ = ["DeviceChoice", "DeviceList"]

AUTO, CPU = "auto", "cpu"
_GIB = 1024**3


class DeviceList:
    """Asks the engine once, in a process of its own, when somebody looks at a choice of devices.

    Attributes
    ----------
    makeProcess: returns what runs the engine; tests replace it.
    known: ``[(name, description, memory in bytes)]``, None before the answer.
    """

    def __init__(self):
        self.makeProcess = TextProcess
        self.known = None
        self._process, self._listeners = None, []

    def addListener(self, callback):
        """Call back without arguments when the devices are known."""
        self._listeners.append(callback)

    def ask(self):
        """Begin to find out, unless that was done."""
        if self.known is None and self._process is None:
            self._process = self.makeProcess()
            self._process.start(["doctor", "--json"], self._take)

    def cleanup(self):
        """Stop finding out."""
        process, self._process, self._listeners = self._process, None, []
        if process is not None:
            process.kill()

    def _take(self, _exitCode, output, _errors):
        self._process = None
        try:
            found = json.loads(output)["devices"]
            self.known = [(one["name"], one["description"], int(one["memory"])) for one in found]
        except (ValueError, KeyError, TypeError):
            return  # as without PyTorch: what was offered before stays, and is asked for again
        for listener in self._listeners:
            listener()


class DeviceChoice(qt.QObject):
    """Fills a combo box with the devices; asks for them when the mouse or the keyboard comes to it.

    Parameters
    ----------
    box: the QComboBox; its data are names of devices.
    devices: DeviceList.
    without: names of devices that are not offered.
    """

    def __init__(self, box, devices, without=()):
        qt.QObject.__init__(self, box)
        self._box, self._devices, self._without = box, devices, without
        box.installEventFilter(self)
        devices.addListener(self._fill)
        self._fill()

    def choose(self, name):
        """Choose a device; one that is not known (yet) is offered too."""
        if self._box.findData(name) < 0:
            self._box.addItem(name, name)
        self._box.currentIndex = self._box.findData(name)

    def eventFilter(self, _watched, event):
        """Ask when somebody is about to choose."""
        if event.type() in (qt.QEvent.Enter, qt.QEvent.FocusIn, qt.QEvent.MouseButtonPress):
            self._devices.ask()
        return False

    def _fill(self):
        box, before = self._box, chosen(self._box)
        wasBlocked = box.blockSignals(True)
        box.clear()
        for title, name in self._entries():
            box.addItem(title, name)
        if before:
            self.choose(before)
        box.blockSignals(wasBlocked)

    def _entries(self):
        entries = [(_("Automatic (GPU if there is one)"), AUTO)]
        if self._devices.known is None:
            return [*entries, (_("Processor (CPU)"), CPU)]
        return entries + [
            (_title(name, description, memory), name)
            for name, description, memory in self._devices.known
            if name not in self._without
        ]


def _title(name, description, memory):
    """Return what people read of a device."""
    if name == CPU:
        return _("Processor: {what}").format(what=description) if description else _("Processor (CPU)")
    if name == "mps":
        return _("{what}, experimental").format(what=description)
    number = name.partition(":")[2]
    return _("GPU {number}: {what} ({memory} GB)").format(number=number, what=description, memory=round(memory / _GIB))
