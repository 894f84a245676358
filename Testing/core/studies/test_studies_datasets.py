"""The datasets of a study on disk: what is painted, what is held out, which tree is learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from softseg.data import Dataset
from softseg.data.cubes import read_label_map
from softseg.errors import InputError
from softseg.events import Events
from softseg.image import read_image
from softseg.studies import Study
from softseg.studies.plan.data_specs import StrokesSpec
from softseg.studies.plan.derive import Annotation, write_annotation, write_blocks, write_fold
from softseg.studies.plan.folds import folds_of
from softseg.studies.plan.jobs import jobs_of, study_dataset
from softseg.studies.plan.study_file import FoldSpec
from softseg.studies.plan.trees import held_out_groups, variant_tree, without
from softseg.tree import LabelTree, Node

StudyFile = Callable[..., Path]


def maps(data: Dataset) -> dict[str, np.ndarray]:
    return {case.id: read_label_map(case.labels).array for case in data.cases}


def test_a_fold_changes_splits_and_nothing_else(fields: Dataset, tmp_path: Path) -> None:
    for fold in folds_of(fields, FoldSpec(by="person", count=2)):
        written = Dataset.load(write_fold(fields, fold, tmp_path))
        assert {case.id: case.split for case in written.cases} == fold.parts
        for case, before in zip(written.cases, fields.cases, strict=True):
            assert (case.images, case.labels) == (before.images, before.labels)
        assert written.tree == fields.tree


def test_strokes_and_held_out_classes(fields: Dataset, tmp_path: Path) -> None:
    annotation = Annotation(StrokesSpec(share=0.2), ("corn",), seed=1)
    file = write_annotation(fields, annotation, tmp_path / "strokes", Events())
    written = Dataset.load(file)
    assert [leaf.id for leaf in written.tree.leaves] == ["wheat", "oak", "pine"]
    whole = maps(fields)
    for case in written.cases:
        labels, before = read_label_map(case.labels).array, whole[case.id]
        if case.split == "test":
            assert np.array_equal(labels, before)
            continue
        assert not (labels == 1).any()
        assert (labels[labels > 0] == before[labels > 0]).all()
        for value in (2, 3, 4):
            part = (labels == value).sum() / (before == value).sum()
            assert part == (pytest.approx(0.2, abs=0.05) if case.split == "train" else 1)
    stamp = file.stat().st_mtime_ns
    assert write_annotation(fields, annotation, tmp_path / "strokes", Events()) == file
    assert file.stat().st_mtime_ns == stamp


def test_blocks_of_one_image_become_cases(fields: Dataset, tmp_path: Path) -> None:
    spec = FoldSpec(by="block", count=3, block=4, margin=1, splits=["train"])
    whole = maps(fields)
    tested = {case.id: np.zeros_like(whole[case.id]) for case in fields.split("train")}
    for fold, file in write_blocks(fields, spec, tmp_path, Events()):
        written = Dataset.load(file)
        assert len(written.cases) == 6
        for case in written.cases:
            source, part = case.id.rsplit(".", 1)
            labels = read_label_map(case.labels).array
            assert (case.split, fold.parts[case.id]) == (part, part)
            assert (labels[labels > 0] == whole[source][labels > 0]).all()
            if part == "test":
                tested[source] += labels
    for name, labels in tested.items():
        assert np.array_equal(labels, whole[name]), "over all folds every labelled voxel is tested once"


def test_no_label_left_is_said(fields: Dataset, tmp_path: Path) -> None:
    everything = ("crops", "oak")  # pine alone would be left
    with pytest.raises(InputError, match="fewer than two classes"):
        write_annotation(fields, Annotation(None, everything), tmp_path / "none", Events())
    with pytest.raises(InputError, match="no labelled voxel"):
        write_blocks(fields, FoldSpec(by="block", count=2, block=24), tmp_path, Events())


def test_trees_of_variants(fields_tree: LabelTree, resources: Path) -> None:
    flat = variant_tree(fields_tree, "flat", Path())
    assert flat.depth == 1
    assert [leaf.id for leaf in flat.leaves] == [leaf.id for leaf in fields_tree.leaves]
    brain = LabelTree.load(resources / "LabelTrees" / "brain-134.json")
    control = variant_tree(brain, "random:3", Path())
    assert sorted(leaf.id for leaf in control.leaves) == sorted(leaf.id for leaf in brain.leaves)
    assert [leaf.id for leaf in control.leaves] != [leaf.id for leaf in brain.leaves]
    assert control.background == brain.background
    shape = [sorted(control.depth_of(leaf.id) for leaf in tree.leaves) for tree in (control,)]
    assert shape == [sorted(brain.depth_of(leaf.id) for leaf in brain.leaves)]
    assert {leaf.id: leaf.value for leaf in control.leaves} == {leaf.id: leaf.value for leaf in brain.leaves}
    assert variant_tree(brain, "brain-134-side-first", Path()).name != brain.name
    with pytest.raises(InputError, match="other leaves"):
        variant_tree(fields_tree, "brain-134", Path())
    with pytest.raises(InputError, match="random:SEED"):
        variant_tree(fields_tree, "random:x", Path())


def test_groups_of_held_out_classes(fields_tree: LabelTree) -> None:
    assert held_out_groups(fields_tree, 2) == [("group-0", ("corn", "oak")), ("group-1", ("wheat", "pine"))]
    assert held_out_groups(fields_tree, [["crops"], ["oak", "corn"]]) == [
        ("crops", ("crops",)),
        ("oak+corn", ("oak", "corn")),
    ]
    pruned = without(fields_tree, ["woods"])
    assert [node.id for node in pruned.nodes] == ["land", "crops", "corn", "wheat"]
    for wrong, text in ((3, "cannot be dealt"), ([["land"]], "cannot be held out"), ([["oaks"]], "oaks")):
        with pytest.raises(InputError, match=text):
            held_out_groups(fields_tree, wrong)


def test_jobs_and_their_trees(study_file: StudyFile, tmp_path: Path) -> None:
    study = Study.load(study_file(kind="outliers", inner=2, seeds=[0, 1], strokes=[{"share": 0.1}, {"share": 0.5}]))
    jobs = jobs_of(study, tmp_path, Events())
    assert len(jobs) == len({job.name for job in jobs}) == 2 * 2 * 2 * 3
    held = next(job for job in jobs if job.held_out == "group-1")
    assert [leaf.id for leaf in held.trained.leaves] == ["corn", "oak"]
    assert [leaf.id for leaf in held.tree.leaves] == ["corn", "wheat", "oak", "pine"]
    assert Dataset.load(held.data).tree == held.trained
    painted = {(job.density, job.seed): job.data for job in jobs if not job.held_out}
    assert len(set(painted.values())) == 4, "strokes are painted again for each density and seed"
    assert [job.digest(study) for job in jobs] == [job.digest(study) for job in jobs_of(study, tmp_path, Events())]
    assert len({job.digest(study) for job in jobs}) == len(jobs)


def test_background_and_strokes_do_not_mix(study_file: StudyFile, fields: Dataset, tmp_path: Path) -> None:
    background = Node(id="background", name="background", parent="land", value=0)
    fields.tree.with_nodes([fields.tree.nodes[0], background, *fields.tree.nodes[1:]]).save(tmp_path / "tree.json")
    plain = {"name": "plain", "recipe": "tree-ce"}
    with pytest.raises(InputError, match="recipes with a background class"):
        study_dataset(
            Study.load(study_file(tree="tree.json", variants=[plain], strokes=[{"share": 0.1}])), tmp_path, Events()
        )
    sparse = {"name": "sparse", "recipe": "sparse", "strokes": {"per_structure": 2}}
    mixed = Study.load(study_file(tree="tree.json", variants=[plain, sparse]))
    assert mixed.labelled_only
    jobs = jobs_of(mixed, tmp_path / "out", Events())
    assert [job.trained.background is None for job in jobs] == [False, True]
    assert all(job.tree.background is not None for job in jobs)
    assert jobs[0].data == jobs[0].whole != jobs[1].data
    with pytest.raises(InputError, match="labelled voxels only"):
        study_dataset(
            Study.load(study_file(tree="tree.json", variants=[plain, sparse], labelled_only=False)), tmp_path, Events()
        )


def test_a_study_may_ask_for_larger_voxels(study_file: StudyFile, fields: Dataset, tmp_path: Path) -> None:
    study = Study.load(study_file(coarsen={"spacing": [2, 2, 0]}))
    jobs = jobs_of(study, tmp_path, Events())
    coarse = Dataset.load(jobs[0].whole)
    made = {case.id: Path(case.labels).stat().st_mtime_ns for case in coarse.cases}
    for case, fine in zip(coarse.cases, fields.cases, strict=True):
        assert read_image(case.labels).geometry.size == (12, 12, 1)
        assert case.group == fine.group
    again = jobs_of(study, tmp_path, Events())
    assert [job.digest(study) for job in again] == [job.digest(study) for job in jobs]
    assert {case.id: Path(case.labels).stat().st_mtime_ns for case in Dataset.load(again[0].whole).cases} == made
    other = jobs_of(Study.load(study_file(coarsen={"spacing": 2})), tmp_path, Events())
    assert other[0].whole != jobs[0].whole
