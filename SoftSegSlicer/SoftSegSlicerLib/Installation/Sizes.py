"""What the packages weigh that SoftSeg installs into Slicer's Python."""

from __future__ import annotations

import math
import re

DOWNLOAD = {
    "onnxruntime": 28.7,
    "pydantic": 2.9,
    "typer": 0.2,
    "rich": 1.8,
    "pyyaml": 0.9,
    "psutil": 0.3,
    "monai": 1.7,
    "onnx": 20.0,
    "matplotlib": 17.0,
    "jinja2": 0.2,
    "markupsafe": 0.1,
    "nibabel": 3.4,
    "pillow": 7.3,
}
"""MB to download for each, with what it brings and Slicer lacks; the largest of Linux, macOS and Windows."""


def megabytes(requirements):
    """Return about how many MB pip downloads for requirements (texts); a package that is not known counts as 10."""
    names = [re.split(r"[^\w.-]", one.strip(), maxsplit=1)[0].lower() for one in requirements]
    return math.ceil(sum(DOWNLOAD.get(name, 10.0) for name in names))
