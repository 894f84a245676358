"""File names of BIDS: which label file belongs to which image, what it is, and in which space it lies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from softseg.data.importers.files import stem
from softseg.headers import is_image_file

_NATIVE = frozenset({"t1w", "t2w", "orig", "native", "individual", "scanner", "anat", "flair"})
_NAMED = ("desc", "label", "atlas", "seg")
_OF_DERIVATIVES = (*_NAMED, "space", "res", "den", "cohort")
_IMAGES = frozenset(
    [
        "T1w",
        "T2w",
        "T1rho",
        "T1map",
        "T2map",
        "T2star",
        "T2starw",
        "T2starmap",
        "R1map",
        "R2map",
        "R2starmap",
        "PDw",
        "PDmap",
        "PDT2",
        "FLAIR",
        "inplaneT1",
        "inplaneT2",
        "UNIT1",
        "MP2RAGE",
        "angio",
        "defacemask",
        "SWImagandphase",
        "bold",
        "sbref",
        "boldref",
        "dwi",
        "asl",
        "m0scan",
        "pet",
        "CT",
        "epi",
    ]
)


@dataclass(frozen=True)
class LabelFile:
    """One file of labels and the image it belongs to.

    Attributes
    ----------
    path: the file.
    image: the image that it lies on; None where there is none.
    ending: what distinguishes it from other labels of the image: what follows the image's name, or the entities
        ``desc``, ``label``, ``atlas``, ``seg``, or else the suffix.
    full: the same with all that is in the file name (``desc-aseg_dseg``).
    suffix: ``dseg`` (a label map), ``probseg`` (a soft map), ``mask``, or anything else.
    space: where it lies if that is not the image's own space, else empty.
    """

    path: Path
    image: Path | None
    ending: str
    full: str
    suffix: str
    space: str

    def is_called(self, name: str) -> bool:
        """Whether a user means this file by ``name``."""
        return name.lstrip("_") in (self.ending, self.full, self.suffix)

    @property
    def is_brain_mask(self) -> bool:
        """Whether it is only a brain mask."""
        return self.suffix == "mask" and self.ending.casefold() in ("brain", "mask")


def suffix_of(path: Path) -> str:
    """Return the last part of a name: ``T1w``."""
    return stem(path).rsplit("_", 1)[-1]


def scan_of(path: Path) -> str:
    """Return a name without its last part: ``sub-1_ses-2_run-1``."""
    return stem(path).rsplit("_", 1)[0]


def files_of_subjects(folder: Path) -> list[Path]:
    """Return the images ``sub-*`` in a folder and below it, sorted."""
    return sorted(path for path in folder.rglob("sub-*") if path.is_file() and is_image_file(path))


def label_files(images: Sequence[Path], folder: Path, channels: Iterable[str] = ()) -> list[LabelFile]:
    """Return the label files in a folder of derivatives; images that a pipeline made (``desc-preproc_T1w``) are none.

    Parameters
    ----------
    images: those of the dataset.
    folder: of the derivatives.
    channels: suffixes of images that labels of a scan belong to first; else that is the T1w.
    """
    by_stem = {stem(image): image for image in images}
    by_scan: dict[str, list[Path]] = {}
    first = list(channels)
    for image in sorted(images, key=lambda path: (suffix_of(path) not in first, suffix_of(path) != "T1w", str(path))):
        by_scan.setdefault(scan_of(image), []).append(image)
    known = _IMAGES | {suffix_of(image) for image in images}
    found = []
    for path in files_of_subjects(folder):
        name = stem(path)
        owner = max((own for own in by_stem if name == own or name.startswith(f"{own}_")), key=len, default=None)
        if owner is not None:
            rest = name[len(owner) :].lstrip("_")
            found.append(
                LabelFile(path, by_stem[owner], rest or "labels", rest or "labels", suffix_of(path), _space(rest))
            )
            continue
        parts = name.split("_")
        if parts[-1] in known:
            continue
        scan = "_".join(part for part in parts[:-1] if part.partition("-")[0] not in _OF_DERIVATIVES)
        named = [part for part in parts[:-1] if part.partition("-")[0] in _NAMED]
        ending = "_".join(part.partition("-")[2] for part in named) or parts[-1]
        image_of = by_scan.get(scan, [None])[0]
        found.append(LabelFile(path, image_of, ending, "_".join([*named, parts[-1]]), parts[-1], _space(name)))
    return found


def _space(name: str) -> str:
    """Return the space or resolution that a name gives, empty if it is the image's own.

    ``space-T1w`` is that of an anatomical image, but not of one with a task, which was brought there.
    """
    own = _NATIVE if "_task-" not in name else frozenset({"orig", "native", "scanner", "func"})
    for part in name.split("_"):
        key, _, value = part.partition("-")
        if key in ("space", "res") and value.casefold() not in own:
            return value if key == "space" else f"res-{value}"
    return ""
