"""Where the files of a case lie and what they are called: in a folder of its own, by their plain names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softseg.files import write_folder_beside
from softseg.prediction.record import RECORD_FILE
from softseg.requests.manifest import OutputFile

_OWN_NAMES = re.compile(
    r"soft\.soft\.npz|volumes\.csv|prediction\.json|(labels|node|decision)_.+\.(nii\.gz|ctbl|csv)"
    r"|(entropy|mutual_information|outliers|mask)\.nii\.gz"
)

_ENDINGS = (".soft.npz", ".nii.gz")


@dataclass(frozen=True)
class CasePlace:
    """Where one case lies: a folder of its own. Other layouts are of the same kind.

    Attributes
    ----------
    folder: that the files lie in.
    """

    folder: Path

    @property
    def color_table(self) -> str:
        """Ending of the tables of names and colours beside label maps."""
        return ".ctbl"

    @property
    def record(self) -> Path:
        """The file that records what made the case, see :mod:`softseg.prediction.record`."""
        return self.folder / self.called(OutputFile("record", RECORD_FILE)).path

    @property
    def shown(self) -> Path:
        """What is named as the result."""
        return self.folder

    def called(self, file: OutputFile) -> OutputFile:
        """Return a file as it is called here; files that belong together keep one stem."""
        return file

    def sidecar(self, file: OutputFile, holds: Sequence[str] = ()) -> dict[str, Any] | None:
        """Return the content of the JSON file beside an image, None where there is none.

        Parameters
        ----------
        file: the image.
        holds: ids of the nodes whose maps it holds along a fourth axis.
        """
        del file, holds
        return None

    @contextmanager
    def unfinished(self, warn: Callable[[str], None]) -> Iterator[Path]:
        """Give a folder for the files, which appear as one when the block ends well.

        Parameters
        ----------
        warn: called with remarks about foreign files.

        Raises
        ------
        InputError: it cannot be written, the disk is full, or something else is in the way.
        """

        def report(kept: list[str]) -> None:
            warn(f"{self.folder}: files of yours in this folder are kept: {', '.join(kept[:5])}")

        with write_folder_beside(self.folder, ours=_is_ours, kept=report) as folder:
            yield folder


def split_ending(name: str) -> tuple[str, str]:
    """Return a file's name without its ending, and the ending with its dot; other dots are of the name."""
    ending = next((ending for ending in _ENDINGS if name.endswith(ending)), Path(name).suffix)
    return name.removesuffix(ending), ending


def _is_ours(name: str) -> bool:
    """Whether a file of this name was written by a version that kept no record of its files."""
    return _OWN_NAMES.fullmatch(name) is not None
