"""Running pip in a process of its own, with its output, while the window stays alive."""

from __future__ import annotations

import subprocess

import qt
import slicer
import slicer.packaging
from slicer.i18n import tr as _


class PipRun:
    """Installs packages and keeps what pip wrote.

    Attributes
    ----------
    output: of pip.
    """

    def __init__(self):
        self._lines = []

    @property
    def output(self):
        """What pip wrote."""
        return "\n".join(self._lines)

    def install(self, arguments, requester):
        """Run ``pip install ARGUMENTS``, wait with the window alive, and return whether it succeeded.

        Parameters
        ----------
        arguments: requirements and options, a list.
        requester: who wants it, for people.
        """
        dialog = _dialog(requester)
        codes, loop = [], qt.QEventLoop()

        def take(line):
            self._lines.append(line)
            dialog.labelText = _("Installing packages for {name} ...").format(name=requester) + "\n" + line[:100]

        def end(code):
            codes.append(code)
            loop.quit()

        try:
            slicer.packaging.pip_install(
                list(arguments),
                blocking=False,
                show_progress=False,
                requester=requester,
                logCallback=take,
                completedCallback=end,
            )
            if not codes:
                loop.exec_()
        except subprocess.CalledProcessError as error:
            self._lines += [str(part) for part in (error.output, error.stderr, error) if part]
            return False
        finally:
            dialog.close()
            dialog.deleteLater()
        return codes == [0]


def _dialog(requester):
    """Return a moving bar in front of everything, so that nothing else is begun meanwhile."""
    dialog = qt.QProgressDialog(slicer.util.mainWindow())
    dialog.windowTitle = requester
    dialog.labelText = _("Installing packages for {name} ...").format(name=requester)
    dialog.setCancelButton(None)
    dialog.setRange(0, 0)
    dialog.minimumDuration = 0
    dialog.windowModality = qt.Qt.ApplicationModal
    dialog.show()
    return dialog
