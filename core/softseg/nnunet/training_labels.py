"""What the channels and label values of a training with nnU-Net mean on a label tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softseg.data.importers.description import TREE_KEY, described_tree, label_values
from softseg.errors import InputError
from softseg.tree import LabelTree, Node
from softseg.types import IGNORE_INDEX

TREE_FILE = "softseg_tree.json"
"""Name of the file beside ``dataset.json`` that holds the tree where the description does not."""


@dataclass(frozen=True)
class TrainingLabels:
    """Channels and values of a training on a tree.

    Attributes
    ----------
    tree: whose leaves are the network's channels in another order. A coarse label, which is an inner node, has a
        channel because nnU-Net gives every label one: here it is a leaf below the root that no voxel is labelled with,
        so that training drives its probability to 0.
    channels: channel of each leaf, in tree order.
    classes: class index of each label value; ``IGNORE_INDEX`` for nnU-Net's ``ignore``.
    """

    tree: LabelTree
    channels: tuple[int, ...]
    classes: tuple[int, ...]

    @staticmethod
    def of(description: Mapping[str, Any], tree: LabelTree, file: Path) -> TrainingLabels:
        """Return what ``dataset.json`` means on a tree, whose label values are those of the description.

        Parameters
        ----------
        description: the contents of ``dataset.json``.
        tree: the tree.
        file: of the description, for messages.

        Raises
        ------
        InputError: labels are regions, one is not in the tree, or a leaf of the tree has no label.
        """
        labels = label_values(description, file)
        regions = [name for name, value in labels.items() if not isinstance(value, int)]
        if regions:
            raise InputError(
                f"{regions[0]!r} is a region; a tree says which labels belong together",
                file=file,
                field="labels",
                hint="give every label one value, and the regions as nodes of the tree",
            )
        values = {name: int(value) for name, value in labels.items() if isinstance(value, int)}
        ignore = values.pop("ignore", None)
        nodes = {value: _node(tree, name, value, file) for name, value in values.items()}
        if sorted(nodes) != list(range(len(nodes))):
            raise InputError("expected the values 0, 1, 2 ... without gaps", file=file, field="labels")
        missing = [leaf.id for leaf in tree.leaves if leaf.id not in {node.id for node in nodes.values()}]
        if missing:
            raise InputError(
                f"no label is the leaf '{missing[0]}' of the tree {tree.name!r}", file=file, field="labels"
            )
        coarse = [value for value, node in nodes.items() if not tree.is_leaf(node.id)]
        whole, channel_of = _with_unused_leaves(tree, nodes, coarse)
        classes = [whole.class_index(nodes[value].id) for value in range(len(nodes))]
        if ignore is not None:
            classes += [IGNORE_INDEX] * (ignore - len(classes) + 1)
        return TrainingLabels(whole, tuple(channel_of[leaf.id] for leaf in whole.leaves), tuple(classes))

    @property
    def ordered(self) -> bool:
        """Whether the channels stand in the order of the leaves."""
        return self.channels == tuple(range(len(self.channels)))


def _node(tree: LabelTree, name: str, value: int, file: Path) -> Node:
    found = [node for node in tree.nodes if node.value == value and node is not tree.root]
    if not found:
        raise InputError(
            f"the tree {tree.name!r} has no node of the value {value}",
            file=file,
            field=f"labels.{name}",
            hint=f"the tree under {TREE_KEY} has the label values of this dataset",
        )
    return found[0]


def _with_unused_leaves(
    tree: LabelTree, nodes: Mapping[int, Node], coarse: list[int]
) -> tuple[LabelTree, dict[str, int]]:
    """Return the tree with a leaf for each coarse label's channel, and the channel of every leaf by id."""
    channel_of = {node.id: value for value, node in nodes.items() if value not in coarse}
    for value in coarse:
        unused = f"{nodes[value].id}-unspecified"
        while unused in tree:
            unused += "-"
        tree = tree.add(Node(unused, unused, tree.root.id, value=max(node.value or 0 for node in tree.nodes) + 1))
        channel_of[unused] = value
    return tree, channel_of


def training_tree(description: Mapping[str, Any], folders: list[Path]) -> LabelTree:
    """Return the label tree of a training.

    Parameters
    ----------
    description: the contents of ``dataset.json``; a tree under ``softseg_tree`` or the name of its file.
    folders: where the named file, or ``softseg_tree.json``, may lie: preprocessed data, raw data.

    Raises
    ------
    InputError: nothing says a tree, or it is none.
    """
    found = description.get(TREE_KEY)
    if isinstance(found, dict):
        tree = described_tree(description, folders[0] / "dataset.json" if folders else Path("dataset.json"))
        if tree is not None:
            return tree
    name = found if isinstance(found, str) else TREE_FILE
    for folder in folders:
        if (folder / name).is_file():
            return LabelTree.load(folder / name)
    raise InputError(
        "this trainer needs a label tree",
        file=folders[0] / "dataset.json" if folders else None,
        field=TREE_KEY,
        hint=f"put it there, or as {TREE_FILE} beside it; softseg data export --nnunet does",
    )
