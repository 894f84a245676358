"""A folder that holds several models as one, and its description; read without torch.

::

    MODEL/
      ensemble.json      name of the ensemble, its members, which is best by itself, fields of its card
      members/NAME/      a complete model folder each, which also works by itself
      README.md          the card
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from softseg.errors import InputError
from softseg.files import read_json_object, require_inside
from softseg.needs import Needs

FILE = "ensemble.json"
MEMBERS = "members"

FORMAT_VERSION = 1
"""Version of ``ensemble.json``; newer ones are refused."""


def is_model_folder(folder: str | PathLike[str]) -> bool:
    """Whether a folder holds a model, or several as one."""
    return any((Path(folder) / file).is_file() for file in (Path("configs", "metadata.json"), FILE))


@dataclass(frozen=True)
class EnsembleFile:
    """The content of ``ensemble.json``.

    Attributes
    ----------
    folder: where it lies.
    name: of the ensemble.
    members: names of the members' folders, in order; two or more.
    details: fields of the card: description, licence, data_source, intended_use, limitations, scores (by name).
    needs: the model that makes the mask of its scans, if it needs one.
    best: the member that is best by itself, if the file names one; ``softseg predict --fast`` takes it.
    """

    folder: Path
    name: str
    members: tuple[str, ...]
    details: Mapping[str, Any] = field(default_factory=dict)
    needs: Needs | None = None
    best: str | None = None

    @property
    def folders(self) -> tuple[Path, ...]:
        """The members' model folders."""
        return tuple(self.folder / MEMBERS / name for name in self.members)

    @staticmethod
    def load(folder: Path) -> EnsembleFile | None:
        """Read the file in ``folder``; None where there is none.

        Raises
        ------
        InputError: it is not valid, of a newer version, or a member is missing.
        """
        file = folder / FILE
        if not file.is_file():
            return None
        content = read_json_object(file)
        version = content.get("format_version")
        if type(version) is not int or version < 1:
            raise InputError(f"expected a positive integer, got {version!r}", file=file, field="format_version")
        if version > FORMAT_VERSION:
            raise InputError(
                f"was written by a newer version (format {version}, this is {FORMAT_VERSION})",
                file=file,
                field="format_version",
                hint="update softseg",
            )
        members = content.get("members")
        if not isinstance(members, list) or len(members) < 2 or not all(_is_name(member) for member in members):
            raise InputError("expected a list of two or more folder names", file=file, field="members")
        details = content.get("details", {})
        if not isinstance(details, dict):
            raise InputError("expected an object", file=file, field="details")
        needs = Needs.from_json(content.get("needs"), file)
        best = content.get("best")
        if best is not None and best not in members:
            raise InputError(f"expected one of {', '.join(members)}, got {best!r}", file=file, field="best")
        name = str(content.get("name") or folder.name)
        found = EnsembleFile(folder, name, tuple(members), details, needs, best)
        for member in found.folders:
            if not member.is_dir():
                raise InputError("the ensemble lacks this member", file=member)
            require_inside(member, folder)
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the content of the file."""
        return {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "members": list(self.members),
            **({} if self.needs is None else {"needs": self.needs.to_json()}),
            **({} if self.best is None else {"best": self.best}),
            "details": dict(self.details),
        }


def _is_name(member: object) -> bool:
    return isinstance(member, str) and member not in ("", ".", "..") and Path(member).name == member
