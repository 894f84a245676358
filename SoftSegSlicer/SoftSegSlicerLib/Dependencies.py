"""What prediction and training need beyond what Slicer ships: what is missing, what it weighs, installing it.

Prediction needs ONNX Runtime and a few small packages; training needs PyTorch, too. Nothing is asked when the module is
opened: results can be looked at and trees edited without any of it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import slicer
import slicer.packaging
from slicer.i18n import tr as _

from softseg.errors import InputError
from SoftSegSlicerLib.Installation.PipProblems import PipProblem
from SoftSegSlicerLib.Installation.PipRun import PipRun
from SoftSegSlicerLib.Installation.Sizes import megabytes
from SoftSegSlicerLib.Installation.Wheels import pipArguments, wheelsFolder

RESOURCES = Path(__file__).resolve().parents[1] / "Resources"
REQUIREMENTS = RESOURCES / "requirements.txt"
TRAINING = RESOURCES / "requirements-train.txt"
TORCH = str(slicer.packaging.load_requirements(str(RESOURCES / "requirements-torch.txt"))[0])
"""What is asked of PyTorch."""
REQUESTER = "SoftSeg"


class DeclinedError(Exception):
    """The user does not want the packages now."""


class Dependencies:
    """Asks once, before the first training or prediction, and installs.

    Parameters
    ----------
    context: the panels' context; its dialogs ask people.

    Attributes
    ----------
    makePipRun: returns what runs pip; tests replace it.
    """

    def __init__(self, context):
        self._context = context
        self.makePipRun = PipRun

    def missing(self, training=False):
        """Return the requirements that are not met, as texts; PyTorch, which only training asks for, first."""
        wanted = slicer.packaging.load_requirements(str(REQUIREMENTS))
        if training:
            wanted = [TORCH, *wanted, *slicer.packaging.load_requirements(str(TRAINING))]
        return [str(one) for one in wanted if not slicer.packaging.pip_check(str(one))]

    def ensure(self, training=False):
        """Return when everything is there; explain, ask and install what is missing.

        Parameters
        ----------
        training: PyTorch is needed, too: to train, and for what only PyTorch predicts.

        Raises
        ------
        DeclinedError: the user does not want it.
        InputError: it could not be installed; the message says what to do.
        """
        missing = self.missing(training)
        if not missing:
            return
        wheels = wheelsFolder()
        if not self._context.dialogs.confirm(
            explanation(missing, training, wheels), _("Install packages for SoftSeg?")
        ):
            raise DeclinedError
        if TORCH in missing and not wheels:
            self._installTorch()
        wanted = [one for one in missing if wheels or one != TORCH]
        if wanted and not slicer.app.testingEnabled():
            self._install(wanted, wheels)
        left = self.missing(training)
        if left:
            raise InputError(
                _("these packages are still missing: {names}").format(names=", ".join(left)),
                hint=_("read pip's messages in the Python console, then try again"),
            )

    def _install(self, requirements, wheels):
        run = self.makePipRun()
        if not run.install([*pipArguments(wheels), *requirements], REQUESTER):
            self._refuse(run.output, wheels)

    def _installTorch(self):
        try:
            import PyTorchUtils
        except ImportError as error:
            raise InputError(
                _("the extension PyTorch, which installs PyTorch, is missing"),
                hint=_("install PyTorch in the Extensions Manager, restart Slicer, and try again"),
            ) from error
        try:
            torch = PyTorchUtils.PyTorchUtilsLogic().installTorch(
                askConfirmation=False, torchVersionRequirement=TORCH.removeprefix("torch")
            )
        except subprocess.CalledProcessError as error:
            self._refuse("\n".join(str(part) for part in (error.output, error.stderr, error) if part))
        if torch is None:
            raise InputError(
                _("PyTorch could not be installed"),
                hint=_("open the module PyTorch Utils, which shows the reason, and install PyTorch there"),
            )

    def _refuse(self, output, wheels=""):
        """Show pip's last lines and raise what they mean."""
        problem = PipProblem(output, wheels)
        text = f"{problem.message[:1].upper()}{problem.message[1:]}.\n\n{problem.hint[:1].upper()}{problem.hint[1:]}."
        self._context.dialogs.problem(text, problem.lastLines, _("Install packages for SoftSeg"))
        raise InputError(problem.message, hint=problem.hint)


def explanation(missing, training=False, wheels=""):
    """Return what will be installed, how large it is and what goes without it."""
    what = _("For this, SoftSeg needs PyTorch and other Python packages that are not installed yet:")
    if not training:
        what = _("To segment, SoftSeg needs Python packages that are not installed yet:")
    lines = [what, ""]
    if wheels:
        lines.append(_("from the folder {folder}: {names}").format(folder=wheels, names=", ".join(missing)))
        missing = []
    if TORCH in missing:
        lines.append(
            _("PyTorch: 0.2 GB to download (3 GB with an NVIDIA GPU), through the extension PyTorch of Slicer")
        )
    others = [one for one in missing if one != TORCH]
    if others:
        lines.append(
            _("from the Python Package Index, at most {size} MB to download: {names}").format(
                size=megabytes(others), names=", ".join(others)
            )
        )
    lines += ["", _("They go into Slicer's own Python and can be removed there with pip uninstall.")]
    lines.append(_("Without them you can still look at results, fold them, and edit label trees. Install now?"))
    return "\n".join(lines)
