"""The label trees and folders that come with the product."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import softseg.tree
from softseg.errors import InputError
from softseg.resources import label_tree_path, list_label_trees, list_models, model_path, named_model, resources_folder
from softseg.tree import LabelTree, remarks
from softseg.tree.matching import Item, match_items
from softseg.tree.mirror import mirror_permutation

NAMES = [
    "brain-134", "brain-134-side-first", "brats-tumour", "fastsurfer-dkt", "freesurfer-aseg-dkt", "head-any",
    "head-tissues", "indian-pines", "multiple-sclerosis", "spinal-cord", "spinal-cord-grey-matter", "synthseg",
    "totalsegmentator", "totalsegmentator-mr",
]  # fmt: skip
FREESURFER = ("fastsurfer-dkt", "freesurfer-aseg-dkt", "synthseg")
OF_TOTALSEGMENTATOR = {  # codes of its own table, totalsegmentator_snomed_mapping.csv, that DICOM's dictionary lacks
    "110765007", "181674001", "244849004", "68455001", "75297007", "78333006", "15339008", "22565002", "24915002",
    "25523003", "25888004", "43993008", "48535007", "58830002", "5953002", "59558009", "65985001", "68786006",
    "77644006", "78247007",
}  # fmt: skip
LEFT, RIGHT = ("7771000", "SCT"), ("24028007", "SCT")


def shipped(name: str) -> LabelTree:
    return LabelTree.load(label_tree_path(name))


def test_all_are_there() -> None:
    assert list_label_trees() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_tree_is_ready_for_use(name: str) -> None:
    tree = shipped(name)
    assert tree.name == name
    if name == "indian-pines":  # positive-only: the rest of the scene belongs to no class
        assert tree.background is None
    else:
        assert tree.background == tree.children(tree.root.id)[0]
        assert tree.node("background").terminology is not None
    assert all(node.color is not None for node in tree.nodes[1:])
    assert all(node.id == node.id.lower() and " " not in node.id for node in tree.nodes)
    single = [remark for remark in remarks(tree) if "partner" in remark]
    assert len(single) == (name == "totalsegmentator")  # the middle lobe of the lung, the left atrial appendage
    assert not [remark for remark in remarks(tree) if "no colour" in remark]
    if name not in FREESURFER:  # its colours are FreeSurfer's, the same on both sides
        assert len({leaf.color for leaf in tree.leaves}) == len(tree.leaves)
    if name not in FREESURFER:
        assert not [remark for remark in remarks(tree) if "colour" in remark]
    again = LabelTree.from_json(tree.to_json())
    assert again == tree


@pytest.mark.parametrize("name", ["brain-134", "brain-134-side-first"])
def test_brain_has_the_labels_of_the_data(name: str, shared_data: Path) -> None:
    tree = shipped(name)
    with (shared_data / "brain" / "tree.csv").open(newline="") as stream:
        rows = {int(row["id"]): " ".join(row["name"].split()) for row in csv.DictReader(stream)}
    leaves = {leaf.value: leaf.name for leaf in tree.leaves}
    assert set(leaves) == set(rows) | {0}
    assert {value for value in rows if leaves[value] != rows[value]} == {46}
    assert leaves[46] == "Extra-ventricular CSF"


@pytest.fixture(scope="module")
def dictionary() -> set[tuple[str, str]]:
    """Return value and scheme of every concept of DICOM's context groups, as pydicom holds them."""
    from pydicom.sr.codedict import codes

    found = set()
    for scheme in (codes.SCT, codes.DCM):
        for keyword in scheme.dir():
            code = getattr(scheme, keyword)
            found.add((code.value, code.scheme_designator))
    return found


@pytest.mark.parametrize("name", [name for name in NAMES if name != "indian-pines"])  # fields of crops: no anatomy
def test_every_leaf_has_codes_that_are_in_public_tables(name: str, dictionary: set[tuple[str, str]]) -> None:
    tree = shipped(name)
    known = dictionary | {(value, "SCT") for value in OF_TOTALSEGMENTATOR}
    for node in tree.nodes:
        said = node.terminology
        if said is None:
            assert node not in tree.leaves, node.id
            continue
        for code in (said.category, said.type, said.type_modifier, said.region, said.region_modifier):
            if code is None:
                continue
            if code.scheme == "SCT":
                assert code.value.isdigit(), node.id
                assert 6 <= len(code.value) <= 18, node.id
            assert (code.value, code.scheme) in known or code.scheme == "NCIt", (node.id, code)


@pytest.mark.parametrize("name", NAMES)
def test_partners_have_one_type_and_the_modifiers_of_their_sides(name: str) -> None:
    tree = shipped(name)
    partner = mirror_permutation(tree)
    for place, leaf in enumerate(tree.leaves):
        other = tree.leaves[int(partner[place])]
        if other is leaf or leaf.terminology is None:
            continue
        mine, theirs = leaf.terminology, other.terminology
        assert theirs is not None
        assert (mine.category, mine.type, mine.region) == (theirs.category, theirs.type, theirs.region), leaf.id
        sides = [said.type_modifier or said.region_modifier for said in (mine, theirs)]
        found = {(side.value, side.scheme) for side in sides if side is not None}
        assert found == {LEFT, RIGHT}, leaf.id


def test_a_code_that_several_structures_share_means_the_node_above_them() -> None:
    tree = shipped("brain-134")
    frontal, middle = tree.node("frontal-lobe").terminology, tree.node("left-mfg-middle-frontal-gyrus").terminology
    assert frontal is not None
    assert middle is not None
    assert middle.type == frontal.type
    assert match_items([Item("a", "?", terminology=frontal)], tree).nodes["a"].id == "frontal-lobe"
    assert match_items([Item("a", "?", terminology=middle)], tree).open
    fluid = tree.node("csf").terminology
    assert fluid == tree.node("extra-ventricular-csf").terminology
    assert match_items([Item("a", "?", terminology=fluid)], tree).nodes["a"].id == "csf"


def test_trees_of_other_tools_have_their_values() -> None:
    synthseg = [0, 2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 24, 26, 28]
    synthseg += [41, 42, 43, 44, 46, 47, 49, 50, 51, 52, 53, 54, 58, 60]
    assert sorted(leaf.value for leaf in shipped("synthseg").leaves) == synthseg
    assert sorted(leaf.value for leaf in shipped("totalsegmentator-mr").leaves) == list(range(51))
    mr = {leaf.value: leaf.name for leaf in shipped("totalsegmentator-mr").leaves}
    assert (mr[2], mr[10], mr[19], mr[50]) == ("right kidney", "left lung", "vertebrae", "brain")
    cortex = [leaf.value for leaf in shipped("fastsurfer-dkt").leaves if leaf.value >= 1000]
    assert len(cortex) == 62
    assert {value % 1000 for value in cortex} == set(range(1, 36)) - {1, 4, 32, 33}


def test_side_last_and_side_first() -> None:
    last, first = shipped("brain-134"), shipped("brain-134-side-first")
    assert [len(last.cut_at(level)) for level in range(last.depth + 1)] == [1, 2, 4, 9, 22, 76, 135]
    assert [node.name for node in last.path("left-hippocampus")] == [
        "head", "brain", "grey matter", "deep grey matter", "medial temporal", "Hippocampus", "Left Hippocampus",
    ]  # fmt: skip
    assert first.path("left-hippocampus")[2].id == "left-side"
    near = {}
    for tree in (last, first):
        matrix = tree.distance_matrix(normalize=True)
        near[tree.name] = matrix[tree.leaf_index("left-hippocampus"), tree.leaf_index("right-hippocampus")]
    assert near["brain-134"] < 0.3
    assert near["brain-134-side-first"] == 1.0
    for tree in (last, first):
        assert (tree.mirror_permutation() != np.arange(135)).sum() == 126


def test_freesurfer_is_as_in_its_table() -> None:
    tree = shipped("freesurfer-aseg-dkt")
    expected = {
        0: ("Unknown", (0, 0, 0)), 2: ("Left-Cerebral-White-Matter", (245, 245, 245)),
        10: ("Left-Thalamus", (0, 118, 14)), 17: ("Left-Hippocampus", (220, 216, 20)),
        52: ("Right-Pallidum", (13, 48, 255)), 63: ("Right-choroid-plexus", (0, 200, 221)),
        77: ("WM-hypointensities", (200, 70, 255)), 251: ("CC_Posterior", (0, 0, 64)),
        1002: ("ctx-lh-caudalanteriorcingulate", (125, 100, 160)), 1035: ("ctx-lh-insula", (255, 192, 32)),
        2024: ("ctx-rh-precentral", (60, 20, 220)),
    }  # fmt: skip
    leaves = {leaf.value: (leaf.name, leaf.color) for leaf in tree.leaves}
    assert {value: leaves[value] for value in expected} == expected
    cortex = [value for value in leaves if value >= 1000]
    dkt = [k for k in range(1, 36) if k not in (1, 4, 32, 33)]
    assert sorted(cortex) == [1000 + k for k in dkt] + [2000 + k for k in dkt]
    assert tree.to_class_indices(np.array([3, 42])).tolist() == [
        tree.class_index("left-cerebral-cortex"), tree.class_index("right-cerebral-cortex"),
    ]  # fmt: skip


def test_tumour_lesion_and_cord() -> None:
    tumour = shipped("brats-tumour")
    assert [leaf.value for leaf in tumour.leaves_under("tumour-core")] == [1, 3, 4]
    assert [leaf.value for leaf in tumour.leaves_under("whole-tumour")] == [1, 3, 4, 2]
    assert shipped("multiple-sclerosis").node("lesion").value == 1
    cord = shipped("spinal-cord")
    assert sorted(leaf.value for leaf in cord.leaves_under("white-matter")) == list(range(1, 31))
    assert sorted(leaf.value for leaf in cord.leaves_under("grey-matter")) == list(range(31, 37))
    grey = shipped("spinal-cord-grey-matter")
    assert [(node.id, node.value) for node in grey.nodes[1:]] == [
        ("background", 0), ("cord", None), ("grey-matter", 1), ("white-matter", 2),
    ]  # fmt: skip


def test_totalsegmentator_knows_the_classes_by_number_and_by_either_name() -> None:
    tree = shipped("totalsegmentator")
    assert sorted(leaf.value for leaf in tree.leaves) == list(range(118))
    names = {2: "kidney_right", 31: "vertebrae_L1", 67: "iliac_vena_left", 94: "rib_left_3", 117: "costal_cartilages"}
    given = {2: "right kidney", 31: "L1 vertebra", 67: "Left iliac vein", 94: "left rib 3", 117: "Costal cartilages"}
    for spelled in (names, given):
        found = match_items([Item(value, name, name) for value, name in spelled.items()], tree, numbered=True)
        assert {key: node.value for key, node in found.nodes.items()} == {value: value for value in spelled}
    pairs = mirror_permutation(tree)
    left, right = (tree.leaf_index(tree.find(name).id) for name in ("rib-left-3", "rib-right-3"))
    assert (pairs[left], pairs[right]) == (right, left)
    spine = tree.leaf_index("vertebrae-l1")
    assert pairs[spine] == spine


def test_resources_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, resources: Path) -> None:
    assert resources_folder() == resources
    with pytest.raises(InputError, match="no shipped label tree 'brain'; there are brain-134, "):
        label_tree_path("brain")
    model = tmp_path / "Models" / "small" / "configs" / "metadata.json"
    model.parent.mkdir(parents=True)
    model.write_text("{}")
    monkeypatch.setenv("SOFTSEG_RESOURCES", str(tmp_path))
    assert (list_models(), model_path("small")) == (["small"], tmp_path / "Models" / "small")
    with pytest.raises(InputError, match="no shipped model 'large'; shipped models: small"):
        model_path("large")
    member = tmp_path / "Models" / "small" / "members" / "left"
    member.mkdir(parents=True)
    assert named_model("small/members/left") == model_path("small/members/left") == member
    assert named_model("small") == member.parents[1]
    assert [named_model(path) for path in (tmp_path, "runs/large")] == [tmp_path, Path("runs/large")]
    with pytest.raises(InputError, match="no shipped model 'small/members/right'; members of small: left"):
        named_model("small/members/right")
    monkeypatch.setenv("SOFTSEG_RESOURCES", str(tmp_path / "none"))
    with pytest.raises(InputError, match="SOFTSEG_RESOURCES: no such folder"):
        resources_folder()


def test_public_names_are_there() -> None:
    assert sorted(set(softseg.tree.__all__)) == sorted(softseg.tree.__all__)
    assert all(hasattr(softseg.tree, name) for name in softseg.tree.__all__)
    assert softseg.LabelTree is LabelTree


def loaded(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


def test_trees_load_without_the_heavy_packages() -> None:
    heavy = {"torch", "monai", "pydantic", "typer", "rich", "scipy", "SimpleITK", "matplotlib", "slicer", "qt", "vtk"}
    assert not heavy & loaded("import softseg.tree, softseg.resources; softseg.tree.FORMATS")
    assert "matplotlib" in loaded("import softseg.tree, matplotlib")


def test_indian_pines_has_the_classes_of_the_data(shared_data: Path) -> None:
    tree = shipped("indian-pines")
    with np.load(shared_data / "hyperspectral" / "indian_pines.npz") as archive:
        counts = np.bincount(archive["labels"].ravel())
    assert {leaf.value for leaf in tree.leaves} == set(np.flatnonzero(counts)) - {0}
    published = {  # pixels of each class as Purdue's ground truth of the site lists them
        "alfalfa": 46, "corn-no-till": 1428, "corn-min-till": 830, "corn-other": 237, "grass-pasture": 483,
        "grass-trees": 730, "grass-pasture-mowed": 28, "hay-windrowed": 478, "oats": 20, "soybean-no-till": 972,
        "soybean-min-till": 2455, "soybean-clean-till": 593, "wheat": 205, "woods": 1265, "buildings": 386,
        "stone-steel-towers": 93,
    }  # fmt: skip
    assert {leaf.id: int(counts[leaf.value]) for leaf in tree.leaves if leaf.value is not None} == published
    assert tree.depth == 3
    assert [node.name for node in tree.path("corn-no-till")] == ["scene", "crops", "corn", "corn, no till"]
    assert [len(tree.cut_at(level)) for level in range(4)] == [1, 4, 8, 16]
