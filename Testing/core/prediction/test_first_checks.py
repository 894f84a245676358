"""What cannot be is refused before a model's weights, or the library that runs them, are loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from softseg.image import Geometry, Image, write_image

CODE = """
import contextlib, io, json, sys
from pathlib import Path
from softseg.cli import run
found = []
for arguments in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = run(arguments)
    loaded = [name for name in ("torch", "monai", "onnxruntime") if name in sys.modules]
    found.append((code, said.getvalue(), loaded, Path(sys.argv[2]).exists()))
print(json.dumps(found))
"""

Refused = dict[str, tuple[int, str, list[str], bool]]
"""Exit code, standard error, libraries that are loaded, and whether there is an output folder, by a word for each."""


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Refused:
    """What commands say, all of one process, by a word for each."""
    place = tmp_path_factory.mktemp("checks")
    scan, second = (str(place / name) for name in ("scan.nii.gz", "second.nii.gz"))
    for file in (scan, second):
        write_image(Image(np.ones((2, 8, 8), np.float32), Geometry((8, 8, 2))), file)
    damaged = place / "damaged.nii"
    damaged.write_bytes(b"no header" * 100)
    taken = place / "taken" / "scan"
    taken.mkdir(parents=True)
    (taken / "thesis.txt").write_text("not to be replaced")
    asked = {
        "node": [scan, "--nodes", "hippocampus"],
        "cut": [scan, "--cut", "9"],
        "branch": [scan, "--branches", "nowhere"],
        "step": [scan, "--postprocess", "keep-largest:nowhere"],
        "structures": [scan, "--structures", "nowhere"],
        "image": [str(place / "none.nii.gz")],
        "channels": [f"{scan},{second}"],
        "header": [str(damaged)],
        "mask": [scan, second, "--mask", scan],
        "folder": [scan, "--out", scan],
        "below a file": [scan, "--out", str(Path(scan) / "out")],
        "taken": [scan, "--out", str(taken.parent)],
    }
    out = ["--out", str(place / "out")]
    commands = [["predict", "cord-gm-soft", *words, *([] if "--out" in words else out)] for words in asked.values()]
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(commands), out[1]], capture_output=True, text=True, check=True
    )

    return dict(zip(asked, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("node", "hippocampus"),
        ("cut", "9"),
        ("branch", "nowhere"),
        ("step", "nowhere"),
        ("structures", "nowhere"),
        ("image", "none.nii.gz: no such file"),
        ("channels", "the model needs 1 channel"),
        ("header", "damaged.nii"),
        ("mask", "is one mask, and there are 2 scans"),
        ("folder", "expected a folder, got a file"),
        ("below a file", "expected a folder, got a file"),
        ("taken", "taken/scan"),
    ],
)
def test_one_line_and_nothing_loaded(refused: Refused, what: str, said: str) -> None:
    code, line, loaded, written = refused[what]
    assert (code, loaded, written) == (2, [], False)
    assert said in line
    assert line.count("\n") == 1
