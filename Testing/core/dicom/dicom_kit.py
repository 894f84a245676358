"""Series of magnetic resonance images as a scanner writes them, made with pydicom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from softseg.geometry import Geometry

STRAIGHT = Geometry((10, 12, 7), (0.9, 1.1, 2.5), (-80.0, -60.0, 15.0))


def turned(geometry: Geometry = STRAIGHT) -> Geometry:
    """Return the grid turned about all three axes."""
    a, b, c = 0.3, -0.4, 0.7
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    direction = about_z @ about_y @ about_x
    return Geometry(geometry.size, geometry.spacing, geometry.origin, tuple(direction.ravel()))


OBLIQUE = turned()


def numbers(geometry: Geometry, seed: int = 0) -> np.ndarray:
    """Return a scan's numbers, int16 ``(k, j, i)``, none like another in its corner."""
    return np.random.default_rng(seed).integers(0, 2000, geometry.shape).astype(np.int16)


def position(geometry: Geometry, k: float) -> np.ndarray:
    """Return where slice ``k`` begins, LPS mm."""
    return (geometry.ijk_to_lps() @ (0, 0, k, 1))[:3]


def write_series(
    folder: Path,
    geometry: Geometry = STRAIGHT,
    array: np.ndarray | None = None,
    *,
    number: int = 3,
    description: str = "t1 mprage sag",
    left_out: Sequence[int] = (),
    places: dict[int, float] | None = None,
    uid: str | None = None,
    study: str | None = None,
    thickness: float = 9.0,
    seed: int = 0,
) -> list[FileDataset]:
    """Write slices under names in no order; their tag of thickness is wrong on purpose.

    Parameters
    ----------
    left_out: slices that are not written.
    places: other places along ``k`` of some slices, in slices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    array = numbers(geometry, seed) if array is None else array
    series, study, frame = uid or generate_uid(), study or generate_uid(), generate_uid()
    axes = np.reshape(geometry.direction, (3, 3))
    names = np.random.default_rng(seed + number).permutation(geometry.size[2])
    made = []
    for k in range(geometry.size[2]):
        if k in left_out:
            continue
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
        data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = study, series, frame
        data.PatientName, data.PatientID, data.PatientBirthDate, data.PatientSex = (
            "Doe^Jane",
            "SECRET-77",
            "19500102",
            "F",
        )
        data.StudyDate, data.StudyTime, data.StudyID, data.AccessionNumber = "20240102", "101112", "5", "A7"
        data.ReferringPhysicianName, data.Modality, data.Manufacturer = "Roe^Richard", "MR", "Maker"
        data.SeriesNumber, data.SeriesDescription, data.InstanceNumber = number, description, k + 1
        data.PositionReferenceIndicator, data.ImageType = "", ["ORIGINAL", "PRIMARY", "OTHER"]
        data.ScanningSequence, data.SequenceVariant, data.ScanOptions = "GR", "NONE", ""
        data.MRAcquisitionType, data.EchoTime, data.RepetitionTime, data.EchoTrainLength = "3D", 3, 2000, 1
        data.PixelSpacing = [f"{geometry.spacing[1]:.10g}", f"{geometry.spacing[0]:.10g}"]
        data.SliceThickness = data.SpacingBetweenSlices = f"{thickness:g}"
        data.ImageOrientationPatient = [f"{n:.12g}" for n in (*axes[:, 0], *axes[:, 1])]
        data.ImagePositionPatient = [f"{mm:.10g}" for mm in position(geometry, (places or {}).get(k, k))]
        data.Rows, data.Columns = geometry.size[1], geometry.size[0]
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
        data.PixelData = np.ascontiguousarray(array[k]).tobytes()
        data.save_as(folder / f"IM{names[k]:04d}", enforce_file_format=True)
        made.append(data)
    return made
