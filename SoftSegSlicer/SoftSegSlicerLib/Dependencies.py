"""What training and prediction need beyond what Slicer ships: what is missing, what it weighs, installing it.

Nothing here is asked when the module is opened: results can be looked at and trees edited without any of it.
"""

from __future__ import annotations

from pathlib import Path

import slicer
import slicer.packaging
from slicer.i18n import tr as _

from softseg.errors import InputError

TORCH = "torch>=2.6"
REQUIREMENTS = Path(__file__).resolve().parents[1] / "Resources" / "requirements.txt"
REQUESTER = "SoftSeg"


class DeclinedError(Exception):
    """The user does not want the packages now."""


class Dependencies:
    """Asks once, before the first training or prediction, and installs.

    Parameters
    ----------
    context: the panels' context; its dialogs ask people.
    """

    def __init__(self, context):
        self._context = context

    def missing(self):
        """Return the requirements that are not met, as texts; PyTorch first."""
        wanted = [TORCH, *slicer.packaging.load_requirements(str(REQUIREMENTS))]
        return [str(one) for one in wanted if not slicer.packaging.pip_check(str(one))]

    def ensure(self):
        """Return when everything is there; explain, ask and install what is missing.

        Raises
        ------
        DeclinedError: the user does not want it.
        InputError: it could not be installed; the message says what to do.
        """
        missing = self.missing()
        if not missing:
            return
        if not self._context.dialogs.confirm(explanation(missing), _("Install packages for SoftSeg?")):
            raise DeclinedError
        if TORCH in missing:
            _installTorch()
        requirements = slicer.packaging.load_requirements(str(REQUIREMENTS))
        slicer.packaging.pip_ensure(requirements, requester=REQUESTER, prompt_install=False)
        left = self.missing()
        if left:
            raise InputError(
                _("these packages are still missing: {names}").format(names=", ".join(left)),
                hint=_("look into the Python console for pip's messages, then try again"),
            )


def explanation(missing):
    """Return what will be installed, how large it is and what goes without it."""
    lines = [_("To segment and to train, SoftSeg needs Python packages that are not installed yet:"), ""]
    if TORCH in missing:
        lines.append(
            _("PyTorch: 0.2 GB to download (3 GB with an NVIDIA GPU), through the extension PyTorch of Slicer")
        )
    others = [one for one in missing if one != TORCH]
    if others:
        lines.append(_("from the Python Package Index, 60 MB at most: {names}").format(names=", ".join(others)))
    lines += ["", _("They go into Slicer's own Python and can be removed there with pip uninstall.")]
    lines.append(_("Without them you can still look at results, fold them, and edit label trees. Install now?"))
    return "\n".join(lines)


def _installTorch():
    try:
        import PyTorchUtils
    except ImportError as error:
        raise InputError(
            _("PyTorch is installed by the extension PyTorch, which is not there"),
            hint=_("install PyTorch in the Extensions Manager, restart Slicer, and try again"),
        ) from error
    torch = PyTorchUtils.PyTorchUtilsLogic().installTorch(
        askConfirmation=False, torchVersionRequirement=TORCH.removeprefix("torch")
    )
    if torch is None:
        raise InputError(
            _("PyTorch could not be installed"), hint=_("open the module PyTorch Utils, which says why, and try there")
        )
