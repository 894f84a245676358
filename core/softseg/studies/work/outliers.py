"""A job of ``kind: outliers``: answers and scores of labelled voxels, from which thresholds are chosen later.

Nothing is decided here. Voxels of the validation part choose thresholds, voxels of the test part evaluate them
(:mod:`softseg.studies.findings.thresholds`); both are kept, as they are, on the plan's grid.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from softseg.data import Case, CaseStore, Dataset, PreparedCase
from softseg.evaluation.rows import BLOCK_VOXELS, TreeRows
from softseg.events import Events
from softseg.network import Model
from softseg.studies.plan.jobs import Job
from softseg.studies.plan.study import Study
from softseg.studies.work.scoring import estimated_scores, scored
from softseg.studies.work.voxels import HELD_OUT, INSIDE, UNTRAINED, JudgedVoxels
from softseg.system import resolve_device
from softseg.tree import LabelTree
from softseg.types import FloatArray

Rows = npt.NDArray[np.intp]


def collect(
    study: Study, job: Job, model: Model, cache: Path, device: str, events: Events
) -> tuple[JudgedVoxels, list[Case], list[str]]:
    """Return the evaluated voxels of a trained model, their cases, and the scores that they have.

    Parameters
    ----------
    study, job: what is evaluated.
    model: the trained model.
    cache: folder of prepared cases.
    device: as the command line has it.
    events: progress, warnings; cancelling.
    """
    whole = Dataset.load(job.whole, job.tree)
    trained = Dataset.load(job.data, job.trained)
    cases = [case for case in whole.cases if case.split != "train"]
    store = CaseStore(whole, model.plan, cache)
    learned = trained_nodes(CaseStore(trained, model.plan, cache), [case.id for case in trained.split("train")], job)
    chosen = resolve_device(device, events)
    fitted = estimated_scores(model, trained, study.spec.scores, cache, chosen, events)
    parts = []
    for number, case in enumerate(cases):
        prepared = store.load(case.id)
        probabilities, scores = scored(model, fitted, prepared, chosen, events)
        tested = case.split == "test"
        parts.append(case_voxels(prepared, number, tested, probabilities, scores, model, job, learned, study))
        events.progress(number + 1, len(cases))
    return JudgedVoxels.joined(parts), cases, [one.score for one in fitted]


def trained_nodes(store: CaseStore, case_ids: Sequence[str], job: Job) -> set[str]:
    """Return the ids of the nodes that a training voxel is labelled with, and of all above them."""
    nodes = job.trained.class_nodes
    labelled = {nodes[index].id for name in case_ids for index in store.load(name).class_voxels}
    return {above.id for node in labelled for above in job.tree.path(node)}


def case_voxels(
    case: PreparedCase,
    number: int,
    tested: bool,
    probabilities: FloatArray,
    scores: FloatArray,
    model: Model,
    job: Job,
    learned: set[str],
    study: Study,
) -> JudgedVoxels:
    """Return the evaluated voxels of one case.

    Parameters
    ----------
    case: with complete labels, in classes of the study's tree.
    number: its position among the cases.
    tested: whether it is in the test part.
    probabilities: of the model's leaves, ``[C, k, j, i]``.
    scores: ``[scores, k, j, i]``.
    model, job, learned, study: whose.
    """
    rows = TreeRows.of(job.tree)
    labels = case.labels.largest().astype(np.int64)
    if case.mask is not None:
        labels = np.where(case.mask, labels, -1)
    flat = labels.ravel()
    places = _sample(np.flatnonzero(flat >= 0), study.spec.voxels, case.id)
    truth_row = rows.row_of_class[flat[places]]
    answer, share = _answers(probabilities, places, model.tree, rows)
    state = _states(job, learned)[truth_row]
    return JudgedVoxels(
        case=np.full(places.size, number, np.uint16),
        tested=np.full(places.size, tested),
        state=state,
        truth=_ancestors(job.tree, rows)[:, truth_row],
        answer=answer,
        share=share,
        scores=scores.reshape(len(scores), -1)[:, places].astype(np.float32),
    )


def _sample(places: Rows, most: int, case: str) -> Rows:
    """Return at most so many places, the same for every training that evaluates this case."""
    if places.size <= most:
        return places
    seed = int.from_bytes(hashlib.sha256(case.encode()).digest()[:8], "big")
    return np.sort(np.random.default_rng(seed).choice(places, most, replace=False))


def _answers(
    probabilities: FloatArray, places: Rows, trained: LabelTree, rows: TreeRows
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32]]:
    """Return per level the node with the largest summed probability, and this probability: ``[levels, n]`` each."""
    own = np.array([rows.tree.leaf_index(leaf.id) for leaf in trained.leaves])
    flat = probabilities.reshape(len(probabilities), -1)
    answer = np.empty((len(rows.levels), places.size), np.int16)
    share = np.empty((len(rows.levels), places.size), np.float32)
    for first in range(0, places.size, BLOCK_VOXELS):
        part = slice(first, first + BLOCK_VOXELS)
        leaves = np.zeros((len(rows.leaves), places[part].size), np.float32)
        leaves[own] = flat[:, places[part]]
        nodes = rows.from_leaves(leaves)
        for level, cut in enumerate(rows.levels):
            best = nodes[cut].argmax(axis=0)
            answer[level, part] = cut[best]
            share[level, part] = nodes[cut[best], np.arange(best.size)]
    return answer, share


def _ancestors(tree: LabelTree, rows: TreeRows) -> npt.NDArray[np.int16]:
    """Return ``[levels, V]``: each node's ancestor (or itself) in the cut of each level, -1 where it lies above."""
    table = np.full((len(rows.levels), rows.count), -1, np.int16)
    for level, cut in enumerate(rows.levels):
        for row in cut:
            for below in tree.branch(tree.nodes[row].id):
                table[level, tree.position(below.id)] = row
    return table


def _states(job: Job, learned: set[str]) -> npt.NDArray[np.uint8]:
    """Return ``[V]``: what each node of the study's tree was to the training."""
    held = {below.id for node in job.held_nodes for below in job.tree.branch(node)}

    def state(node: str) -> int:
        if node in held:
            return HELD_OUT
        return INSIDE if node in learned or any(below.id in learned for below in job.tree.branch(node)) else UNTRAINED

    return np.array([state(node.id) for node in job.tree.nodes], np.uint8)
