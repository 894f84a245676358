"""The same corrections on dense distributions in double precision: slow and plain, to compare with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from softseg.image import Geometry
from softseg.soft import SoftParcellation
from softseg.tree import LabelTree, Node


@dataclass(frozen=True)
class Said:
    """A correction: these voxels are, or are not, a node."""

    node: str
    voxels: np.ndarray
    is_node: bool


def random_tree(random: np.random.Generator, background: bool, size: int = 14) -> LabelTree:
    """A tree of any shape with up to ``size`` nodes below the root."""
    parents = {"n0": None} | {
        f"n{n}": f"n{int(random.integers(0, n))}" for n in range(1, int(random.integers(2, size)))
    }
    inner = set(parents.values())
    nodes = [Node(id_, id_, parent, value=None if id_ in inner else int(id_[1:])) for id_, parent in parents.items()]
    return LabelTree([*nodes, Node("back", "back", "n0", value=0)] if background else nodes)


def random_parcellation(seed: int, background: bool, spread: float = 0.15) -> SoftParcellation:
    """Few leaves in each voxel, nothing at all in some places, on an anisotropic grid."""
    random = np.random.default_rng(seed)
    tree = random_tree(random, background)
    i, j, k = (int(n) for n in random.integers(1, 7, 3))
    i += 1
    dense = np.moveaxis(random.dirichlet((spread,) * len(tree.leaves), (k, j, i)), -1, 0)
    dense[dense < 0.05] = 0
    dense /= np.maximum(dense.sum(axis=0), 1e-9)
    empty = random.random((k, j, i)) < 0.4
    empty[:, :, : int(random.integers(0, i))] = True
    dense[:, empty] = 0
    if background:
        dense[tree.leaf_index("back"), empty] = 1
    spacing = tuple(float(s) for s in random.choice([0.5, 1.0, 1.3, 3.0], 3))
    geometry = Geometry((i, j, k), (spacing[0], spacing[1], spacing[2]))
    return SoftParcellation.from_dense(dense.astype(np.float32), tree, geometry)


def random_corrections(parcellation: SoftParcellation, seed: int, most: int = 5) -> list[Said]:
    """Some scribbles at any depth that overlap; few say something of no voxel."""
    random = np.random.default_rng(seed + 1)
    tree, shape = parcellation.tree, parcellation.geometry.shape
    out = []
    for _ in range(int(random.integers(1, most + 1))):
        node = tree.nodes[int(random.integers(0, len(tree.nodes)))].id
        is_node = bool(random.random() < 0.7) or len(tree.leaves_under(node)) == len(tree.leaves)
        out.append(Said(node, random.random(shape) < random.choice([0.1, 0.5]), is_node))
    return out


def apply(parcellation: SoftParcellation, said: list[Said]) -> SoftParcellation:
    """Say all of it."""
    for one in said:
        parcellation = parcellation.corrected(one.node, one.voxels, is_node=one.is_node)
    return parcellation


def dense_of(parcellation: SoftParcellation) -> np.ndarray:
    """The stored probability of every leaf: float64 ``(C, k, j, i)``."""
    steps = [np.rint(parcellation.probability(leaf.id) * 255) for leaf in parcellation.tree.leaves]
    return np.stack(steps).astype(np.float64) / 255


def reference(parcellation: SoftParcellation, said: list[Said]) -> np.ndarray:
    """What the corrections make of it, voxel by voxel: float64 ``(C, k, j, i)``."""
    own = dense_of(parcellation)
    now, possible = own.copy(), np.ones(own.shape, bool)
    for one in said:
        now = _conditioned(parcellation, own, now, possible, one)
    return now


def _conditioned(
    parcellation: SoftParcellation, own: np.ndarray, now: np.ndarray, possible: np.ndarray, said: Said
) -> np.ndarray:
    tree = parcellation.tree
    meant = np.array([(leaf in tree.leaves_under(said.node)) == said.is_node for leaf in tree.leaves])
    spacing = np.array(parcellation.geometry.spacing_kji)
    out = now.copy()
    for voxel in map(tuple, np.argwhere(said.voxels)):
        allowed = meant & possible[(slice(None), *voxel)]
        allowed = allowed if allowed.any() else meant
        possible[(slice(None), *voxel)] = allowed
        mass = now[allowed].sum(axis=0)
        there = np.argwhere(mass > 1e-12)
        if mass[voxel] > 1e-12:
            source = now[(slice(None), *voxel)]
        elif own[(allowed, *voxel)].sum() > 1e-12:
            source = own[(slice(None), *voxel)]
        elif len(there):
            squares = (((there - voxel) * spacing) ** 2).sum(axis=1)
            source = now[(slice(None), *there[np.flatnonzero(squares <= squares.min() + 1e-9)[0]])]
        elif not said.is_node and parcellation.background is not None and allowed[parcellation.background]:
            source = (np.arange(len(allowed)) == parcellation.background).astype(float)
        else:
            source = allowed.astype(float)
        given = np.where(allowed, source, 0)
        out[(slice(None), *voxel)] = given / given.sum()
    return out


patient = settings(deadline=None)  # the first call loads scipy's search
cases = st.tuples(st.integers(0, 100_000), st.booleans())
