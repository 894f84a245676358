"""What a study has to train: one job for each density, variant, seed, fold and group of held-out classes."""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from softseg.data import Dataset
from softseg.data.coarsen import coarsen
from softseg.data.rater_dataset import ALL_SPLITS
from softseg.errors import InputError
from softseg.events import Events
from softseg.files import is_file
from softseg.requests.names import file_name
from softseg.studies.plan.data_specs import StrokesSpec
from softseg.studies.plan.derive import Annotation, rated, write_annotation, write_blocks, write_fold
from softseg.studies.plan.folds import Fold, folds_of
from softseg.studies.plan.study import Study, Variant, model_folder
from softseg.studies.plan.trees import held_out_groups, variant_tree, without
from softseg.texts import read_text
from softseg.tree import LabelTree

WHOLE = "whole"
"""Name of the density without scribbles."""

_FORMAT = 2


@dataclass(frozen=True, eq=False)
class Job:
    """One training and its judgement.

    Attributes
    ----------
    density, variant, seed, fold: of the training.
    held_out: name of the group of classes that it never sees; empty where it sees all.
    held_nodes: ids of these.
    annotation: what it sees of the labels.
    whole: DATA.json with the fold's splits and complete labels, for the judgement.
    data: DATA.json that is trained on; written by :func:`prepare`.
    tree: the study's tree.
    trained: the tree that is trained with.
    origin: a digest of DATA.json and of what the study makes of it for all jobs.
    model: a finished model folder that takes the place of training, or None.
    members: of an ensemble the jobs whose models it is made of; nothing is trained for it.
    """

    density: str
    variant: Variant
    seed: int
    fold: Fold
    held_out: str
    held_nodes: tuple[str, ...]
    annotation: Annotation
    whole: Path
    data: Path
    tree: LabelTree
    trained: LabelTree
    origin: str
    model: Path | None = None
    members: tuple[Job, ...] = ()

    @property
    def name(self) -> str:
        """Unique within the study; the name of its folder."""
        parts = [self.density.replace("%", "pct"), self.variant.name, f"seed-{self.seed}", f"fold-{self.fold.name}"]
        return file_name("_".join([*parts, *([self.held_out] if self.held_out else [])]))

    def digest(self, study: Study) -> str:
        """Return a digest of everything that its result depends on but the version of the program."""
        spec = study.spec
        counted = None if spec.counted is None else spec.counted.connectivity
        judging = [spec.kind, study.labelled_only, spec.surfaces, sorted(spec.scores), spec.voxels, counted]
        return _hash([self.training_digest, self.tree.to_json(), *judging])

    @property
    def training_digest(self) -> str:
        """A digest of what its model depends on, but not how that is evaluated, nor where the study's files lie."""
        return _hash(
            [
                _FORMAT,
                self.variant.recipe.lasting(),  # later versions may have more keys
                self.trained.to_json(),
                self.seed,
                self.fold.parts,
                self.origin,
                None if self.annotation.strokes is None else self.annotation.strokes.model_dump(mode="json"),
                self.held_nodes,
                None if self.model is None else str(self.model),
                *([[member.training_digest for member in self.members]] if self.members else []),
            ]
        )


def _hash(content: list[Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def jobs_of(study: Study, out: Path, events: Events) -> list[Job]:
    """Return all jobs of a study and write the datasets that they train on and are evaluated on.

    Raises
    ------
    InputError: the data does not allow what the study asks for.
    """
    events.stage("datasets")
    dataset = study_dataset(study, out, events)
    folds = _fold_files(study, dataset, out, events)
    groups: list[tuple[str, tuple[str, ...]]] = [("", ())]
    if study.spec.kind == "outliers":
        groups += held_out_groups(dataset.tree, study.spec.inner)
    trees = {variant.name: _learned_tree(variant, dataset.tree, study.path.parent) for variant in study.variants}
    jobs: list[Job] = []
    todo = itertools.product(study.densities, study.spec.seeds, folds, groups, study.variants)
    for strokes, seed, (fold, whole), (group, nodes), variant in todo:
        own = strokes if variant.strokes is None else None if variant.strokes == "whole" else variant.strokes
        annotation = Annotation(own, nodes, seed)
        data = _annotated(whole, annotation, group, events)
        jobs.append(
            Job(
                density=WHOLE if strokes is None else strokes.name,
                variant=variant,
                seed=seed,
                fold=fold,
                held_out=group,
                held_nodes=nodes,
                annotation=annotation,
                whole=whole,
                data=data,
                tree=dataset.tree,
                trained=_without(trees[variant.name], nodes, dataset.tree),
                origin=_origin(study),
                model=_model(variant, fold, seed, group, study.path),
                members=tuple(
                    job
                    for job in jobs[1 - len(study.variants) :]
                    if job.variant.name in variant.members and (job.seed, job.fold) == (seed, fold)
                ),
            )
        )
    return jobs


def _origin(study: Study) -> str:
    """Return a digest of the text of DATA.json and of what is made of the data for all jobs."""
    spec = study.spec
    made = [None if part is None else part.model_dump(mode="json") for part in (spec.coarsen, spec.raters)]
    folds = spec.folds.model_dump(mode="json", exclude={"only"})
    return _hash([read_text(study.data), folds, spec.cases and sorted(spec.cases), *made])


def study_dataset(study: Study, out: Path, events: Events) -> Dataset:
    """Return the study's dataset, with its tree as the recipes learn it: sparse ones know no background.

    Where the study asks for larger voxels they are made first, below ``out``.

    Where recipes with and without background are mixed it keeps the background, and only labelled voxels are evaluated.

    Raises
    ------
    InputError: the dataset is wrong, or a recipe with background would take unlabelled voxels for it.
    """
    dataset = Dataset.load(study.data, None if study.spec.tree is None else _tree(study.spec.tree, study.path))
    _require_known(dataset, [name for ids in study.spec.subgroups.values() for name in ids], study.path)
    if study.spec.cases is not None:
        dataset = _only(dataset, study.spec.cases, study.path)
    dataset = _coarsened(dataset, study, out, events)
    for variant in study.variants:
        partly = variant.strokes != "whole" if variant.strokes else bool(study.spec.strokes)
        if not variant.recipe.sparse and (partly or study.spec.folds.by == "block"):
            raise InputError(
                "scribbles and blocks leave voxels unlabelled; recipes with a background class take them for it",
                file=study.path,
                field=f"variants: {variant.name}",
                hint="set sparse: true",
            )
    background = dataset.tree.background
    if background is not None and all(variant.recipe.sparse for variant in study.variants):
        return dataset.with_tree(dataset.tree.remove(background.id))
    if not study.labelled_only and len({variant.recipe.sparse for variant in study.variants}) > 1:
        raise InputError(
            "variants with and without background can be compared on labelled voxels only",
            file=study.path,
            field="labelled_only",
        )
    return dataset


def _only(dataset: Dataset, cases: list[str], study: Path) -> Dataset:
    known = {case.id for case in dataset.cases}
    if not known >= set(cases):
        missing = min(set(cases) - known)
        raise InputError(f"no case of {dataset.path.name} has the id {missing!r}", file=study, field="cases")
    return replace(dataset, cases=tuple(case for case in dataset.cases if case.id in cases))


def _require_known(dataset: Dataset, ids: list[str], study: Path) -> None:
    known = {name for case in dataset.cases for name in (case.id, case.group)}
    for name in ids:
        if name not in known:
            raise InputError(
                f"{dataset.path.name} has neither a case nor a person {name!r}", file=study, field="subgroups"
            )


def _coarsened(dataset: Dataset, study: Study, out: Path, events: Events) -> Dataset:
    spec = study.spec.coarsen
    if spec is None:
        return dataset
    key = [str(dataset.path), dataset.tree.to_json(), _origin(study)]
    folder = out / "data" / f"coarse-{_digest(key)}"
    if not (folder / "DATA.json").is_file():  # written last
        coarsen(dataset, folder, spec.spacing_ijk, soft=spec.soft, margin_mm=spec.margin_mm, events=events)
    return Dataset.load(folder / "DATA.json", dataset.tree)


def _digest(content: list[Any]) -> str:
    return _hash(content)[:8]


def _tree(wanted: str, study: Path) -> LabelTree:
    from softseg.resources import label_tree_path, list_label_trees

    file = study.parent / wanted
    if not is_file(file) and wanted in list_label_trees():
        file = label_tree_path(wanted)
    return LabelTree.load(file)


def _fold_files(study: Study, dataset: Dataset, out: Path, events: Events) -> list[tuple[Fold, Path]]:
    spec, raters = study.spec.folds, study.spec.raters
    folder = out / "data" / _digest([str(study.data), dataset.tree.to_json(), _origin(study)])
    if spec.by == "block":
        return write_blocks(dataset, spec, folder, events)
    if raters is None:
        return [(fold, write_fold(dataset, fold, folder)) for fold in folds_of(dataset, spec)]
    drawn = rated(dataset, raters, folder / "raters", events)
    own = [split for split in ALL_SPLITS if split not in raters.splits]
    return [(fold, write_fold(drawn, fold, folder, dict.fromkeys(own, dataset))) for fold in folds_of(drawn, spec)]


def _annotated(whole: Path, annotation: Annotation, group: str, events: Events) -> Path:
    if not annotation.changes_labels:
        return whole
    folder = whole.parent.parent / file_name("_".join([_density_folder(annotation), *([group] if group else [])]))
    return write_annotation(Dataset.load(whole), annotation, folder, events)


def _density_folder(annotation: Annotation) -> str:
    strokes: StrokesSpec | None = annotation.strokes
    if strokes is None:
        return WHOLE
    return f"{strokes.name.replace('%', 'pct')}-{strokes.length}-{'-'.join(strokes.splits)}-seed-{annotation.seed}"


def _without(tree: LabelTree, nodes: tuple[str, ...], own: LabelTree) -> LabelTree:
    """Return a variant's tree without what is held out, which the study's tree ``own`` names."""
    return without(tree, [leaf.id for node in nodes for leaf in own.leaves_under(node)]) if nodes else tree


def _learned_tree(variant: Variant, tree: LabelTree, folder: Path) -> LabelTree:
    learned = variant_tree(tree, variant.tree, folder)
    if variant.recipe.sparse and learned.background is not None:
        return learned.remove(learned.background.id)
    return learned


def _model(variant: Variant, fold: Fold, seed: int, group: str, study: Path) -> Path | None:
    if variant.model is None:
        return None
    try:
        name = variant.model.format(fold=fold.name, seed=seed, held_out=group or "all")
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(
            f"{variant.model!r} holds something else in braces than fold, seed and held_out", file=study, field="model"
        ) from error
    folder = model_folder(study.parent / name)
    if not folder.is_dir():
        raise InputError(f"no such model folder: {folder}", file=study, field=f"variants: {variant.name}: model")
    return folder
