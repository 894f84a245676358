"""The README's main job: segment a real head softly, look at it at every level, then learn from soft labels.

The scan is the MNI152 template, the average of 152 skull-stripped T1 scans, and the soft labels are its grey and white
matter probability maps. Both are files inside the nilearn wheel, so nothing is downloaded.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from softseg.demo.scan import Maps, read_maps, write_dataset
from softseg.events import Events
from softseg.files import require_writable_folder
from softseg.image import read_image
from softseg.soft.parcellation import SoftParcellation

if TYPE_CHECKING:
    from softseg.network import Model

__all__ = ["MODEL", "NODES", "demo", "learn", "segment"]

MODEL = "brain-134"
NODES = ("grey-matter", "left-hippocampus")

SETTINGS = (
    "steps=4000",
    "batch_size=2",
    "validation.every=40",
    "validation.metric=soft_dice/leaves",
    "plan.spacing=[2,2,2]",
    "plan.patch_size=[48,48,48]",
    "plan.network.options.filters=[16,32,64,128]",
)
"""What makes the recipe learn in minutes on two cores."""


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
    from softseg.prediction import load_models

    events = Events() if events is None else events
    folder = require_writable_folder(out)
    loaded = load_models(model)
    events.stage("read the scan that nilearn brings")
    maps = read_maps(folder / "input")
    written = segment(folder, loaded, device, events)
    if minutes > 0:
        written += learn(maps, folder / "training", minutes, device, events)
    for path in written:
        events.result(path.relative_to(folder).as_posix(), path)
    return written


def segment(folder: Path, models: Sequence[Model], device: str, events: Events) -> list[Path]:
    """Predict, with labels at every level and maps of some nodes, and write the report; return what was written."""
    from softseg.demo.pictures import write_overview
    from softseg.evaluation import render_prediction_report
    from softseg.prediction import predict

    scan = folder / "input" / "T1.nii.gz"
    tree = models[0].tree
    shown = [node for node in NODES if node in tree] or [tree.children(tree.root.id)[-1].id]
    levels = range(1, tree.depth + 1)
    case = predict(models, [scan], folder / "segmentation", cut=levels, nodes=shown, device=device, events=events)[0]
    events.stage("report")
    soft = case.written.file("soft")
    stored, image = SoftParcellation.load(soft), read_image(scan)
    report = render_prediction_report(stored, image, folder / "report.html", nodes=shown, events=events)
    events.check()
    picture = write_overview(stored, image, sorted({*levels[1:3], levels[-1]}), shown[0], folder / "overview.png")
    maps = [case.folder / file.path for file in case.written.files if file.role in ("labels", "node")]
    return [report, picture, soft, *maps, case.written.file("volumes")]


def learn(maps: Maps, folder: Path, minutes: float, device: str, events: Events) -> list[Path]:
    """Train on the soft tissue maps of the front of the head and evaluate on its back, which training never sees.

    It is one average head: this shows that learning from soft labels works, not how well it would do on other people.
    The back chooses among the trained networks too, so its scores are a little too good.
    """
    from softseg.data import Dataset
    from softseg.demo.pictures import write_comparison
    from softseg.evaluation import evaluate
    from softseg.prediction import predict
    from softseg.training import Recipe, train

    run = folder / "run"
    if (folder / "data" / "DATA.json").is_file():  # an earlier demo's
        shutil.rmtree(run, ignore_errors=True)
    dataset = Dataset.load(write_dataset(maps, folder / "data"))
    recipe = Recipe.load("soft-tree", [f"minutes={minutes:g}", *SETTINGS])
    events.log("training on the front two thirds of one head, evaluated on its back third; not a clinical model")
    model = train(dataset, recipe, run, device=device, events=events)
    back = dataset.case("back")
    scan = back.images["T1"]
    results = predict(model, [scan], folder / "prediction", nodes=["grey-matter"], device=device, events=events)
    found = results[0].written
    evaluate([found.file("soft")], [back.labels], dataset.tree, folder / "evaluation", events, images=[scan])
    probabilities = (
        read_image(folder / "data" / "back_grey-matter.nii.gz"),
        read_image(found.file("node", "grey-matter")),
    )
    picture = write_comparison(read_image(scan), *probabilities, "grey matter", folder / "soft_labels.png")
    return [run / "curves.png", picture, folder / "evaluation" / "report.html", found.file("soft"), model]
