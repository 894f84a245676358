"""Truncated NIfTI files are refused in every form; whole ones are not."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from softseg.errors import InputError
from softseg.image import read_image


def _write(path: Path, dtype: type = np.int16) -> Path:
    array = np.random.default_rng(0).integers(0, 1000, (12, 11, 10)).astype(dtype)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    return path


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_truncated_is_refused(tmp_path: Path, name: str, kept: float, dtype: type) -> None:
    whole = _write(tmp_path / name, dtype)
    assert read_image(whole).array.shape == (12, 11, 10)
    content = whole.read_bytes()
    cut = tmp_path / f"cut-{name}"
    cut.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match=rf"cut-{name}.*truncated"):
        read_image(cut)


def test_gzip_in_several_members_is_whole(tmp_path: Path) -> None:
    content = _write(tmp_path / "scan.nii").read_bytes()
    joined = tmp_path / "joined.nii.gz"
    joined.write_bytes(gzip.compress(content[:1000]) + gzip.compress(content[1000:]))
    assert np.array_equal(read_image(joined).array, read_image(tmp_path / "scan.nii").array)


def test_nifti_2_header(tmp_path: Path) -> None:
    header = bytearray(544)
    header[:4] = struct.pack(">i", 540)
    header[14:16] = struct.pack(">h", 8)
    header[16:80] = struct.pack(">8q", 3, 4, 5, 6, 1, 1, 1, 1)
    header[168:176] = struct.pack(">q", 544)
    file = tmp_path / "two.nii"
    header[4:12] = b"n+2\0\r\n\x1a\n"
    header[12:14] = struct.pack(">h", 4)
    file.write_bytes(bytes(header) + bytes(240))
    assert read_image(file).array.shape == (6, 5, 4)
    file.write_bytes(bytes(header) + bytes(239))
    with pytest.raises(InputError, match="is damaged or truncated"):
        read_image(file)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_nan_is_refused(tmp_path: Path, name: str, value: float) -> None:
    array = np.ones((4, 5, 6), np.float32)
    array[1, 2, 3] = array[2, 2, 2] = value
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / name))
    assert np.isfinite(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / name)))).all(), "the reader tells now"
    with pytest.raises(InputError, match=rf"{name}: holds 2 values that are NaN or infinite"):
        read_image(tmp_path / name)
