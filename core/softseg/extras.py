"""Python packages that only some work needs: which extra of the distribution brings each, and how it is installed here.

Predicting needs what ``pip install softseg`` brings; training, reports and DICOM Segmentations need more.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

from softseg.errors import InputError

TRAIN, REPORT, DICOM, DEMO, NNUNET, OPENVINO = "train", "report", "dicom", "demo", "nnunet", "openvino"

EXTRA_OF = {
    "torch": TRAIN,
    "monai": TRAIN,
    "onnx": TRAIN,
    "tensorboard": TRAIN,
    "matplotlib": REPORT,
    "jinja2": REPORT,
    "markupsafe": REPORT,
    "pydicom": DICOM,
    "highdicom": DICOM,
    "jpeg_ls": DICOM,
    "nilearn": DEMO,
    "nnunetv2": NNUNET,
    "openvino": OPENVINO,
}
"""The extra that brings a package, by the name that is imported."""

_DISTRIBUTIONS = {"PIL": "pillow", "yaml": "PyYAML"}  # where a package is called otherwise


def missing(package: str) -> InputError:
    """Return the one line about a package that is not there.

    Parameters
    ----------
    package: the name that is imported, perhaps of a part of it.
    """
    top = package.partition(".")[0]
    return InputError(f"the Python package {top} is not installed", hint=command_for(top))


def command_for(package: str) -> str:
    """Return the command that installs a package here, by its extra where it has one."""
    extra = EXTRA_OF.get(package)
    return installing(_DISTRIBUTIONS.get(package, package) if extra is None else f"softseg[{extra}]")


def installing(requirement: str) -> str:
    """Return the command that installs a requirement for the Python that runs here, also where that is not activated.

    The quotation marks are those that every shell takes, Windows' too.
    """
    quoted = f'"{requirement}"' if set(requirement) & set("[<>=") else requirement
    python = f'"{sys.executable}"' if " " in sys.executable else sys.executable
    if importlib.util.find_spec("pip") is None:  # environments of uv have none
        return f"uv pip install --python {python} {quoted}"
    pip = shutil.which("pip")
    if pip is not None and Path(pip).parent == Path(sys.executable).parent:
        return f"pip install {quoted}"
    return f"{python} -m pip install {quoted}"
