"""The README's main job: segment a real head softly, look at it at every level, then learn from soft labels.

The scan is the MNI152 template, the average of 152 skull-stripped T1 scans, and the soft labels are its grey and white
matter probability maps. Both are files inside the nilearn wheel, so nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from softseg.errors import InputError
from softseg.events import Events
from softseg.files import require_writable_folder, write_beside
from softseg.image import Image, read_image, write_image
from softseg.soft.parcellation import SoftParcellation
from softseg.tree import LabelTree, Node

MODEL = "brain-134"
NODES = ("grey-matter", "left-hippocampus")
BACK_SHARE = 0.35
"""Share of the head, from the back, that is kept out of training and used to judge it."""

TISSUES = (
    Node("head", "head", None),
    Node("background", "background", "head", value=0, color=(0, 0, 0)),
    Node("brain", "brain", "head"),
    Node("other", "other, mostly CSF", "brain", value=1, color=(70, 130, 180)),
    Node("grey-matter", "grey matter", "brain", value=2, color=(205, 92, 92)),
    Node("white-matter", "white matter", "brain", value=3, color=(240, 240, 240)),
)


@dataclass(frozen=True)
class Maps:
    """The scan and its soft labels, all on one grid: ``t1`` 0..255, ``shares`` leaf id to its share 0..1."""

    t1: Image
    shares: dict[str, Image]


def demo(
    out: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] = MODEL,
    minutes: float = 3.0,
    device: str = "auto",
    events: Events | None = None,
) -> list[Path]:
    """Run the whole demo and return what it wrote, most interesting first.

    Parameters
    ----------
    out: folder for everything.
    model: a model folder, or the name of a shipped model.
    minutes: time for training; 0 leaves training out.
    device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    events: progress; and the user's wish to stop.

    Raises
    ------
    InputError: nilearn or the model is missing, or ``out`` cannot be written.
    """
    events = Events() if events is None else events
    folder = require_writable_folder(out)
    events.stage("read the scan that nilearn brings")
    maps = read_maps(folder / "input")
    written = segment(folder, model, device, events)
    if minutes > 0:
        written += learn(maps, folder / "training", minutes, device, events)
    for path in written:
        events.result(path.relative_to(folder).as_posix(), path)
    return written


def read_maps(folder: Path) -> Maps:
    """Read template and tissue maps out of nilearn, take the brain by nilearn's mask, and write them to ``folder``."""
    try:
        from nilearn import datasets
    except ModuleNotFoundError as error:
        raise InputError("the demo's scan comes with nilearn", hint="pip install softseg[engine,demo]") from error
    folder.mkdir(parents=True, exist_ok=True)
    brain = _read(datasets.load_mni152_brain_mask(resolution=1)).array > 0
    t1 = _read(datasets.load_mni152_template(resolution=1))
    grey = _read(datasets.load_mni152_gm_template(resolution=1)).array.astype(np.float32)
    white = _read(datasets.load_mni152_wm_template(resolution=1)).array.astype(np.float32)
    other = np.where(brain, np.maximum(0, 1 - grey - white), 0).astype(np.float32)
    shares = {"other": other, "grey-matter": grey, "white-matter": white}
    shares = {"background": np.maximum(0, 1 - sum(shares.values())).astype(np.float32), **shares}
    intensities = np.where(brain, np.rint(t1.array * 255), 0).astype(np.uint8)
    maps = Maps(Image(intensities, t1.geometry), {leaf: Image(share, t1.geometry) for leaf, share in shares.items()})
    write_image(maps.t1, folder / "T1.nii.gz")
    return maps


def segment(folder: Path, model: str | os.PathLike[str], device: str, events: Events) -> list[Path]:
    """Predict, with labels at every level and maps of some nodes, and write the report; return what was written."""
    from softseg.evaluation import render_prediction_report
    from softseg.prediction import load_model, predict

    scan = folder / "input" / "T1.nii.gz"
    loaded = load_model(model)
    tree = loaded.tree
    shown = [node for node in NODES if node in tree] or [tree.children(tree.root.id)[-1].id]
    levels = range(1, tree.depth + 1)
    case = predict(loaded, [scan], folder / "segmentation", cut=levels, nodes=shown, device=device, events=events)[0]
    events.stage("report")
    soft = case.folder / "soft.soft.npz"
    report = render_prediction_report(
        SoftParcellation.load(soft), read_image(scan), folder / "report.html", nodes=shown, events=events
    )
    maps = [*sorted(case.folder.glob("labels_*.nii.gz")), *sorted(case.folder.glob("node_*.nii.gz"))]
    return [report, soft, *maps, case.folder / "volumes.csv"]


def learn(maps: Maps, folder: Path, minutes: float, device: str, events: Events) -> list[Path]:
    """Train on the soft tissue maps of the front of the head and judge on its back, which training never sees.

    It is one average head: this shows that learning from soft labels works, not how well it would do on other people.
    """
    from softseg.data import Dataset
    from softseg.training import Recipe, train

    dataset = Dataset.load(write_dataset(maps, folder / "data"))
    recipe = Recipe.load(
        "soft-tree",
        [
            f"minutes={minutes:g}",
            "steps=2000",
            "batch_size=2",
            "plan.spacing=[2,2,2]",
            "plan.patch_size=[48,48,48]",
            "validation.metric=soft_dice/leaves",
        ],
    )
    events.log("training on the front two thirds of one head, judged on its back third; not a clinical model")
    model = train(dataset, recipe, folder / "run", device=device, events=events)
    return [folder / "run" / "curves.png", folder / "run" / "metrics.csv", model]


def write_dataset(maps: Maps, folder: Path) -> Path:
    """Write the front and the back of the head as two cases with soft labels, and return DATA.json."""
    LabelTree(TISSUES, name="tissues").save(folder / "tree.json")
    slices = maps.t1.array.shape[1]
    back = round(slices * BACK_SHARE)
    cases = [
        _write_part(maps, folder, "front", "train", back, slices),
        _write_part(maps, folder, "back", "val", 0, back),
    ]
    description = {"name": "MNI152 tissues", "channels": ["T1"], "tree": "tree.json", "cases": cases}
    with write_beside(folder / "DATA.json") as temporary:
        temporary.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    return folder / "DATA.json"


def _write_part(maps: Maps, folder: Path, name: str, split: str, first: int, last: int) -> dict[str, Any]:
    """Write the coronal slices ``first`` to ``last - 1`` (posterior to anterior) as one case."""
    labels = {}
    for leaf, share in maps.shares.items():
        labels[leaf] = write_image(_coronal(share, first, last), folder / f"{name}_{leaf}.nii.gz").name
    image = write_image(_coronal(maps.t1, first, last), folder / f"{name}_T1.nii.gz").name
    return {"id": name, "group": f"MNI152 {name}", "split": split, "images": {"T1": image}, "labels": labels}


def _coronal(image: Image, first: int, last: int) -> Image:
    shape = image.array.shape
    geometry = image.geometry.cropped((0, first, 0), (shape[0], last - first, shape[2]))
    return Image(np.ascontiguousarray(image.array[:, first:last, :]), geometry)


def _read(volume: Any) -> Image:
    """Turn a nibabel image into an :class:`Image` by way of a file, so that the grid is read as always."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "volume.nii"
        volume.to_filename(file)
        return read_image(file)
