"""The button that copies what this computer can do, for a question or a report."""

from __future__ import annotations

import platform

import slicer
from slicer.i18n import tr as _

from SoftSegSlicerLib.Process.TextProcess import TextProcess


class Diagnostics:
    """Runs ``softseg doctor`` when the button is clicked and puts the answer into the clipboard.

    Parameters
    ----------
    context: the panels' context (unused parts of it may be None).
    button: the button.
    label: where the result of the click is said.
    """

    def __init__(self, context, button, label):
        self._context, self._button, self._label = context, button, label
        self.makeProcess = TextProcess
        self._process = None
        button.clicked.connect(self.onClicked)

    def onClicked(self, *_arguments):
        """Ask the engine; the button rests until the answer is there."""
        if self._process is not None:
            return
        self._button.enabled = False
        self._label.text = _("Checking this computer ...")
        self._process = self.makeProcess()
        self._process.start(["doctor"], self._copy)

    def cleanup(self):
        """Stop what runs."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def _copy(self, exitCode, output, errors):
        self._process = None
        self._button.enabled = True
        version = f"3D Slicer {slicer.app.applicationVersion}, {platform.platform()}"
        answer = output.strip() or _("softseg doctor printed nothing (exit code {code})").format(code=exitCode)
        text = "\n".join(part for part in (version, answer, errors.strip()) if part)
        slicer.app.clipboard().setText(text)
        self._label.text = _("Copied. Paste it into your question or report.")
