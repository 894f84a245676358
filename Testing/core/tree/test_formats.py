"""Every format: what it keeps comes back, and what is wrong is named with file, line and node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from softseg.errors import InputError
from softseg.tree import FORMATS, Code, LabelTree, Node, Terminology

ENDINGS = {
    "json": ".json", "freesurfer": ".txt", "text": ".txt", "csv": ".csv", "slicer-csv": ".csv", "ctbl": ".ctbl",
    "itk-snap": ".txt", "dseg": ".tsv",
}  # fmt: skip
SHARED = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def with_plain_names(tree: LabelTree) -> LabelTree:
    """Return the tree with names that differ and hold only letters and blanks; ids as readers make them."""
    nodes = []
    for index, node in enumerate(tree.nodes):
        word = "".join(chr(ord("a") + int(digit)) for digit in str(index))
        parent = (
            node.parent and next(new for old, new in zip(tree.nodes, nodes, strict=False) if old.id == node.parent).id
        )
        fields = {"color": node.color, "value": node.value, "terminology": node.terminology, "weight": node.weight}
        nodes.append(Node(f"node-{word}", f"Node {word}", parent, **fields))
    return LabelTree(nodes, tree.name)


def again(tree: LabelTree, folder: Path, format_: str) -> LabelTree:
    file = folder / f"tree{ENDINGS[format_]}"
    assert tree.save(file, format_) == file
    assert [path.name for path in folder.iterdir()] == [file.name]
    read = LabelTree.load(file)
    assert read == LabelTree.load(file, format_)
    file.unlink()
    return read


def shape(tree: LabelTree) -> list[tuple[str, int | None, int]]:
    return [(node.name, node.value, int(depth)) for node, depth in zip(tree.nodes, tree.depths, strict=True)]


def leaves(tree: LabelTree) -> list[tuple[int | None, str]]:
    return sorted((leaf.value, leaf.name) for leaf in tree.leaves)


@SHARED
@given(tree=...)
def test_json_keeps_everything(tmp_path: Path, tree: LabelTree) -> None:
    assert LabelTree.from_json(json.loads(json.dumps(tree.to_json()))) == tree
    read = again(tree, tmp_path, "json")
    assert read == tree


@SHARED
@given(tree=...)
def test_csv_of_levels_keeps_all_but_the_name(tmp_path: Path, tree: LabelTree) -> None:
    plain = with_plain_names(tree)
    assert again(plain, tmp_path, "csv").nodes == plain.nodes


@SHARED
@given(tree=...)
def test_text_keeps_names_values_and_shape(tmp_path: Path, tree: LabelTree) -> None:
    plain = with_plain_names(tree)
    assert shape(again(plain, tmp_path, "text")) == shape(plain)


@SHARED
@given(tree=...)
def test_tables_with_a_path_keep_leaves_and_branches(tmp_path: Path, tree: LabelTree) -> None:
    plain = with_plain_names(tree)
    if not plain.inner_nodes:
        return
    for format_ in ("slicer-csv", "dseg"):
        read = again(plain, tmp_path, format_)
        paths = [[node.name for node in plain.path(leaf.id)] for leaf in plain.leaves]
        assert [[node.name for node in read.path(leaf.id)] for leaf in read.leaves] == paths
        assert [leaf.id for leaf in read.leaves] == [leaf.id for leaf in plain.leaves]
        for before, after in zip(plain.leaves, read.leaves, strict=True):
            assert after.value == before.value
            if before.color is not None:
                assert after.color == before.color
            if format_ == "slicer-csv":
                assert after.terminology == before.terminology


@SHARED
@given(tree=...)
def test_flat_tables_keep_value_name_and_colour(tmp_path: Path, tree: LabelTree) -> None:
    plain = with_plain_names(tree)
    for format_, blank in (("freesurfer", "-"), ("ctbl", " "), ("itk-snap", " ")):
        read = again(plain, tmp_path, format_)
        assert read.depth == 1
        assert leaves(read) == sorted((leaf.value, leaf.name.replace(" ", blank)) for leaf in plain.leaves)
        colors = {leaf.value: leaf.color for leaf in plain.leaves if leaf.color}
        assert {leaf.value: leaf.color for leaf in read.leaves if leaf.value in colors} == colors


def test_formats_by_ending(tissue: LabelTree, tmp_path: Path) -> None:
    assert set(FORMATS) == set(ENDINGS)
    for name in ("a.json", "a.txt", "a.csv", "a_dseg.tsv", "a.ctbl", "a.label", "MyLUT.txt", "a.lut"):
        tissue.save(tmp_path / name)
        assert leaves(LabelTree.load(tmp_path / name)) == leaves(tissue)
    assert (tmp_path / "MyLUT.txt").read_text().splitlines()[1].startswith("#No. Label Name")
    assert (tmp_path / "a.txt").read_text().startswith("root\n  T\n    tum\n      t1 = 1\n")
    with pytest.raises(InputError, match=r"a\.xls: unrecognised file extension for a label tree"):
        tissue.save(tmp_path / "a.xls")
    with pytest.raises(InputError, match="unknown label tree format 'xml'; expected one of json, "):
        tissue.save(tmp_path / "a.xml", "xml")


def test_text_without_values_numbers_the_leaves(tmp_path: Path) -> None:
    file = tmp_path / "tree.txt"
    file.write_bytes(b"\xef\xbb\xbfbrain\r\n  grey matter\r\n    cortex\r\n    deep\r\n\r\n  white matter\r\n")
    tree = LabelTree.load(file)
    assert shape(tree) == [
        ("brain", None, 0), ("grey matter", None, 1), ("cortex", 1, 2), ("deep", 2, 2), ("white matter", 3, 1),
    ]  # fmt: skip
    assert tree.node("grey matter").name == "grey matter"
    file.write_text("brain\n  a = 4\n  b=0\n")
    assert [leaf.value for leaf in LabelTree.load(file).leaves] == [4, 0]


def test_csv_of_the_real_brain(shared_data: Path) -> None:
    tree = LabelTree.load(shared_data / "brain" / "tree.csv")
    assert (len(tree.leaves), tree.depth, tree.root.id) == (134, 5, "brain")
    assert [node.name for node in tree.path("left-hippocampus")] == [
        "brain", "grey matter", "deep grey matter", "medial temporal", "Hippocampus", "Left Hippocampus",
    ]  # fmt: skip
    assert tree.node("left-hippocampus").value == 48
    assert [node.name for node in tree.path("left-lateral-ventricle")][2:] == [
        "ventricles", "Lateral Ventricle", "Left Lateral Ventricle",
    ]  # fmt: skip
    assert (tree.mirror_permutation() != range(134)).sum() == 126


def test_slicers_own_example(tmp_path: Path) -> None:
    codes = [f"{field}_{part}" for field in ("Category", "Type", "TypeModifier", "Region", "RegionModifier")
             for part in ("CodingScheme", "CodeValue", "CodeMeaning")]  # fmt: skip
    file = tmp_path / "kidneys.csv"
    rows = [
        ",".join(["LabelValue", "Name", "Color_R", "Color_G", "Color_B", "Color_A", *codes]),
        "1,left_kidney,185,102,83,255,SCT,123037004,Anatomical Structure,SCT,64033007,Kidney,SCT,7771000,Left,,,,,,",
        "6,mass,144,238,144,255,SCT,49755003,Altered,SCT,4147007,Mass,,,,SCT,64033007,Kidney,SCT,24028007,Right",
        "7,plain,1,2,3,255,,,,,,,,,,,,,,,",
    ]
    file.write_text("\n".join(rows) + "\n")
    tree = LabelTree.load(file)
    assert [(leaf.id, leaf.value) for leaf in tree.leaves] == [("left-kidney", 1), ("mass", 6), ("plain", 7)]
    kidney, mass, plain = (leaf.terminology for leaf in tree.leaves)
    category = Code("123037004", "SCT", "Anatomical Structure")
    assert kidney == Terminology(category, Code("64033007", "SCT", "Kidney"), Code("7771000", "SCT", "Left"))
    assert mass is not None
    assert mass.region_modifier == Code("24028007", "SCT", "Right")
    assert plain is None
    tsv = tmp_path / "kidneys.tsv"
    tsv.write_text("\n".join(rows).replace(",", "\t") + "\n")
    assert LabelTree.load(tsv).nodes[1:] == tree.nodes[1:]


def test_slicer_ctbl_and_itk_snap_and_bids(tmp_path: Path) -> None:
    ctbl = tmp_path / "x.ctbl"
    ctbl.write_text("# Color table file x.ctbl\n# 2 values\n0 Background 0 0 0 0\n1 grey_matter 216 101 79 255\n")
    tree = LabelTree.load(ctbl)
    assert leaves(tree) == [(0, "Background"), (1, "grey matter")]
    assert tree.background is not None
    (tmp_path / "x.txt").write_text(ctbl.read_text())
    assert LabelTree.load(tmp_path / "x.txt") == tree
    snap = tmp_path / "labels.txt"
    snap.write_text('################\n# comment\n 0 0 0 0 0 0 0 "Clear Label"\n 3 255 0 0 1 1 1 "Cortex (L)"\n')
    assert leaves(LabelTree.load(snap)) == [(0, "background"), (3, "Cortex (L)")]
    bids = tmp_path / "space_dseg.tsv"
    bids.write_text("index\tname\tabbreviation\tcolor\tmapping\n1\tGray Matter\tGM\t#ff53bb\t1\n2\tWM\tWM\tn/a\t2\n")
    tree = LabelTree.load(bids)
    assert leaves(tree) == [(1, "Gray Matter"), (2, "WM")]
    assert tree.leaves[0].color == (255, 83, 187)
    assert tree.leaves[1].color is None


def test_leaves_that_share_a_name_are_written_by_id(tmp_path: Path) -> None:
    nodes = [Node("root", "root", None), Node("a", "side", "root", value=1), Node("b", "side", "root", value=2)]
    LabelTree(nodes).save(tmp_path / "x.ctbl")
    assert leaves(LabelTree.load(tmp_path / "x.ctbl")) == [(1, "a"), (2, "b")]


def test_writers_refuse_what_they_cannot_hold(tissue: LabelTree, tmp_path: Path) -> None:
    twins = tissue.rename("t2", "t1")
    with pytest.raises(InputError, match="node 't2': indented text needs names that differ, and 't1' is named"):
        twins.save(tmp_path / "x.txt")
    with pytest.raises(InputError, match=r"node 't1': a CSV of levels cannot hold .* use JSON"):
        twins.save(tmp_path / "x.csv")
    with pytest.raises(InputError, match="node 't1': indented text cannot hold a name with '='"):
        tissue.rename("t1", "a=b").save(tmp_path / "x.txt")
    with pytest.raises(InputError, match="node 't1': this format cannot hold a name with ' > '"):
        tissue.rename("T", "a > b").save(tmp_path / "x.tsv")
    assert list(tmp_path.iterdir()) == []


TEXT, CSV, JSON, LUT = "tree.txt", "tree.csv", "tree.json", "lut.txt"
HEAD = '{"schema": "softseg-label-tree", "version": 1, "nodes": [\n'
R = '{"id": "r", "name": "r", "parent": null},\n'
SLICER = "LabelValue,Name,Color_R,Color_G,Color_B\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (TEXT, "  \n", "tree.txt: the file is empty"),
        (TEXT, "a\n  b\nc\n", "tree.txt: line 3, node 'c': a second root: 'a' is the root already"),
        (TEXT, "a\n  b\n  b\n", "tree.txt: line 3, node 'b': this name stands in line 2 already"),
        (TEXT, "a\n  b = 1\n  c = 1\n", "tree.txt: line 3, node 'c': label value 1 already belongs to node 'b'"),
        (TEXT, "a\n  b = 1\n  c\n", "tree.txt: line 3, node 'c': a leaf needs a label value"),
        (
            TEXT,
            "a\n  b = x\n",
            "tree.txt: line 2, node 'b': expected the value after '=' to be a whole number, got 'x'",
        ),
        (TEXT, "a\n  b = 70000\n", "tree.txt: line 2, node 'b': expected a label value that is a whole number"),
        (TEXT, "a\n   b\n", "tree.txt: line 2, node 'b': an indent of 3 spaces; use two spaces a level"),
        (TEXT, "a\n    b\n", "tree.txt: line 2, node 'b': indented by 2 levels below the line above"),
        (TEXT, "a\n\tb\n", "tree.txt: line 2: a tab in the indent; use two spaces a level"),
        (TEXT, "a\n  = 3\n", "tree.txt: line 2: no name before '='"),
        (TEXT, "a\0b\n", "tree.txt: not a text file"),
        (CSV, "a,b\n1,2\n", "tree.csv: line 1: expected columns level1, level2, ..."),
        (CSV, "id,name,level1\n", "tree.csv: no label in the table"),
        (CSV, "level1,level2\nr,a\n", "tree.csv: line 1: expected a column 'value'"),
        (CSV, "id,id,level1\n1,2,a\n", "tree.csv: line 1: the column 'id' is there twice"),
        (CSV, "id,level1,level2\n1,r,a\n2,q,b\n", "tree.csv: line 3, node 'q': a second root: 'r' is the root already"),
        (
            CSV,
            "id,level1,level2\n1,r,a\n2,r,a\n",
            "tree.csv: line 3, node 'a': this node is described in line 2 already",
        ),
        (
            CSV,
            "id,level1,level2\n1,r,a\n1,r,b\n",
            "tree.csv: line 3, node 'b': label value 1 already belongs to node 'a'",
        ),
        (CSV, "id,level1,level2\nx,r,a\n", "tree.csv: line 2, node 'a': expected the label value to be a whole number"),
        (CSV, "id,level1,level2\n1,r\n", "tree.csv: line 2: expected 3 cells, got 2"),
        (CSV, "id,level1,level2,level3\n1,r,,a\n", "tree.csv: line 2, node 'a': an empty cell between two levels"),
        (CSV, "id,level1,level2\n1,,\n", "tree.csv: line 2: no name in the level columns"),
        (CSV, "id,weight,level1,level2\n1,-2,r,a\n", "tree.csv: line 2, node 'a': expected a weight"),
        (CSV, "id,weight,level1,level2\n1,x,r,a\n", "tree.csv: line 2, node 'a': expected the weight to be a number"),
        (CSV, "id,color,level1,level2\n1,red,r,a\n", "tree.csv: line 2, node 'a': expected a colour like #ff8000"),
        (CSV, "id,node,level1,level2\n1,x,r,a\n2,x,r,b\n", "tree.csv: line 3, node 'x': this id is given twice"),
        (CSV, 'id,level1,level2\n1,r,"a\n', "tree.csv: line 2: not a table: unexpected end of data"),
        (CSV, SLICER + "1,a,0,0,300\n", "tree.csv: line 2, node 'a': expected colour channels 0..255, got 0 0 300"),
        (CSV, SLICER + "1,a,0,0,0\n1,b,0,0,0\n", "tree.csv: line 3, node 'b': label value 1 already belongs"),
        (CSV, SLICER + "x,a,0,0,0\n", "tree.csv: line 2, node 'a': expected LabelValue to be a whole number"),
        (CSV, SLICER, "tree.csv: no label in the file"),
        (
            CSV,
            "LabelValue,Name,Type_CodeValue\n1,a,42\n",
            "line 2, node 'a': the code Type needs value, scheme and meaning",
        ),
        (
            CSV,
            "LabelValue,Name,Type_CodeValue,Type_CodingScheme,Type_CodeMeaning\n1,a,42,SCT,x\n",
            "tree.csv: line 2, node 'a': terminology needs a Category and a Type",
        ),
        (LUT, "1 a 0 0 0 0\n1 b 0 0 0 0\n", "lut.txt: line 2, node 'b': label value 1 already belongs to node 'a'"),
        (
            LUT,
            "1 a 0 0 0 0\n2 b 0 0 0\n",
            "lut.txt: line 2: expected value, name, red, green, blue, alpha; got 5 cells",
        ),
        (
            LUT,
            "1 a 0 0 0 0\n2 b 0 0 x 0\n",
            "lut.txt: line 2, node 'b': expected a colour channel to be a whole number",
        ),
        (LUT, '1 0 0 0 1 1 1 "a"\n2 0 0 0 1 1 "b"\n', "lut.txt: line 2: expected value, red, green, blue"),
        (
            "x.tsv",
            "index\tvolume\n1\ta\n",
            "x.tsv: line 1: expected columns level1, level2, ..., or a header with a column",
        ),
        ("x.tsv", "index\tname\tcolor\n1\ta\tblue\n", "x.tsv: line 2, node 'a': expected a colour like #ff8000"),
        ("x.tsv", "index\tname\tnode_path\n1\ta\tr\n2\tb\tq\n", "x.tsv: line 3, node 'q': a second root"),
        (JSON, "{", "tree.json: line 1: not JSON"),
        (JSON, '{"name": "a", "name": "b"}', "tree.json: not JSON: the key 'name' is there twice"),
        (JSON, '{"version": ' + "9" * 5000 + "}", "tree.json: not JSON: Exceeds the limit"),
        (JSON, "[]", "tree.json: expected a JSON object"),
        (JSON, "[" * 100000, "tree.json: not a label tree: nested too deeply"),
        (JSON, "{}", "tree.json: schema: expected 'softseg-label-tree', got None"),
        (
            JSON,
            HEAD.replace("1", "2") + R[:-2] + "]}",
            "tree.json: version: expected version 1, got 2; written by a newer",
        ),
        (JSON, HEAD.replace('"version"', '"x": 1, "version"') + R[:-2] + "]}", "tree.json: x: unknown key"),
        (
            JSON,
            HEAD.replace('"nodes": [', '"name": 3, "nodes": [') + R[:-2] + "]}",
            "tree.json: name: expected text, got 3",
        ),
        (JSON, '{"schema": "softseg-label-tree", "version": 1}', "tree.json: nodes: expected a list of nodes"),
        (
            JSON,
            HEAD + R + '{"id": "a", "parent": "r", "value": 1, "colour": 3}]}',
            "line 3, node 'a': unknown key 'colour'",
        ),
        (
            JSON,
            HEAD + R + '{"id": "a", "parent": "r", "value": 1.5}]}',
            "tree.json: line 3, node 'a': expected a label value",
        ),
        (
            JSON,
            HEAD + R + '{"id": "a", "parent": "q", "value": 1}]}',
            "line 3, node 'a': its parent 'q' is not in the tree",
        ),
        (JSON, HEAD + R + '{"id": "a", "parent": "a", "value": 1}]}', "tree.json: line 3, node 'a': a cycle: a > a"),
        (JSON, HEAD + R + '{"id": 5, "parent": "r"}]}', "line 3: expected nodes[1] to have an id that is text, got 5"),
        (JSON, HEAD + R + "7]}", "line 3: expected nodes[1] to be an object, got 7"),
        (
            JSON,
            HEAD + R + '{"id": "a", "parent": "r", "value": 1, "weight": 0}]}',
            "line 3, node 'a': expected a weight",
        ),
        (JSON, HEAD + R + '{"id": "a", "parent": "r", "value": 1, "color": [1, 2]}]}', "node 'a': expected a colour"),
        (
            JSON,
            HEAD + R + '{"id": "a", "parent": "r", "value": 1, "terminology": {}}]}',
            "node 'a': expected terminology with",
        ),
        (
            JSON,
            HEAD + R + '{"id": "a", "parent": "r", "value": 1, "terminology": {"category": {}, "type": {}}}]}',
            "line 3, node 'a': expected terminology category to have value, scheme and meaning",
        ),
    ],
)
def test_errors_name_file_line_and_node(tmp_path: Path, name: str, text: str, message: str) -> None:
    file = tmp_path / name
    file.write_bytes(text.encode())
    with pytest.raises(InputError) as caught:
        LabelTree.load(file)
    assert message in str(caught.value)
    assert caught.value.file == str(file)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json: no such file"):
        LabelTree.load(tmp_path / "none.json")
    with pytest.raises(InputError, match="expected a label tree, got a folder"):
        LabelTree.load(tmp_path)
    file = tmp_path / "latin.txt"
    file.write_bytes("Hirn\n  Gro\xdfhirn\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.txt: line 2: not UTF-8 text; save it as UTF-8"):
        LabelTree.load(file)


def test_saving_where_nothing_can_be_written(tissue: LabelTree, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="a file or folder of that name is in the way"):
        tissue.save(tmp_path / "file" / "tree.json")
