"""The shipped brain-134 on a whole head of 1 mm, from a command's start to its end.

Against a plain PyTorch loop over whole slices and against MONAI's sliding windows, each a process of its own
(:mod:`whole_head`), in turning order. The head is test scan 1004 where the real data lie beside the project, else the
average head.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import SimpleITK as sitk
from measure import Line

from softseg.demo.scan import read_maps

SUITE = "head"
SIDE = Path(__file__).with_name("whole_head.py")
DATA = Path(os.environ.get("SOFTSEG_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
SIDES = ("ours", "loop", "monai")
MODEL = "brain-134"
PRECISION = "float32"
MOST_MEMORY = 1000
MOST_OUTSIDE = 0.4


def run(quick: bool) -> list[Line]:
    """Measure; ``quick`` takes 16 slices once."""
    with tempfile.TemporaryDirectory() as folder:
        scan, named = scan_file(Path(folder), quick)
        taken: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
        for turn in range(1 if quick else 3):
            for side in SIDES[turn % len(SIDES) :] + SIDES[: turn % len(SIDES)]:
                taken[side].append(_predicted(side, scan, Path(folder) / f"{side}-{turn}"))
    found = {side: {key: median(each[key] for each in rounds) for key in rounds[0]} for side, rounds in taken.items()}
    ours, loop, monai = (found[side] for side in SIDES)
    note = f"{named}, {PRECISION}"
    outside = ours["seconds"] - ours["networks"]
    return [
        Line(SUITE, "time", ours["seconds"], loop["seconds"], "s", "plain loop", 0.5, note),
        Line(SUITE, "time of the processor", ours["cpu"], loop["cpu"], "s", "plain loop", None, note),
        Line(SUITE, "time", ours["seconds"], monai["seconds"], "s", "MONAI SliceInferer", None, note),
        Line(SUITE, "time of the processor", ours["cpu"], monai["cpu"], "s", "MONAI SliceInferer", None, note),
        Line(
            SUITE,
            "time outside the networks",
            outside,
            MOST_OUTSIDE * ours["seconds"],
            "s",
            "limit",
            1.0,
            f"{_told(ours)}; plain loop: {_told(loop)}",
        ),
        Line(SUITE, "memory of the process", ours["memory"] / 1e6, MOST_MEMORY, "MB", "limit", 1.0, note),
        Line(
            SUITE, "memory of the process", ours["memory"] / 1e6, loop["memory"] / 1e6, "MB", "plain loop", None, note
        ),
    ]


def _told(found: Mapping[str, float]) -> str:
    rest = found["seconds"] - found["imports"] - found["networks"]
    return f"imports {found['imports']:.1f} s, networks {found['networks']:.1f} s, everything else {rest:.1f} s"


def _predicted(side: str, scan: Path, out: Path) -> dict[str, float]:
    """Return seconds from start to end, and what the side says of itself."""
    began = time.perf_counter()
    command = [sys.executable, str(SIDE), side, str(scan), str(out), PRECISION]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if answer.returncode:
        raise RuntimeError(f"{side} ended with {answer.returncode}: {answer.stderr.strip().splitlines()[-1:]}")
    return {"seconds": seconds} | json.loads(answer.stdout.strip().splitlines()[-1])


def scan_file(folder: Path, quick: bool) -> tuple[Path, str]:
    """Return the scan's file, and what it is."""
    scan, named = DATA / "brain" / "images" / "1004.nii.gz", "test scan 1004"
    if not scan.is_file():
        read_maps(folder)
        scan, named = folder / "T1.nii.gz", "average head"
    image = sitk.ReadImage(str(scan))
    if quick:
        middle = image.GetSize()[2] // 2
        image = image[:, :, middle - 8 : middle + 8]
        scan = folder / "part.nii.gz"
        sitk.WriteImage(image, str(scan))
    return scan, f"{named}, {' x '.join(map(str, image.GetSize()[::-1]))} voxels"
