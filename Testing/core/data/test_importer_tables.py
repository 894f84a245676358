"""A tree for label maps whose own table says other things of their values."""

from __future__ import annotations

import numpy as np
import pytest

from softseg.data import Dataset
from softseg.data.importers.bids import import_bids
from softseg.errors import InputError
from softseg.image import Geometry, Image, write_image
from softseg.tree import LabelTree, Node

TREE = LabelTree(
    [
        Node("head", "head", None),
        Node("background", "background", "head", value=0),
        Node("left", "left cortex", "head", value=1),
        Node("right", "right cortex", "head", value=4),
    ],
    "sides",
)


@pytest.fixture
def source(tmp_path):
    """Three scans with label maps of the values 1 and 4."""
    folder = tmp_path / "src"
    for subject in ("sub-1", "sub-2", "sub-3"):
        values = np.zeros((4, 5, 6), np.uint8)
        values[0], values[1] = 1, 4
        for name, array in (
            (f"{subject}/anat/{subject}_T1w.nii.gz", values.astype(np.float32)),
            (f"derivatives/x/{subject}/anat/{subject}_desc-manual_dseg.nii.gz", values),
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_image(Image(array, Geometry((6, 5, 4))), folder / name)
    TREE.save(tmp_path / "tree.json")
    return folder


@pytest.mark.parametrize("place", ["desc-manual_dseg.tsv", "sub-2/anat/sub-2_desc-manual_dseg.tsv"])
def test_a_tree_that_contradicts_the_table_is_refused(source, tmp_path, place):
    table = source / "derivatives" / "x" / place
    table.write_text("index\tname\n1\tRight-Cortex\n4\tlh.cortex\n")
    with pytest.raises(
        InputError, match=r"dseg.tsv: its labels are others.*1 is 'Right-Cortex' in one and 'left cortex'"
    ):
        import_bids(source, tmp_path / "DATA.json", tree=tmp_path / "tree.json")
    assert not (tmp_path / "DATA.json").exists()
    table.write_text("index\tname\n1\tLeft-Cortex\n4\tcortex_R\n9\tnot in these maps\n")
    dataset = Dataset.load(import_bids(source, tmp_path / "DATA.json", tree=tmp_path / "tree.json"))
    assert len(dataset.cases) == 3


def test_the_table_of_other_label_maps_is_not_asked(source, tmp_path):
    (source / "derivatives" / "x" / "desc-aseg_dseg.tsv").write_text("index\tname\n1\tright cortex\n")
    import_bids(source, tmp_path / "DATA.json", tree=tmp_path / "tree.json")


def test_another_tree_for_a_dataset_must_say_the_same_of_its_values(source, tmp_path):
    path = import_bids(source, tmp_path / "DATA.json", tree=tmp_path / "tree.json")
    swapped = LabelTree(
        [node for node in TREE.nodes if node.value in (None, 0)]
        + [Node("r", "Right-Cortex", "head", value=1), Node("l", "Left-Cortex", "head", value=4)],
        "swapped",
    )
    with pytest.raises(InputError, match=r"DATA.json: tree: its label values mean other things in the tree 'swapped'"):
        Dataset.load(path, swapped)
    with pytest.raises(InputError, match=r"1 is 'left cortex' in one and 'Right-Cortex' in the other"):
        Dataset.load(path).with_tree(swapped)  # as with softseg train --tree
    renamed = TREE.rename("left", "Rinde links")
    assert Dataset.load(path).with_tree(renamed).tree == renamed
    assert Dataset.load(path, renamed).tree == renamed
