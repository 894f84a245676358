"""One DICOM file of many frames, and what is said where the packages for DICOM are missing."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom")
sys.path.insert(0, str(Path(__file__).resolve().parent))
from dicom_kit import OBLIQUE, STRAIGHT, numbers, write_enhanced

from softseg.errors import InputError
from softseg.failures import as_plain_error
from softseg.geometry import Geometry
from softseg.image import read_image


@pytest.mark.parametrize("geometry", [STRAIGHT, OBLIQUE], ids=["straight", "oblique"])
def test_frames_are_put_in_the_order_of_their_places(tmp_path: Path, geometry: Geometry) -> None:
    file = write_enhanced(tmp_path / "ann" / "one.dcm", geometry)
    for named in (file, file.parent):
        found = read_image(named)
        np.testing.assert_array_equal(found.array, numbers(geometry))
        assert found.geometry.same_grid(geometry, 1e-4)


def test_missing_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1 slice is missing: .* mm"):
        read_image(write_enhanced(tmp_path / "one.dcm", STRAIGHT, left_out=[2]))


@pytest.mark.parametrize("name", ["pydicom", "pydicom.errors", "highdicom"])
def test_a_missing_package_names_the_extra(name: str) -> None:
    plain = as_plain_error(ModuleNotFoundError(f"No module named {name!r}", name=name))
    assert 'pip install "softseg[dicom]"' in str(plain)
