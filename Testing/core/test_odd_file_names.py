"""Names of files that are no UTF-8, as input and as output: the command works, or says so in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from softseg.errors import InputError
from softseg.headers.itk_names import itk_name
from softseg.image import Geometry, Image, read_image, write_image

ODD = os.fsdecode(b"odd\xe9\xff")

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")


def image() -> Image:
    return Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), Geometry((4, 3, 2), (1.0, 1.0, 2.0)))


@pytest.mark.parametrize("ending", [".nii.gz", ".nii"])
def test_nifti_is_written_and_read(tmp_path: Path, ending: str) -> None:
    file = write_image(image(), tmp_path / f"{ODD}{ending}")
    np.testing.assert_array_equal(read_image(file).array, image().array)


@pytest.mark.parametrize("name", [f"{ODD}.nrrd", f"{ODD}.mha", f"{ODD}/plain.nrrd"])
def test_other_formats_are_refused_before_itk_sees_the_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="needs names in UTF-8"):
        write_image(image(), tmp_path / name)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["scan.nrrd", "Köpf/bild.mha", "头.nii"])
def test_names_in_utf8_stay_as_they_are(name: str) -> None:
    assert itk_name(Path(name)) == name


def test_a_tiff_of_such_a_name_does_not_end_the_process(tmp_path: Path) -> None:
    import SimpleITK as sitk

    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5), np.uint16)), str(tmp_path / "plain.tiff"))
    (tmp_path / "plain.tiff").rename(tmp_path / f"{ODD}.tiff")
    code = (
        "import sys; from pathlib import Path; from softseg.data.cubes.pictures import read_tiff\n"
        "try: read_tiff(Path(sys.argv[1]))\nexcept ValueError as error: print(ascii(str(error)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / f"{ODD}.tiff")]
    run = subprocess.run(command, capture_output=True, check=False)
    assert run.returncode == 0, run.stderr
    assert b"UTF-8" in run.stdout or b"cannot be read as a TIFF" in run.stdout


def test_a_tree_from_such_a_file_has_a_name_that_can_be_written(tmp_path: Path) -> None:
    from softseg.tree import LabelTree

    (tmp_path / f"{ODD}.txt").write_text("body\n  background = 0\n  core = 1\n", encoding="utf-8")
    tree = LabelTree.load(tmp_path / f"{ODD}.txt")
    tree.save(tmp_path / "saved.json")
    assert LabelTree.load(tmp_path / "saved.json").name == tree.name
    assert tree.name.startswith("odd")


def test_scans_that_results_could_not_name_are_refused_before_anything_is_computed(tmp_path: Path) -> None:
    """Tables, results.json and pages are UTF-8: a name that they cannot hold was once noticed after the last case."""
    from softseg.prediction.inputs import find_cases

    write_image(image(), tmp_path / "plain.nii.gz")
    write_image(image(), tmp_path / f"{ODD}.nii.gz")
    with pytest.raises(InputError, match=r"odd.xe9.xff\.nii\.gz: the name is not UTF-8"):
        find_cases([tmp_path / "plain.nii.gz", tmp_path / f"{ODD}.nii.gz"], ["T1"])
    with pytest.raises(InputError, match=r"odd.xe9.xff\.nii\.gz: the name is not UTF-8"):
        find_cases([tmp_path], ["T1"])


def test_an_evaluation_that_could_not_name_its_cases_is_refused(tmp_path: Path) -> None:
    from softseg.evaluation import evaluate
    from softseg.tree import LabelTree, Node

    tree = LabelTree([Node("r", "r", None), Node("b", "b", "r", value=0), Node("a", "a", "r", value=1)])
    write_image(Image(np.ones((2, 3, 4), np.uint8), Geometry((4, 3, 2))), tmp_path / f"{ODD}.nii.gz")
    files = [tmp_path / f"{ODD}.nii.gz"]
    with pytest.raises(InputError, match=r"odd.xe9.xff\.nii\.gz: the name is not UTF-8"):
        evaluate(files, files, tree, tmp_path / "out")
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_a_structure_is_called_after_such_a_file_as_far_as_text_goes(tmp_path: Path) -> None:
    from softseg.exchange.volumes import stem_of

    assert stem_of(tmp_path / f"{ODD}_core.nii.gz") == "odd\\xe9\\xff_core"


def test_the_name_is_told_where_a_table_that_holds_it_could_not_be_written() -> None:
    from softseg.failures import as_plain_error

    with pytest.raises(UnicodeEncodeError) as caught:
        f'case,file\r\n1,"folder/{ODD}.nii",2.5\r\n'.encode()
    assert str(as_plain_error(caught.value)).startswith(r"folder/odd\udce9\udcff.nii: the name is not UTF-8")
