"""Regions of nnU-Net, which overlap, as parts that do not: nested regions become nodes of a tree.

A network of regions says for each of them by itself how probable it is. The parts are what a region holds beyond the
regions inside of it, and the background. A region is at least as probable as those inside of it together (ours; where
they say otherwise the inner ones are believed, as nnU-Net lets them overwrite the outer ones), and where regions beside
each other exceed 1 together they are divided by their sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from softseg.errors import InputError
from softseg.exchange.source import ProbabilityMap
from softseg.tree import LabelTree, Node
from softseg.tree.formats.source import unique_id
from softseg.types import FloatArray


@dataclass(frozen=True)
class TrainedRegion:
    """One of the regions.

    Attributes
    ----------
    name: its name.
    channel: of the network.
    value: that nnU-Net writes for it.
    inside: positions of the regions directly inside of it.
    rest: label values that it holds beyond these; empty where they fill it.
    """

    name: str
    channel: int
    value: int
    inside: tuple[int, ...]
    rest: frozenset[int]


@dataclass(frozen=True)
class Regions:
    """All regions of a model, outer ones first.

    Attributes
    ----------
    regions: the regions; positions refer to them.
    outer: positions of those that lie in no other.
    """

    regions: tuple[TrainedRegion, ...]
    outer: tuple[int, ...]

    @staticmethod
    def of(labels: Mapping[str, int | frozenset[int]], order: object, file: Path) -> Regions:
        """Return the regions that ``dataset.json`` lists, without background and ignore.

        Parameters
        ----------
        labels: values of each, in the order of the channels.
        order: the field ``regions_class_order``: the value that is written for each.
        file: for messages.

        Raises
        ------
        InputError: regions overlap without nesting, two are the same, or the order does not fit.
        """
        sets = {name: frozenset([value]) if isinstance(value, int) else value for name, value in labels.items()}
        if not isinstance(order, list) or len(order) != len(sets) or not all(type(value) is int for value in order):
            raise InputError(f"expected {len(sets)} label values", file=file, field="regions_class_order")
        written = dict(zip(sets, order, strict=True))
        names = sorted(sets, key=lambda name: -len(sets[name]))
        for place, one in enumerate(names):
            for other in names[place + 1 :]:
                if sets[one] == sets[other]:
                    raise InputError(f"the regions {one!r} and {other!r} are the same", file=file, field="labels")
                if sets[one] & sets[other] and not sets[other] < sets[one]:
                    raise InputError(
                        f"the regions {one!r} and {other!r} overlap without nesting, which no tree can say",
                        file=file,
                        field="labels",
                    )
        above = {
            name: next((other for other in reversed(names[:place]) if sets[name] < sets[other]), None)
            for place, name in enumerate(names)
        }
        channels = list(sets)
        regions = []
        for name in names:
            inside = tuple(names.index(other) for other in names if above[other] == name)
            rest = sets[name].difference(*(sets[names[position]] for position in inside))
            regions.append(TrainedRegion(name, channels.index(name), written[name], inside, rest))
        return Regions(tuple(regions), tuple(names.index(name) for name in names if above[name] is None))

    @property
    def parts(self) -> tuple[ProbabilityMap, ...]:
        """The background, then the part of each region that has one, in the order of the regions."""
        found = [ProbabilityMap("background", 0)]
        for region in self.regions:
            if region.rest:
                value = next(iter(region.rest)) if len(region.rest) == 1 else region.value
                found.append(ProbabilityMap(self._title(region), value))
        return tuple(found)

    def _title(self, region: TrainedRegion) -> str:
        return f"rest of {region.name}" if region.inside else region.name

    def tree(self, name: str) -> LabelTree:
        """Return a tree in which a region with regions inside of it is a node above them and its rest."""
        taken = {region.name for region in self.regions}
        root = unique_id("root", None, {*taken, "background"})
        background = unique_id("background", None, taken)
        nodes = [Node(root, name or "root", None), Node(background, "background", root, value=0)]
        values = {part.name: part.value for part in self.parts}

        def add(position: int, parent: str) -> None:
            region = self.regions[position]
            leaf = not region.inside
            nodes.append(Node(region.name, region.name, parent, value=values[region.name] if leaf else None))
            for inner in region.inside:
                add(inner, region.name)
            if region.inside and region.rest:
                title = self._title(region)
                nodes.append(Node(title, title, region.name, value=values[title]))

        for position in self.outer:
            add(position, root)
        return LabelTree(nodes, name)

    def split(self, probabilities: FloatArray) -> tuple[FloatArray, float]:
        """Return the probabilities of the parts, and by how much regions contradicted each other at most.

        Parameters
        ----------
        probabilities: float32 ``[regions, ...]``, each 0..1 by itself.

        Returns
        -------
        float32 ``[parts, ...]`` that sum to 1, in the order of :attr:`parts`.
        """
        parts: list[FloatArray | None] = [None] * len(self.regions)
        most = 0.0

        def below(position: int) -> tuple[FloatArray, list[int]]:
            nonlocal most
            region = self.regions[position]
            own: FloatArray = probabilities[region.channel].astype(np.float32)
            if not region.inside:
                parts[position] = own
                return own, [position]
            totals, members = zip(*(below(inner) for inner in region.inside), strict=True)
            inner: FloatArray = np.stack(totals).sum(axis=0, dtype=np.float32)
            most = max(most, float((inner - own).max(initial=0)))
            whole: FloatArray = np.maximum(own, inner)
            held = [member for group in members for member in group]
            if region.rest:
                parts[position] = whole - inner
                return whole, [*held, position]
            _stretch(parts, held, whole, inner)
            most = max(most, float((own - inner).max(initial=0)))
            return whole, held

        found = [below(position) for position in self.outer]
        total: FloatArray = np.stack([one for one, _held in found]).sum(axis=0, dtype=np.float32)
        most = max(most, float((total - 1).max(initial=0)))
        held = [member for _one, group in found for member in group]
        _stretch(parts, held, np.minimum(total, 1), total)
        kept = [part for part in parts if part is not None]
        return np.stack([1 - np.minimum(total, 1), *kept]), most


def _stretch(parts: list[FloatArray | None], members: list[int], wanted: FloatArray, now: FloatArray) -> None:
    """Multiply parts so that their sum ``now`` becomes ``wanted``; where it is 0 each gets as much."""
    empty = now <= 0
    factor = np.where(empty, 1, wanted / np.where(empty, 1, now))
    for member in members:
        part = parts[member]
        if part is not None:
            parts[member] = np.where(empty, wanted / len(members), part * factor).astype(np.float32)
