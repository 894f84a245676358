"""What there is to train on: the file DATA.json, checked, with absolute paths and its label tree.

The format is in ``docs/datasets.md``. :meth:`Dataset.load` checks everything that can be known without reading a
voxel (names, channels, splits, files that are there, nodes of the tree); :func:`softseg.data.check_dataset` reads the
files as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path

from softseg.data.case import Case, Split
from softseg.data.dataset_checks import (
    check_files,
    check_names,
    check_nodes,
    check_splits,
    check_unlabelled,
    check_values,
)
from softseg.data.dataset_file import case_of, load_tree, named_tree, parse_file
from softseg.errors import InputError
from softseg.files import settle
from softseg.requests.names import file_names
from softseg.tree import LabelTree


@dataclass(frozen=True)
class Dataset:
    """Cases that share channels and a label tree.

    Attributes
    ----------
    name: for people.
    channels: in the order the network sees them.
    tree: what the labels mean.
    cases: all cases of all splits.
    path: the file it came from (messages name it).
    """

    name: str
    channels: tuple[str, ...]
    tree: LabelTree
    cases: tuple[Case, ...]
    path: Path

    @cached_property
    def file_names(self) -> dict[str, str]:
        """The names, by case id, that files of the cases carry wherever a dataset is made from this one."""
        return file_names(case.id for case in self.cases)

    def split(self, *names: Split) -> tuple[Case, ...]:
        """Return the cases of the named splits, in file order."""
        return tuple(case for case in self.cases if case.split in names)

    def case(self, case_id: str) -> Case:
        """Return the case of that id.

        Raises
        ------
        InputError: there is none.
        """
        for case in self.cases:
            if case.id == case_id:
                return case
        raise InputError(f"no case has the id {case_id!r}", file=self.path, field="cases")

    def with_tree(self, tree: LabelTree) -> Dataset:
        """Return the same cases under another tree.

        Raises
        ------
        InputError: a soft map is given for a node that ``tree`` does not have, or a label value means something else
            there.
        """
        check_values(self.tree, tree, self.path)
        check_nodes(self.cases, tree, self.path)
        return replace(self, tree=tree)

    def without_groups(self) -> Dataset:
        """Return the dataset for losses on leaves: voxels corrected to an inner node get its leaves' probabilities."""
        return replace(self, cases=tuple(replace(case, groups=False) for case in self.cases))

    @staticmethod
    def load(path: str | PathLike[str], tree: LabelTree | None = None) -> Dataset:
        """Read and check DATA.json.

        Parameters
        ----------
        path: the file.
        tree: stands in for the tree that the file names; label values mean the same in both.

        Raises
        ------
        InputError: the file is missing, is not JSON, has an unknown or missing field, names a missing file, gives a
            case id twice, lacks a channel, puts one person into two splits, or a label value means one thing in its
            tree and another in ``tree``; file and field are named.
        """
        file = Path(path).absolute()
        settle(file.parent)
        content = parse_file(file)
        chosen = load_tree(content.tree, file) if tree is None else tree
        if tree is not None and (named := named_tree(content.tree, file)) is not None:
            check_values(named, tree, file)
        cases = tuple(case_of(entry, file, content) for entry in content.cases)
        check_names(content, file)
        check_splits(content.cases, file)
        check_files(cases, file)
        check_nodes(cases, chosen, file)
        check_unlabelled(content, chosen, file)
        return Dataset(content.name, tuple(content.channels), chosen, cases, file)
