"""Does a correction help? Results corrected by the truth in some places, and what the model learns from them.

    python Testing/studies/corrections.py DATA.json MODEL --corrected a,b,c --others d,e,f --out DIR

Scans ``--corrected`` are predicted and corrected where the largest wrongly labelled connected regions are, as a person
would with a brush: from the voxel deepest inside the region, all voxels within ``--brush`` mm whose true node is that
of the region are said to be it. This is done at each ``--level`` of the tree (``leaves``: the true leaf). Then the
model is fine-tuned from these results alone, and together with ``--with``, and judged on ``--others``, people whom
neither the corrections nor the fine-tuning have seen. Ties are broken by ``--seed``. Tables: ``DIR/corrections.json``.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from softseg import LabelTree, SoftParcellation
from softseg.commands.console import ConsoleSink
from softseg.data import Dataset, import_corrections
from softseg.data.case import Case
from softseg.data.labels import read_labels
from softseg.data.writing import write_dataset
from softseg.evaluation.measure import measure
from softseg.evaluation.probabilities import LabelProbabilities, ParcellationProbabilities
from softseg.evaluation.rows import TreeRows
from softseg.events import Events
from softseg.fine_tuning import fine_tune
from softseg.image import read_image
from softseg.prediction import predict
from softseg.requests.manifest import SOFT
from softseg.soft.labels import SoftLabels


@dataclass(frozen=True)
class Place:
    """A correction: the node, voxels of the wrong region, voxels painted, and how many of these were wrong."""

    node: str
    region: int
    painted: int
    wrong: int


def truth_of(case: Case, dataset: Dataset) -> SoftLabels:
    """Return the labels of a case on the grid of its image."""
    geometry = read_image(case.images[dataset.channels[0]]).geometry
    return read_labels(case, dataset, geometry, lambda image: image.array, lambda _: None)[0]


def regions(
    answer: npt.NDArray[Any], truth: npt.NDArray[Any], count: int, generator: np.random.Generator
) -> list[tuple[int, npt.NDArray[np.bool_]]]:
    """Return the largest connected regions of wrong voxels of one true value, largest first, with that value."""
    wrong, found = (answer != truth) & (truth >= 0), []
    by_value = np.where(wrong, truth + 1, 0)
    for value, box in enumerate(ndimage.find_objects(by_value)):
        if box is None:
            continue
        parts, number = ndimage.label(by_value[box] == value + 1)
        sizes = np.bincount(parts.reshape(-1), minlength=number + 1)[1:]
        largest = np.argsort(-sizes)[:count]
        found += [(int(sizes[part]), generator.random(), value, box, parts == part + 1) for part in largest]
        found = sorted(found, key=lambda one: (-one[0], one[1]))[:count]
    chosen = []
    for _, _, value, box, part in found:
        voxels = np.zeros(truth.shape, bool)
        voxels[box] = part
        chosen.append((value, voxels))
    return chosen


def brush(region: npt.NDArray[np.bool_], radius_mm: float, spacing: tuple[float, ...]) -> npt.NDArray[np.bool_]:
    """Return the voxels within a distance of the voxel that lies deepest inside a region."""
    depth = ndimage.distance_transform_edt(np.pad(region, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    middle = np.unravel_index(int(depth.argmax()), region.shape)
    grids = np.ogrid[tuple(slice(0, size) for size in region.shape)]
    squares = [((grid - at) * mm) ** 2 for grid, at, mm in zip(grids, middle, spacing, strict=True)]
    return np.asarray(sum(squares) <= radius_mm**2)


def corrected(
    result: SoftParcellation, truth: SoftLabels, level: int, count: int, radius_mm: float, seed: int
) -> tuple[SoftParcellation, list[Place]]:
    """Return a result corrected by the truth in some places, at a level of the tree."""
    tree, generator = result.tree, np.random.default_rng(seed)
    cut = tree.cut_at(level)
    position = np.append(cut.position_of_leaf, -1)  # unlabelled stays -1
    known = truth.largest()
    true = position[np.where((known >= 0) & (known < len(tree.leaves)), known, -1)]
    value_at = {value: number for number, value in enumerate(cut.values)}
    labels = result.labels(cut)
    answer = np.vectorize(value_at.get, otypes=[np.int64])(np.unique(labels))[
        np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
    ]
    places = []
    for number, region in regions(answer, true, count, generator):
        painted = brush(region, radius_mm, result.geometry.spacing_kji) & (true == number)
        node = cut.nodes[number].id
        wrong = int((answer[painted] != number).sum())
        places.append(Place(node, int(region.sum()), int(painted.sum()), wrong))
        result = result.corrected(node, painted, author="truth")
    return result, places


def scores(result: SoftParcellation, truth: SoftLabels, tree: LabelTree, file: Path) -> dict[str, float]:
    """Return the mean Dice over the nodes of every level, without background."""
    rows = TreeRows.of(tree)
    probabilities = ParcellationProbabilities(result, tree, file)
    measured = measure(probabilities, LabelProbabilities(truth, result.geometry), rows, Events(), tolerance_mm=None)
    found = {}
    for number, level in enumerate(measured.levels, 1):
        dice = level.overlap.dice
        found[f"dice/level {number}"] = float(dice[np.isfinite(dice) & (level.rows != rows.background)].mean())
    return {**found, "dice/leaves": found[f"dice/level {len(measured.levels)}"]}


def entry(case: Case, split: str) -> dict[str, Any]:
    """Return a case of a dataset as it is written, in another split."""
    return {**{key: value for key, value in vars(case).items() if value is not None}, "split": split}


def level_of(text: str, tree: LabelTree) -> int:
    """Return a level from ``leaves`` or a number."""
    return tree.depth if text == "leaves" else int(text)


def run(asked: argparse.Namespace) -> dict[str, Any]:
    """Predict, correct, fine-tune and judge."""
    dataset, out, events = Dataset.load(asked.data), Path(asked.out), Events(ConsoleSink())
    tree = dataset.tree
    names, others = asked.corrected.split(","), asked.others.split(",")
    channels = dataset.channels
    scans = [",".join(str(dataset.case(name).images[each]) for each in channels) for name in names]
    predicted = predict(asked.model, scans, out / "results", device=asked.device, events=events)
    files = [case.written.file(SOFT) for case in predicted]
    table: dict[str, Any] = {"asked": {key: str(value) for key, value in vars(asked).items()}, "levels": {}}
    judges = write_dataset(
        out / "others.json", "other people", channels, tree, [entry(dataset.case(name), "test") for name in others]
    )
    for text in asked.level:
        level = level_of(text, tree)
        mine: dict[str, Any] = {"cases": {}}
        table["levels"][text] = mine
        results = []
        for name, file in zip(names, files, strict=True):
            truth = truth_of(dataset.case(name), dataset)
            result = SoftParcellation.load(file).predicted
            better, places = corrected(result, truth, level, asked.places, asked.brush, asked.seed)
            results.append(better.save(out / f"corrected-{text}" / f"{name}.soft.npz"))
            mine["cases"][name] = {
                "model": scores(result, truth, tree, file),
                "corrected": scores(better, truth, tree, file),
                "places": [asdict(place) for place in places],
            }
        arms = ("alone", "with") if asked.original else ("alone",)
        save(table, out)
        for arm in arms if asked.taught is None or text in asked.taught else ():
            mixed = judges if arm == "alone" else _both(judges, asked.original, out / "both.json")
            data = import_corrections(
                results, out / f"{text}-{arm}.json", images=scans, original=mixed, opinion_weight=asked.weight
            )
            run_folder = out / f"fine-tuned-{text}-{arm}"
            sets, resume = asked.set or [], run_folder.is_dir()
            fine_tune(
                Dataset.load(data), asked.model, run_folder, sets=sets, device=asked.device, seed=asked.seed,
                resume=resume, events=events,
            )  # fmt: skip
            mine[arm] = json.loads((run_folder / "comparison.json").read_text())
            save(table, out)
        save(table, out)
    return table


def save(table: dict[str, Any], out: Path) -> None:
    """Write what is known so far."""
    (out / "corrections.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def _both(judges: Path, original: str, out: Path) -> Path:
    """Write the training cases of the model's own data beside the cases that judge."""
    own, other = Dataset.load(original), Dataset.load(judges)
    known = {case.id for case in other.cases}
    cases = [entry(case, "train") for case in own.split("train") if case.id not in known]
    return write_dataset(out, own.name, other.channels, other.tree, [*cases, *(entry(c, "test") for c in other.cases)])


def main() -> None:
    """Read the command line and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="DATA.json with the truth of all scans")
    parser.add_argument("model", help="model folder or shipped model")
    parser.add_argument("--corrected", required=True, metavar="ID,ID", help="scans that are corrected")
    parser.add_argument("--others", required=True, metavar="ID,ID", help="scans that judge, of other people")
    parser.add_argument("--out", required=True, metavar="DIR")
    parser.add_argument("--level", action="append", metavar="leaves|N", help="may be repeated")
    parser.add_argument("--taught", action="append", metavar="leaves|N", help="levels that are learned from; all else")
    parser.add_argument("--places", type=int, default=20)
    parser.add_argument("--brush", type=float, default=5.0, metavar="MM", help="radius")
    parser.add_argument("--with", dest="original", metavar="DATA.json", help="the model's own training data")
    parser.add_argument("--weight", type=float, default=None, metavar="W", help="of opinions; ours by default")
    parser.add_argument("--set", action="append", metavar="KEY=VALUE", help="change the recipe of the fine-tuning")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    asked.level = asked.level or ["leaves"]
    table = run(asked)
    for text, mine in table["levels"].items():
        for name, case in mine["cases"].items():
            print(f"{text}: {name}: {case['model']['dice/leaves']:.4f} -> {case['corrected']['dice/leaves']:.4f}")
        for arm in [arm for arm in ("alone", "with") if arm in mine]:
            for score in ("dice/leaves", "soft_dice/leaves"):
                one = mine[arm]["scores"][score]
                print(f"{text}, {arm}: {score} {one['before']:.4f} -> {one['after']:.4f} ({one['people']} people)")


if __name__ == "__main__":
    main()
