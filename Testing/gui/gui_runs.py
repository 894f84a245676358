"""What the tests of running work share: clicks, scans, and a runner that does what the test says."""

import time

import numpy as np
import slicer
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from SoftSegSlicerLib.Process.Runner import Outcome

from softseg.requests import Manifest, OutputFile, PredictRequest, WrittenCase


def click(button):
    """Click a button as a person does."""
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    slicer.app.processEvents()


def addHead(name="head", spacing=2.5, skull=False):
    """Add a volume that looks to the checks like a skull-stripped head (or one with its skull)."""
    array = np.full((60, 72, 60), 5.0 if skull else 0.0, np.float32)
    array[12:48, 14:60, 12:48] = 100
    node = slicer.util.addVolumeFromArray(array, name=name)
    node.SetSpacing(spacing, spacing, spacing)
    slicer.app.processEvents()
    return node


class Runner:
    """A runner whose process is the test."""

    def __init__(self):
        self.running = False
        self.arguments = None
        self.cancelled = self.killed = False

    def start(self, arguments, onEvent, onFinished):
        self.running, self.arguments = True, list(arguments)
        self.cancelled = False
        self._onEvent, self._onFinished = onEvent, onFinished

    def send(self, name, **content):
        self._onEvent({"event": name, **content})

    def finish(self, state, message="", hint="", exitCode=0):
        """End the process; what follows from that waits for the window."""
        self.running = False
        self._onFinished(Outcome(state, message, hint, exitCode))

    def end(self, state, message="", hint="", exitCode=0):
        """End the process, and let everything happen that follows."""
        queue = getattr(self._onFinished, "__self__", None)
        self.finish(state, message, hint, exitCode)
        until = time.monotonic() + 60
        while getattr(queue, "finishing", False) and time.monotonic() < until:  # a result is shown in steps
            slicer.app.processEvents()
        for _round in range(3):
            slicer.app.processEvents()

    def cancel(self):
        self.cancelled = True

    def kill(self):
        self.killed, self.running = True, False


class Dependencies:
    """Stands for packages that are there, are declined, or cannot be installed."""

    def __init__(self, error=None):
        self.error = error
        self.asked = []

    def ensure(self, training=False):
        self.asked.append(training)
        if self.error is not None:
            raise self.error


def sayWritten(arguments, folder, name=None):
    """Write the manifest that the engine would: the case of these arguments lies in ``folder``."""
    request = PredictRequest.from_argv(arguments)
    roles = {
        "soft.soft.npz": "soft",
        "mutual_information.nii.gz": "mutual_information",
        "volumes.csv": "volumes",
        "mask.nii.gz": "mask",
    }
    files = tuple(OutputFile(role, file) for file, role in roles.items() if (folder / file).is_file())
    images = tuple(request.inputs[0].split(","))
    Manifest(request.out, (WrittenCase(name or folder.name, "done", images, folder, files),)).write()
