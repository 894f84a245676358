"""Which images of a BIDS dataset are cases, and the entities of their names (BIDS 1.10)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from softseg.data.cubes import CHANNEL_SUFFIXES
from softseg.errors import InputError
from softseg.headers import is_image_file

DESCRIPTION_FILE = "dataset_description.json"

ENTITIES = tuple(
    "sub ses sample task tracksys acq nuc voi ce trc stain rec dir run mod echo flip inv mt part proc hemi space split "  # noqa: SIM905
    "recording chunk atlas seg scale res den label desc".split()
)
"""Keys of names in the order in which they stand (BIDS schema, ``rules/entities``)."""

_CHANNELS = {
    "t1": "T1w",
    "t1n": "T1w",
    "t1weighted": "T1w",
    "t2": "T2w",
    "t2weighted": "T2w",
    "flair": "FLAIR",
    "t2flair": "FLAIR",
    "t2star": "T2starw",
    "t2*": "T2starw",
    "pd": "PDw",
    "ct": "CT",
}
"""Suffix of the images of a channel by its name (our assignment); any other channel is its own suffix."""

_MOST = 6


@dataclass(frozen=True)
class BidsChoice:
    """Which images are meant.

    Attributes
    ----------
    suffixes: one per channel; none for those known from the channels' names.
    entities: ``KEY-VALUE``; of one key any.
    """

    suffixes: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()


@dataclass(frozen=True)
class BidsName:
    """The parts of a file's name.

    Attributes
    ----------
    entities: by key, in the name's order.
    suffix: the last part.
    """

    entities: Mapping[str, str]
    suffix: str

    @staticmethod
    def of(path: Path) -> BidsName | None:
        """Return the parts of a file's name, None where it is no name of BIDS."""
        name = path.name
        for ending in CHANNEL_SUFFIXES:
            if name.lower().endswith(ending):
                name = name[: -len(ending)]
                break
        *parts, suffix = name.split("_")
        pairs = [part.partition("-") for part in parts]
        if not pairs or pairs[0][0] != "sub" or any(not dash or not value for _, dash, value in pairs):
            return None
        if not re.fullmatch(r"[A-Za-z0-9]+", suffix) or len({key for key, _, _ in pairs}) < len(pairs):
            return None
        return BidsName({key: value for key, _, value in pairs}, suffix)


def is_bids_dataset(folder: Path) -> bool:
    """Whether a folder is the root of a BIDS dataset."""
    return (folder / DESCRIPTION_FILE).is_file()


def dataset_of(image: Path) -> Path | None:
    """Return the root of the dataset that an image lies in, None where it lies in none."""
    return next((folder for folder in image.absolute().parents if is_bids_dataset(folder)), None)


def bids_cases(
    folder: Path, channels: Sequence[str], choice: BidsChoice
) -> list[tuple[str, tuple[Path, ...], InputError | None]]:
    """Return the cases of a dataset: name, files in the order of the channels, and what is wrong.

    A case is one subject, session, run ...: everything in the names but the suffix is the same.

    Raises
    ------
    InputError: the number of suffixes is not that of the channels, or there is no image that is asked for.
    """
    suffixes = choice.suffixes or tuple(_suffix_of(channel) for channel in channels)
    if len(suffixes) != len(channels):
        raise InputError(
            f"the model has {len(channels)} channels ({', '.join(channels)}), got {len(suffixes)} suffixes",
            field="--suffix",
        )
    images = _images(folder)
    chosen = [(path, name) for path, name in images if _fits(name, choice.entities)]
    if images and not chosen:
        raise InputError(f"no image has {', '.join(choice.entities)}", file=folder, field="--entity")
    groups: dict[str, dict[str, Path]] = {}
    for path, name in chosen:
        if name.suffix in suffixes:
            key = "_".join(f"{entity}-{value}" for entity, value in name.entities.items())
            group = groups.setdefault(key, {})
            if name.suffix in group:
                problem = f"is one image in two formats: {group[name.suffix].name}"
                raise InputError(problem, file=path, hint="name one of them")
            group[name.suffix] = path
    if not groups:
        there = sorted({name.suffix for _, name in chosen})
        listed = f"; there are {', '.join(there[:_MOST])}" if there else ""
        raise InputError(
            f"no image sub-*_{' or _'.join(suffixes)}{listed}",
            file=folder,
            field="--suffix",
            hint="name it: --suffix T1w",
        )
    return [_case(folder, key, group, suffixes) for key, group in sorted(groups.items())]


def _case(
    folder: Path, key: str, group: Mapping[str, Path], suffixes: Sequence[str]
) -> tuple[str, tuple[Path, ...], InputError | None]:
    missing = [suffix for suffix in suffixes if suffix not in group]
    problem = None
    if missing:
        problem = InputError(f"{key} has no {' and no '.join(missing)}", file=folder, field="--suffix")
    name = f"{key}_{suffixes[0]}" if len(suffixes) == 1 else key
    return name, tuple(group[suffix] for suffix in suffixes if suffix in group), problem


def _images(folder: Path) -> list[tuple[Path, BidsName]]:
    """Return the images of all subjects; what lies in derivatives or other folders is none."""
    found = []
    for subject in sorted(path for path in folder.glob("sub-*") if path.is_dir()):
        for path in sorted(subject.rglob("sub-*")):
            name = BidsName.of(path) if path.is_file() and is_image_file(path) else None
            if name is not None:
                found.append((path, name))
    if not found:
        raise InputError("this BIDS dataset holds no images of subjects (sub-*)", file=folder)
    return found


def _fits(name: BidsName, wanted: Sequence[str]) -> bool:
    values: dict[str, list[str]] = {}
    for entity in wanted:
        key, _, value = entity.partition("-")
        values.setdefault(key, []).append(value)
    return all(name.entities.get(key) in allowed for key, allowed in values.items())


def _suffix_of(channel: str) -> str:
    return _CHANNELS.get(re.sub(r"[\s_-]+", "", channel).casefold(), channel)
