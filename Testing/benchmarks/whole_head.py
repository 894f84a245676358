"""One prediction of a whole head, from the start of its process to its end, and where the time goes.

    python whole_head.py SIDE SCAN OUT PRECISION

SIDE is ``ours`` (the command ``softseg predict`` with its default outputs), ``loop`` or ``monai``. Prints one line of
JSON: seconds of ``imports`` and ``networks``, of the processor in ``cpu`` and the largest ``memory`` in bytes.

``loop`` is what a careful person writes in plain PyTorch: whole slices, in batches of eight, through both networks,
softmax, the mean in a dense float16 array, the largest leaf. ``monai`` does the same with MONAI's ``SliceInferer`` and
its defaults (windows of the plan's size, overlap 0.25).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NETWORK = "DynUNet"
MODEL = "brain-134"
BATCH = 8
MULTIPLE = 16  # the networks halve their maps four times


def main(side: str, scan: str, out: str, precision: str) -> None:
    """Predict and print."""
    began = time.perf_counter()
    import torch

    import softseg.cli
    import softseg.network
    import softseg.prediction.batch

    imports = time.perf_counter() - began
    networks = _timed_networks(torch)
    Path(out).mkdir(parents=True, exist_ok=True)
    if side == "ours":
        code = softseg.cli.run(["predict", MODEL, scan, "--out", out, "--precision", precision, "--device", "cpu"])
        if code:
            sys.exit(code)
    else:
        with torch.inference_mode():
            _plainly(Path(scan), Path(out), precision, _in_windows if side == "monai" else _whole)
    spent = os.times()
    found = {"imports": imports, "networks": networks[0], "cpu": spent.user + spent.system, "memory": _memory()}
    print(json.dumps(found))


def _timed_networks(torch: Any) -> list[float]:
    """Return a list of one number, the seconds that networks have taken so far."""
    seconds, begun = [0.0], [0.0]

    def before(module: Any, _: Any) -> None:
        if type(module).__name__ == NETWORK:
            begun[0] = time.perf_counter()

    def after(module: Any, *_: Any) -> None:
        if type(module).__name__ == NETWORK:
            seconds[0] += time.perf_counter() - begun[0]

    torch.nn.modules.module.register_module_forward_pre_hook(before)
    torch.nn.modules.module.register_module_forward_hook(after)
    return seconds


def _plainly(scan: Path, out: Path, precision: str, probabilities: Callable[..., Any]) -> None:
    """Write the label map of the largest mean of both networks."""
    import numpy as np
    import SimpleITK as sitk
    import torch

    from softseg.prediction import load_models

    given = sitk.ReadImage(str(scan), sitk.sitkFloat32)
    total: Any = None
    models = load_models(MODEL)
    box: tuple[slice, ...] = ()
    for model in models:
        turned = sitk.DICOMOrient(given, model.plan.orientation)
        image = sitk.GetArrayFromImage(turned)
        inside = image != 0
        image = (image - image[inside].mean()) / image[inside].std()
        places = [np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
        box = tuple(slice(int(line[0]), int(line[-1]) + 1) for line in places)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            found = probabilities(model, torch.from_numpy(np.ascontiguousarray(image[box])))
        if total is None:
            first, total = (turned, box), found
            continue
        back = _turned_back(turned, first[0])
        total += back(found)
    labels = np.zeros(sitk.GetArrayViewFromImage(first[0]).shape, np.uint8)
    values = np.array([leaf.value for leaf in models[0].tree.leaves], np.uint8)
    labels[first[1]] = values[total.argmax(0).numpy()]
    image = sitk.GetImageFromArray(labels)
    image.CopyInformation(first[0])
    own = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(given.GetDirection())
    sitk.WriteImage(sitk.DICOMOrient(image, own), str(out / "labels.nii.gz"), True)


def _turned_back(source: Any, target: Any) -> Callable[[Any], Any]:
    """Return what brings ``[C, k, j, i]`` from one orientation of a grid to another."""
    import numpy as np

    axes = np.rint(
        np.array(target.GetDirection()).reshape(3, 3).T @ np.array(source.GetDirection()).reshape(3, 3)
    ).astype(int)[::-1, ::-1]  # target's axes by source's, (k, j, i)
    order = [int(np.flatnonzero(row)[0]) for row in axes]
    mirrored = [1 + n for n, row in enumerate(axes) if row.sum() < 0]
    return lambda values: values.permute(0, *(1 + n for n in order)).flip(mirrored)


def _whole(model: Any, image: Any) -> Any:
    """Return float16 ``[C, k, j, i]``: whole slices, their border repeated to a multiple of what the network halves."""
    import torch

    j, i = image.shape[1:]
    padded = torch.nn.functional.pad(image[:, None], (0, -i % MULTIPLE, 0, -j % MULTIPLE), mode="replicate")
    out = torch.empty((model.head.classes, *image.shape), dtype=torch.float16)
    for first in range(0, len(image), BATCH):
        batch = padded[first : first + BATCH].contiguous(memory_format=torch.channels_last)
        probabilities = model.network(batch).softmax(1)[:, :, :j, :i]
        out[:, first : first + BATCH] = probabilities.transpose(0, 1)
    return out


def _in_windows(model: Any, image: Any) -> Any:
    """Return float16 ``[C, k, j, i]`` of MONAI's windows."""
    from monai.inferers import SliceInferer

    inferer = SliceInferer(roi_size=model.plan.patch_size, spatial_dim=0, sw_batch_size=BATCH, mode="gaussian")
    return inferer(image[None, None], lambda windows: model.network(windows).softmax(1))[0].half()


def _memory() -> int:
    """Return the largest resident memory of this process in bytes."""
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
