"""What is asked of commands that make or change a model: train, calibrate, outliers fit, ensemble."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from softseg.requests.request import Request, argument, device_option, option, out_option

SPLITS = ("train", "val", "test")
"""Parts of a dataset."""


@dataclass(frozen=True)
class TrainRequest(Request):
    """Train a model.

    Attributes
    ----------
    data: the dataset description (DATA.json).
    recipe: name or YAML file; that of the model, changed to fine-tune it, where ``model`` is given.
    out: folder of the run: log, curves, checkpoints, model.
    tree: another label tree than the dataset's.
    sets: ``"key=value"`` texts that change recipe or plan.
    device: ``"auto"``, ``"cpu"`` or ``"cuda:N"``.
    seed: same seed, same data, same CPU: same model.
    resume: go on from the last checkpoint in ``out``.
    model: fine-tune this model folder or shipped model, an ensemble member by member; it stays as it is.
    """

    COMMAND: ClassVar[tuple[str, ...]] = ("train",)

    data: Path = argument("DATA.json", "The dataset description.", kind=Path)
    out: Path = out_option("Folder of this run: log, curves, checkpoints, model.")
    recipe: str | None = option("--recipe", "A recipe's name or a YAML file; not needed with --from.", default=None)
    model: str | None = option("--from", "Fine-tune a copy of this model on DATA.json.", metavar="MODEL", default=None)
    tree: Path | None = option("--tree", "Label tree to use instead of the dataset's.", kind=Path, default=None)
    sets: tuple[str, ...] = option(
        "--set", "Change one value of recipe or plan.", metavar="KEY=VALUE", several=True, default=()
    )
    device: str = device_option()
    seed: int = option("--seed", "Random seed; the same seed, data and CPU give the same model.", kind=int, default=0)
    resume: bool = option("--resume", "Continue from the last checkpoint in --out.", kind=bool, default=False)


@dataclass(frozen=True)
class CalibrateRequest(Request):
    """Find a temperature for each level of the tree on some cases, and store them in a model.

    Attributes
    ----------
    model: a model folder, also an ensemble; calibration.json is written into it.
    data: the dataset description.
    split: the cases that decide.
    test_split: evaluate the result on these too; they do not decide.
    out: folder for reliability plots and their numbers.
    voxels: labelled voxels that are looked at, over all cases.
    device: where the network runs.
    seed: of the choice of voxels.
    """

    COMMAND: ClassVar[tuple[str, ...]] = ("calibrate",)

    model: str = argument("MODEL", "A model folder; calibration.json is written into it.")
    data: Path = argument("DATA.json", "The dataset description.", kind=Path)
    split: str = option("--split", "Cases to fit the temperatures on.", choices=SPLITS, default="val")
    test_split: str | None = option(
        "--test-split", "Cases to test the result on; not used for fitting.", choices=SPLITS, default=None
    )
    out: Path | None = out_option("Folder for the reliability plots and their numbers.", default=None)
    voxels: int = option(
        "--voxels",
        "Number of labelled voxels to sample, over all cases.",
        metavar="N",
        kind=int,
        default=200_000,
    )
    device: str = device_option()
    seed: int = option("--seed", "Seed for voxel sampling.", kind=int, default=0)


@dataclass(frozen=True)
class GuaranteeRequest(Request):
    """Find the probability a label must have so that few are wrong on a new person, and store it in the model.

    Attributes
    ----------
    model: a model folder, also an ensemble; guarantee.json is written into it.
    data: the dataset description.
    split: the people that are asked; none of them may have trained the model.
    predictions: soft parcellations by models that other people trained; by default the model predicts the cases.
    device: where the network runs.
    """

    COMMAND: ClassVar[tuple[str, ...]] = ("guarantee",)

    model: str = argument("MODEL", "A model folder, also an ensemble; guarantee.json is written into it.")
    data: Path = argument("DATA.json", "The dataset description.", kind=Path)
    split: str = option("--split", "People to fit the guarantee on.", choices=SPLITS, default="val")
    predictions: tuple[str, ...] = option(
        "--prediction",
        "Soft parcellation of a case by a model that others trained (cross-validation), or a folder of them; may be"
        " repeated. [default: the model predicts the cases]",
        metavar="PATH",
        several=True,
        default=(),
    )
    device: str = device_option()


@dataclass(frozen=True)
class FitOutliersRequest(Request):
    """Fit an outlier score to a model or an ensemble.

    Attributes
    ----------
    model: a model folder, also an ensemble, or the name of a shipped model.
    data: the dataset that it was trained on.
    score: ``max-softmax``, ``energy``, ``entropy``, ``odin``, ``mahalanobis`` or ``godin``; of an ensemble also
        ``disagreement``.
    most_loss: accuracy on known voxels that it may cost, 0..1.
    tpr: instead: part of the known voxels that stays below the threshold.
    threshold: instead: the threshold itself, in units of the score.
    held_out: branches that the model was not trained on.
    cases: ids of the cases that the threshold is chosen on; validation cases by default.
    sets: ``"key=value"`` options of the score.
    out: a copy of the model is written here; in place by default.
    device: where the network runs.
    """

    COMMAND: ClassVar[tuple[str, ...]] = ("outliers", "fit")

    model: str = argument("MODEL", "A model folder, also an ensemble, or the name of a shipped model.")
    data: Path = argument("DATA.json", "The dataset that it was trained on.", kind=Path)
    score: str = option(
        "--score",
        "max-softmax, energy, entropy, odin, mahalanobis or godin; of an ensemble also disagreement.",
        metavar="NAME",
    )
    most_loss: float = option(
        "--most-loss",
        "Accuracy on known voxels that the threshold may cost, 0..1.",
        metavar="FRACTION",
        kind=float,
        default=0.005,
    )
    tpr: float | None = option(
        "--tpr",
        "Instead: fraction of known voxels below the threshold.",
        metavar="FRACTION",
        kind=float,
        default=None,
    )
    threshold: float | None = option(
        "--threshold", "Instead: the threshold, in units of the score.", kind=float, default=None
    )
    held_out: tuple[str, ...] = option(
        "--held-out",
        "Branch that the model was not trained on; may be repeated.",
        metavar="ID",
        several=True,
        listed=True,
        default=(),
    )
    cases: tuple[str, ...] = option(
        "--cases",
        "Case to choose the threshold on; may be repeated. [default: validation cases]",
        metavar="ID",
        several=True,
        listed=True,
        default=(),
    )
    sets: tuple[str, ...] = option(
        "--set", "An option of the score, such as temperature=2.", metavar="KEY=VALUE", several=True, default=()
    )
    out: Path | None = out_option("Write a copy of the model. [default: in place]", "MODEL2", default=None)
    device: str = device_option()


@dataclass(frozen=True)
class EnsembleRequest(Request):
    """Put several models into one folder that predicts their mean.

    Attributes
    ----------
    models: two or more model folders or names of shipped models.
    out: the model folder to write.
    name: of the ensemble; that of the folder by default.
    description: for its card.
    """

    COMMAND: ClassVar[tuple[str, ...]] = ("ensemble",)

    models: tuple[str, ...] = argument("MODEL...", "Model folders or shipped models, two or more.", several=True)
    out: Path = out_option("The model folder to write.", "DIR")
    name: str | None = option("--name", "Its name. [default: that of the folder]", default=None)
    description: str | None = option("--description", "For its card.", default=None)
