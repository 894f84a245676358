"""Regions that lie in each other, as networks with one sigmoid per region answer: what they say of their parts.

The inner regions of a region are taken off its probability; what is left belongs to the rest of the region (ours).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.exchange.source import ProbabilityMap
from softseg.tree import LabelTree, Node
from softseg.tree.colors import node_colors
from softseg.tree.names import plain_name

ALLOWED = 1e-3
"""So far an inner region may be likelier than the one around it before it is said: rounding."""


@dataclass(frozen=True)
class TreeRegion:
    """One region.

    Attributes
    ----------
    name: of the region.
    values: label values of the parts it consists of.
    """

    name: str
    values: frozenset[int]


@dataclass(frozen=True)
class Nesting:
    """Which regions lie directly in which.

    Attributes
    ----------
    regions: in the order of their volumes.
    inside: for each region the positions of those directly in it.
    """

    regions: tuple[TreeRegion, ...]
    inside: tuple[tuple[int, ...], ...]

    @staticmethod
    def of(regions: Sequence[TreeRegion], file: Path) -> Nesting:
        """Return how regions lie in each other.

        Raises
        ------
        InputError: two overlap and neither lies in the other, or two are the same.
        """
        above: list[int | None] = []
        for place, region in enumerate(regions):
            around = []
            for other_place, other in enumerate(regions):
                if other_place == place or not region.values & other.values:
                    continue
                if region.values == other.values or not (region.values < other.values or other.values < region.values):
                    how = "are the same" if region.values == other.values else "overlap, and neither lies in the other"
                    raise InputError(
                        f"the regions '{region.name}' and '{other.name}' {how}",
                        file=file,
                        field="labels",
                        hint="a soft parcellation needs regions that lie in each other or apart",
                    )
                if region.values < other.values:
                    around.append(other_place)
            above.append(min(around, key=lambda one: len(regions[one].values)) if around else None)
        inside = tuple(tuple(p for p, outer in enumerate(above) if outer == place) for place in range(len(regions)))
        return Nesting(tuple(regions), inside)

    def rest(self, place: int) -> frozenset[int]:
        """Return the label values of a region that are in none of its inner regions."""
        inner = frozenset[int]().union(*(self.regions[one].values for one in self.inside[place]))
        return self.regions[place].values - inner

    @property
    def parts(self) -> tuple[int, ...]:
        """The regions that have something outside of their inner ones, each of which is a leaf."""
        return tuple(place for place in range(len(self.regions)) if self.rest(place))

    def maps(self) -> tuple[ProbabilityMap, ...]:
        """Return a map for each part, without a name, with the label value where it is one."""
        rests = [self.rest(place) for place in self.parts]
        return tuple(ProbabilityMap(value=next(iter(rest)) if len(rest) == 1 else None) for rest in rests)

    def tree(self, name: str) -> LabelTree:
        """Return the tree of the regions: a region with inner ones is a branch, whose rest is a leaf of it."""
        nodes, taken = (
            [Node("all", "all", None), Node("background", "background", "all", value=0)],
            {"all", "background"},
        )
        outer = {inner: place for place, inners in enumerate(self.inside) for inner in inners}
        used = {0} | {next(iter(self.rest(place))) for place in self.parts if len(self.rest(place)) == 1}
        ids: dict[int, str] = {}
        for place in sorted(range(len(self.regions)), key=lambda one: -len(self.regions[one].values)):
            region, rest = self.regions[place], self.rest(place)
            parent = ids[outer[place]] if place in outer else "all"
            ids[place] = _id(region.name, taken)
            value = next(iter(rest)) if len(rest) == 1 else max(used | {max(region.values)}) + 1
            used.add(value)
            if not self.inside[place]:
                nodes.append(Node(ids[place], region.name, parent, value=value))
                continue
            nodes.append(Node(ids[place], region.name, parent))
            if rest:
                title = f"{region.name} without {' and '.join(self.regions[one].name for one in self.inside[place])}"
                nodes.append(Node(_id(title, taken), title, ids[place], value=value))
        colors = node_colors(made := LabelTree(nodes, name=name))
        return LabelTree(
            [Node(node.id, node.name, node.parent, color=colors[node.id], value=node.value) for node in made.nodes],
            name=name,
        )

    def leaf_names(self) -> tuple[str, ...]:
        """Return the name of each part in the tree of the regions."""
        return tuple(
            f"{self.regions[place].name} without {' and '.join(self.regions[one].name for one in self.inside[place])}"
            if self.inside[place]
            else self.regions[place].name
            for place in self.parts
        )

    def volumes(
        self, read: Callable[[], Iterator[npt.NDArray[Any]]], remarks: list[str]
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Give the probability of each part; regions are few, so all are held.

        Parameters
        ----------
        read: gives the volumes of the regions, 0..1.
        remarks: gets a sentence where an inner region is likelier than the one around it.
        """
        every = [np.asarray(volume, np.float32) for volume in read()]
        voxels, most = 0, 0.0
        for place in range(len(self.regions)):
            inner = self.inside[place]
            rest = every[place] - sum((every[one] for one in inner), np.float32(0)) if inner else every[place]
            if inner:
                beyond = rest < -ALLOWED
                voxels += int(beyond.sum())
                most = max(most, float(-rest.min()))
                rest = np.maximum(rest, 0)
            if self.rest(place):
                yield rest
        if voxels:
            remarks.append(
                f"in {voxels} voxels inner regions are likelier than the region around them, by up to {most:.2g}: "
                "there the outer one is taken as the sum of the inner ones"
            )


def _id(name: str, taken: set[str]) -> str:
    wanted = re.sub(r"[^a-z0-9]+", "-", plain_name(name)).strip("-") or "region"
    found, number = wanted, 2
    while found in taken:
        found, number = f"{wanted}-{number}", number + 1
    taken.add(found)
    return found
