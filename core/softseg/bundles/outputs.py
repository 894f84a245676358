"""What the output channels of a bundle mean on a label tree; numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from softseg.errors import InputError
from softseg.exchange.assignment import assign, flat_assignment, flat_tree
from softseg.exchange.source import NamedMaps, ProbabilityMap
from softseg.nnunet.regions import Regions
from softseg.tree import LabelTree
from softseg.tree.matching import Item, match_items
from softseg.tree.names import is_background
from softseg.types import FloatArray

_OVERLAP = 0.01
"""Part of the labelled voxels in which two channels may both be at least one half before they count as overlapping."""


@dataclass(frozen=True)
class BundleOutputs:
    """Channels on a tree.

    Attributes
    ----------
    tree: the label tree.
    names: of the channels.
    leaves: leaf index of each channel, or of each part of regions; None for a channel that is left out.
    single: whether each channel says by itself how probable it is (sigmoid); else they share what there is (softmax).
    regions: where channels are nodes of the tree that lie in each other.
    """

    tree: LabelTree
    names: tuple[str, ...]
    leaves: tuple[int | None, ...]
    single: bool
    regions: Regions | None = None

    @staticmethod
    def of(metadata: Mapping[str, Any], file: Path, name: str, single: bool, asked: LabelTree | None) -> BundleOutputs:
        """Return what the channels mean: leaves of ``asked``, found by name, else of a flat tree of their names.

        Parameters
        ----------
        metadata: the contents of ``metadata.json``.
        file: the file.
        name: of a tree that is made.
        single: see above; such channels may also be inner nodes of ``asked``.
        asked: a tree that a person names.

        Raises
        ------
        InputError: the channels are not listed, or are not those of the tree.
        """
        names = channel_names(metadata, "outputs", file)
        first = 0 if not single and is_background(names[0]) else 1
        maps = tuple(ProbabilityMap(one, None if is_background(one) else n) for n, one in enumerate(names, first))
        maps = tuple(replace(one, value=0) if is_background(one.name) else one for one in maps)
        named = NamedMaps(file, maps)
        if asked is None:
            return BundleOutputs(flat_tree(named, name), names, tuple(flat_assignment(named)), single)
        if single:
            return _of_nodes(asked, names, file)
        try:
            # numbers of channels are no label values of another tree
            found = assign(NamedMaps(file, tuple(replace(one, value=None) for one in maps)), asked, {})
        except InputError as error:
            hint = "name a tree whose leaves are these channels, or leave --tree out"
            raise InputError(error.message, file=file, field=_FIELD.format("outputs"), hint=hint) from error
        return BundleOutputs(asked, names, tuple(found), single=False)

    def require_apart(self, probabilities: FloatArray, file: Path) -> None:
        """Refuse channels beside each other that overlap: they would have to lie in each other on a tree.

        Raises
        ------
        InputError: they do.
        """
        if not self.single or self.regions is not None:
            return
        likely = [channel >= 0.5 for channel in probabilities]
        labelled = int(np.count_nonzero(np.any(likely, axis=0)))
        for n, one in enumerate(likely):
            for m in range(n + 1, len(likely)):
                if np.count_nonzero(one & likely[m]) > _OVERLAP * labelled:
                    raise InputError(
                        f"the channels {self.names[n]!r} and {self.names[m]!r} overlap",
                        file=file,
                        field=_FIELD.format("outputs"),
                        hint="name a tree in which one is a node above the other, with --tree",
                    )

    def to_leaves(self, probabilities: FloatArray) -> tuple[FloatArray, float]:
        """Return the probabilities of the leaves ``[leaves, ...]`` of ``[channels, ...]``, float32.

        What is left of 1 is background, where the tree has one: around a crop, and beside single channels. Single
        channels that exceed 1 together are divided by their sum; the second is by how much they did at most, or by how
        much nodes contradicted each other.
        """
        most = 0.0
        if self.regions is not None:
            probabilities, most = self.regions.split(probabilities)
        found = np.zeros((len(self.tree.leaves), *probabilities.shape[1:]), np.float32)
        for position, leaf in enumerate(self.leaves):
            if leaf is not None:
                found[leaf] += probabilities[position]
        total = found.sum(axis=0)
        if self.single and self.regions is None:
            most = float((total - 1).max(initial=0))
            found /= np.maximum(total, 1)
            total = np.minimum(total, 1)
        background = self.tree.background
        if background is not None:
            found[self.tree.leaf_index(background.id)] += np.maximum(1 - total, 0)
        return found, most


_FIELD = "network_data_format.{}"


def channel_names(metadata: Mapping[str, Any], which: str, file: Path) -> tuple[str, ...]:
    """Return the names of a bundle's ``inputs`` or ``outputs``, in order.

    Raises
    ------
    InputError: they are not numbered 0, 1, 2 ..., or nothing says how many there are.
    """
    data = metadata.get("network_data_format")
    formats = data.get(which) if isinstance(data, dict) else None
    one = next(iter(formats.values()), None) if isinstance(formats, dict) else None
    if not isinstance(one, dict):
        raise InputError("describes none", file=file, field=_FIELD.format(which))
    listed, count = one.get("channel_def"), one.get("num_channels")
    if isinstance(listed, dict) and listed:
        if sorted(listed) != sorted(map(str, range(len(listed)))):
            raise InputError("expected channels 0, 1, 2 ...", file=file, field=f"{_FIELD.format(which)}.channel_def")
        return _different([str(listed[str(n)]) for n in range(len(listed))])
    if type(count) is not int or not 0 < count < 10_000:
        raise InputError("expected channel_def or num_channels", file=file, field=_FIELD.format(which))
    return ("image",) if which == "inputs" and count == 1 else tuple(f"class {n}" for n in range(count))


def _different(names: Sequence[str]) -> tuple[str, ...]:
    titles = [name.strip() or f"channel {n}" for n, name in enumerate(names)]
    return tuple(name if titles.count(name) == 1 else f"{name} {n}" for n, name in enumerate(titles))


def _of_nodes(tree: LabelTree, names: tuple[str, ...], file: Path) -> BundleOutputs:
    """Return channels that are nodes of a tree; what a node holds beyond the others in it is a leaf of its own."""
    matching = match_items([Item(n, name) for n, name in enumerate(names)], tree)
    nodes = {int(str(match.item.key)): match.node for match in matching.matches if match.node is not None}
    lost = [name for n, name in enumerate(names) if n not in nodes]
    if lost:
        raise InputError(
            f"no node of the tree {tree.name!r} is {lost[0]!r}",
            file=file,
            field=_FIELD.format("outputs"),
            hint="name a tree whose nodes are these channels, or leave --tree out",
        )
    sets = {}
    for n, name in enumerate(names):
        span = tree.leaf_slice(nodes[n].id)
        sets[name] = frozenset(range(span.start + 1, span.stop + 1))  # leaf indices; 0 is the background
    regions = Regions.of(sets, list(range(1, len(names) + 1)), file)
    leaves: list[int | None] = [None]  # what is in no region; to_leaves gives it to the background
    for region in regions.regions:
        if len(region.rest) > 1:
            raise InputError(
                f"nothing tells the parts of {region.name!r} apart",
                file=file,
                field=_FIELD.format("outputs"),
                hint="name a tree in which it is a leaf, or has one leaf beside the other channels",
            )
        leaves += [next(iter(region.rest)) - 1] if region.rest else []
    return BundleOutputs(tree, names, tuple(leaves), single=True, regions=regions)
