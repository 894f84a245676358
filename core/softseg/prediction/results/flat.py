"""All cases in one folder: files that begin with the case's name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from softseg.errors import InputError
from softseg.files import write_together
from softseg.prediction.inputs import CaseInput
from softseg.prediction.record import RECORD_FILE, files_of, is_of, read_record, same_content
from softseg.prediction.results.place import CasePlace, split_ending
from softseg.requests.manifest import LABELS, NODE, SOFT, OutputFile, absolute
from softseg.requests.names import file_names, folded, marked_file_name


@dataclass(frozen=True)
class FlatPlace(CasePlace):
    """A case whose files lie beside those of others.

    Attributes
    ----------
    stem: that its files begin with.
    """

    stem: str = ""

    @property
    def shown(self) -> Path:
        """Its label map or soft parcellation stands for it."""
        return self.folder / self.called(OutputFile(SOFT, "soft.soft.npz")).path

    def called(self, file: OutputFile) -> OutputFile:
        """Return ``NAME_dseg.nii.gz`` for labels of the leaves, ``NAME_<cut>_dseg.nii.gz`` for others, and so on."""
        own, ending = split_ending(file.path)
        kind = file.role.removesuffix(" colors")
        if kind == SOFT:
            own = ""
        elif kind == LABELS:
            cut = own.removeprefix("labels_")
            own = "_dseg" if cut == "leaves" else f"_{cut}_dseg"
        elif kind == NODE:
            own = f"_{own.removeprefix('node_')}_probseg"
        else:
            own = f"_{own}"
        return OutputFile(file.role, f"{self.stem}{own}{ending}", file.of)

    @contextmanager
    def unfinished(self, warn: Callable[[str], None]) -> Iterator[Path]:
        """Give a folder for the files; files of an older prediction of the case go when the new ones are there."""
        del warn
        older = {file.path for file in files_of(self.record)} | {self.record.name}
        with write_together(self.record) as folder:
            yield folder
            names = {path.name for path in folder.iterdir()}
            require_free(self.folder, names - older)
        for name in sorted(older - names):
            (self.folder / name).unlink(missing_ok=True)


def require_free(folder: Path, names: set[str]) -> None:
    """Refuse to replace files that are not of an older prediction of the case.

    Raises
    ------
    InputError: there are some.
    """
    taken = sorted(name for name in names if (folder / name).exists())
    if taken:
        raise InputError(
            "exists already and is not of an older prediction of this case",
            file=folder / taken[0],
            hint="choose another output folder",
        )


def flat_places(out: Path, cases: Sequence[CaseInput]) -> Mapping[str, CasePlace]:
    """Return the place of every case, by the case's name; a case that lies there already keeps its name.

    Parameters
    ----------
    out: the folder; it may be missing.
    cases: of different names.
    """
    names = file_names(case.name for case in cases)
    ending = f"_{RECORD_FILE}"
    files = sorted(out.glob(f"*{ending}")) if out.is_dir() else []
    there = {path.name.removesuffix(ending): read_record(path) for path in files}
    chosen: dict[str, str] = {}
    for case in cases:
        own = next((stem for stem, record in there.items() if is_of(record, case.images)), None)
        if own is not None and own not in chosen.values():
            chosen[case.name] = own
    occupied = {folded(stem): record for stem, record in there.items()}
    for case in cases:
        if case.name in chosen:
            continue
        name = names[case.name]
        older = occupied.get(folded(name))
        taken = {folded(stem) for stem in chosen.values()}
        if folded(name) in taken or (older is not None and not same_content(older, case.images)):
            name = marked_file_name(case.name, "\n".join(absolute(case.images)))
        chosen[case.name] = name
    return {case.name: FlatPlace(out, chosen[case.name]) for case in cases}
