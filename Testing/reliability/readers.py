"""Damaged files through the readers themselves, many a second: whatever comes in, an error is a plain one with a file.

    python Testing/reliability/readers.py [--trials N] [--seed S]

Each reader of a format is called in this process on a file that a seeded mutation damaged. It may return something or
raise a :class:`~softseg.errors.SoftSegError` for bad input or too little memory that names a file of the folder.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import world
from mutations import mutations_for

SLOW, FAT = 2.0, 300 << 20


@dataclass(frozen=True)
class Reader:
    """What reads which files of the world.

    Attributes
    ----------
    read: is given the damaged file's path in a copy of the world.
    files: names, separated by blanks; those of a folder are its files.
    """

    read: Callable[[Path], Any]
    files: str


def readers() -> dict[str, Reader]:
    """Return every reader by name."""
    from softseg.data import Dataset, Plan
    from softseg.data.cubes import read_channel
    from softseg.ensemble_file import EnsembleFile
    from softseg.evaluation.pairs_table import read_pairs
    from softseg.image import read_image
    from softseg.network import ModelFolder, read_weights
    from softseg.prediction.model_summary import ModelSummary
    from softseg.soft import SoftParcellation
    from softseg.studies.plan.study import Study
    from softseg.training import Recipe
    from softseg.tree import LabelTree

    trees = " ".join(("tree.json", *world.TREE_FILES))
    images = "plain.nii scan0.nii.gz packed.nrrd apart.nhdr meta.mha apart.mhd volume.mgz second.nii pair.hdr"
    return {
        "tree": Reader(LabelTree.load, trees),
        "image": Reader(read_image, images),
        "labels": Reader(lambda file: read_image(file, labels=True), "labels0.nii.gz"),
        "channel": Reader(read_channel, "cube.hdr cube.img bands.npz pages.tiff picture.png second.nii"),
        "parcellation": Reader(SoftParcellation.load, "result.soft.npz corrected.soft.npz"),
        "dataset": Reader(Dataset.load, "DATA.json"),
        "dataset-tree": Reader(lambda file: Dataset.load(file.parent / "DATA.json"), "tree.json"),
        "plan": Reader(Plan.load, "run/plan.json"),
        "recipe": Reader(Recipe.load, "recipe.yaml run/recipe.yaml"),
        "study": Reader(Study.load, "STUDY.yaml"),
        "weights": Reader(read_weights, "complete/models/model.pt complete/models/outliers.pt run/checkpoints/last.pt"),
        "model": Reader(lambda file: ModelFolder.load(_above(file, "complete")), "complete"),
        "summary": Reader(lambda file: ModelSummary.load(_above(file, "complete")), "complete"),
        "ensemble": Reader(lambda file: EnsembleFile.load(file.parent), "joint/ensemble.json"),
        "pairs": Reader(read_pairs, "pairs.csv"),
    }


def _above(file: Path, name: str) -> Path:
    return next(parent for parent in file.parents if parent.name == name)


def fault_of(reader: Reader, file: Path, folder: Path) -> str:
    """Call a reader and return what is wrong with how it ended; empty where nothing is."""
    from softseg.errors import SoftSegError

    tracemalloc.start()
    began = time.process_time()
    try:
        reader.read(file)
    except SoftSegError as error:
        if error.exit_code not in (2, 3):
            return f"exit {error.exit_code}: {error}"
        if not error.file or not any(part in str(error.file) for part in (file.name, folder.name)):
            return f"no file named: {type(error).__name__}: {error}"
        if len(str(error)) > 3000:
            return f"long message: {str(error)[:100]}"
    except Exception as error:  # noqa: BLE001 - what escapes is what is looked for
        return f"{type(error).__name__}: {str(error)[:300]}"
    finally:
        peak, seconds = tracemalloc.get_traced_memory()[1], time.process_time() - began
        tracemalloc.stop()
    if seconds > SLOW:
        return f"took {seconds:.1f} s"
    return f"took {peak >> 20} MB" if peak > FAT else ""


def _files(folder: Path, reader: Reader) -> list[Path]:
    places = [folder / name for name in reader.files.split()]
    inner = [path for place in places if place.is_dir() for path in sorted(place.rglob("*")) if path.is_file()]
    return [*(place for place in places if place.is_file()), *inner]


def run(good: Path, folder: Path, trials: int, seed: int, only: str | None = None) -> list[str]:
    """Run trials on damaged copies of files of the world ``good`` in ``folder``, and return their faults."""
    every = readers()
    names = [only] if only else list(every)
    weights = [len(every[name].files.split()) for name in names]
    shutil.copytree(good, folder)
    for name in names:  # what is loaded at the first call is no reader's time
        fault_of(every[name], _files(folder, every[name])[0], folder)
    found = []
    for number in range(trials):
        rng = random.Random(f"readers-{seed}-{number}")
        name = rng.choices(names, weights)[0]
        place = rng.choice(_files(folder, every[name]))
        mutation = rng.choice(mutations_for(place.name))
        whole = place.read_bytes()
        try:
            place.write_bytes(mutation(whole, rng))
            fault = fault_of(every[name], place, folder)
        finally:
            place.write_bytes(whole)
        if fault:
            found.append(f"{number}: {name} {place.relative_to(folder)} ({mutation.__name__}): {fault}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run trials; 1 when one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="one reader")
    parser.add_argument("--world", type=Path, help="folder of the valid files; built where it is missing")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="softseg-readers-") as temporary:
        good = Path(temporary) / "world" if options.world is None else options.world.absolute()
        if not good.is_dir():
            world.build(good)
        found = run(good, Path(temporary) / "damaged", options.trials, options.seed, options.only)
    for fault in found:
        print(fault)
    kinds = Counter(fault.split(": ", 2)[2].split(":")[0] for fault in found)
    print(f"{options.trials} trials, {len(found)} faults", *(f"  {kind}: {count}" for kind, count in kinds.items()))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
