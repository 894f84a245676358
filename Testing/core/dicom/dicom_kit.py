"""Series of magnetic resonance images as a scanner writes them, made with pydicom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from softseg.geometry import Geometry
from softseg.soft import SoftParcellation
from softseg.tree import Code, LabelTree, Node, Terminology

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


def write_enhanced(file: Path, geometry: Geometry = STRAIGHT, left_out: Sequence[int] = ()) -> Path:
    """Write all slices as one Enhanced MR file whose frames are in no order."""
    array, axes = numbers(geometry), np.reshape(geometry.direction, (3, 3))
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = EnhancedMRImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = EnhancedMRImageStorage, meta.MediaStorageSOPInstanceUID
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        setattr(data, name, generate_uid())
    data.PatientName, data.PatientID, data.PatientBirthDate, data.PatientSex = "Doe^Jane", "SECRET-77", "", ""
    data.StudyDate, data.StudyTime, data.StudyID, data.AccessionNumber = "20240102", "101112", "5", "A7"
    data.Modality, data.SeriesNumber, data.InstanceNumber, data.PositionReferenceIndicator = "MR", 4, 1, ""
    shared, measures, turn, pixels = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [f"{geometry.spacing[1]:.10g}", f"{geometry.spacing[0]:.10g}"]
    measures.SliceThickness = "9"
    turn.ImageOrientationPatient = [f"{n:.12g}" for n in (*axes[:, 0], *axes[:, 1])]
    pixels.RescaleSlope, pixels.RescaleIntercept, pixels.RescaleType = "1", "0", "US"
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [turn]
    shared.PixelValueTransformationSequence = [pixels]
    data.SharedFunctionalGroupsSequence = [shared]
    order = [int(k) for k in np.random.default_rng(5).permutation(geometry.size[2]) if k not in left_out]
    data.PerFrameFunctionalGroupsSequence = []
    for k in order:
        frame, place = Dataset(), Dataset()
        place.ImagePositionPatient = [f"{mm:.10g}" for mm in position(geometry, k)]
        frame.PlanePositionSequence = [place]
        data.PerFrameFunctionalGroupsSequence.append(frame)
    data.NumberOfFrames, data.Rows, data.Columns = len(order), geometry.size[1], geometry.size[0]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.PixelData = np.ascontiguousarray(array[order]).tobytes()
    file.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(file, enforce_file_format=True)
    return file


def tree() -> LabelTree:
    """Return a tree of which some nodes have codes."""
    category = Code("123037004", "SCT", "Anatomical Structure")
    kidney = Code("64033007", "SCT", "Kidney")

    left = Terminology(category, kidney, Code("7771000", "SCT", "Left"))
    right = Terminology(category, kidney, Code("24028007", "SCT", "Right"))

    return LabelTree(
        [
            Node("body", "body", None),
            Node("background", "background", "body", value=0),
            Node("kidneys", "kidneys", "body", color=(200, 90, 60)),
            Node("left", "left kidney", "kidneys", value=12, color=(180, 100, 70), terminology=left),
            Node("right", "right kidney", "kidneys", value=3, color=(80, 10, 170), terminology=right),
            Node("liver", "liver", "body", value=1, color=(20, 200, 30)),
        ],
        name="abdomen",
    )


def result(geometry: Geometry) -> SoftParcellation:
    """Return a soft parcellation with nothing but background in the first and last slice."""
    known = tree()
    dense = np.random.default_rng(1).dirichlet(np.full(4, 0.4), geometry.shape).astype(np.float32)
    dense[[0, -1]] = np.eye(4, dtype=np.float32)[known.leaf_index("background")]
    return SoftParcellation.from_dense(np.ascontiguousarray(np.moveaxis(dense, -1, 0)), known, geometry, "net")


def volume_of(segmentation, number: int, geometry: Geometry) -> tuple[np.ndarray, Geometry]:
    """Return a segment as highdicom reads it, ``(k, j, i)`` on the whole grid, and that grid.

    Slices that highdicom does not hand out, since they hold nothing, are 0.
    """
    found = segmentation.get_volume(segment_numbers=[number])
    to_lps = np.asarray(found.affine)[:, [2, 1, 0, 3]]
    array = np.asarray(found.array[..., 0])
    index = np.linalg.inv(geometry.ijk_to_lps()) @ to_lps
    whole = np.zeros(geometry.shape, array.dtype)
    step, first = index[2, 2], index[2, 3]
    assert abs(abs(step) - 1) < 1e-4
    places = np.rint(first + step * np.arange(len(array))).astype(int)
    whole[places] = array
    start = to_lps @ (0, 0, -first / step, 1)
    to_lps = np.column_stack([to_lps[:, 0], to_lps[:, 1], to_lps[:, 2] * step, start])
    return whole, Geometry.from_affine(geometry.size, np.diag([-1.0, -1.0, 1.0, 1.0]) @ to_lps)
