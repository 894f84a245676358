"""Tables of labels in every form that programs and people write: columns are found, and what is unclear is refused."""

from __future__ import annotations

import codecs
import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from softseg.errors import InputError
from softseg.tree import Code, LabelTree, Terminology

OURS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

LIVER, SPLEEN = (1, "Liver", (221, 130, 101)), (2, "Spleen", (157, 108, 162))


def labels(text: str, tmp_path: Path, name: str = "labels.txt") -> list[tuple[int | None, str, object]]:
    file = tmp_path / name
    file.write_bytes(text.encode())
    return [(leaf.value, leaf.name, leaf.color) for leaf in LabelTree.load(file).leaves]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lut.txt", "#No. Label Name: R G B A\n1 Liver 221 130 101 0\n2 Spleen 157 108 162 0\n"),
        ("lut.txt", "#No. Label Name: R G B A\n1 Liver 221 130 101 0\n2 Spleen 157 108 162 0 3\n"),
        ("lut.txt", "1 Liver 221 130 101 0 1\n2 Spleen 157 108 162 0 3\n"),
        ("lut.txt", "1 Liver 221 130 101\n2 Spleen 157 108 162\n"),
        ("lut.txt", "1\tLiver\t221\t130\t101\t0\n\n2\tSpleen \t157\t108\t162\t0\n"),
        ("lut.txt", "1 \tLiver\t\t221 130\t101 0\n2\tSpleen 157 108 162 0 # a remark\n"),
        ("x.txt", "# a licence\n#\n1  LIV  Liver   221 130 101 255\n2  SPL  Spleen  157 108 162 255\n"),
        ("x.txt", "#Index ShortName LongName R G B A\n1 Li Liver 221 130 101 255\n2 Sp Spleen 157 108 162 255\n"),
        ("x.txt", "# R G B Name Index\n221 130 101 Liver 1\n157 108 162 Spleen 2\n"),
        ("x.txt", 'IDX R G B A VIS MSH LABEL\n1 221 130 101 1 1 1 "Liver"\n2 157 108 162 1 1 1 "Spleen"\n'),
        ("x.txt", '    1   221  130  101        1  1  1    "Liver"\n    2   157  108  162  0.5  1  0  "Spleen"\n'),
        ("x.label", "1 221 130 101 1 1 1 “Liver”\n2 157 108 162 1 1 1 “Spleen”\n"),
        ("x.txt", "Liver 1 221 130 101\nSpleen 2 157 108 162\n"),
        ("x.txt", "Liver 1 221 130 101 255\nSpleen 2 157 108 162 255\n"),
        ("x.txt", "1 Liver #dd8265\n2 Spleen #9D6CA2\n"),
        ("x.txt", "index,name,color\n1,Liver,#dd8265\n2,Spleen,#9D6CA2\n"),
        ("x.csv", "1,Liver,221,130,101\n2,Spleen,157,108,162\n"),
        ("x.csv", "1;Liver;221;130;101;255;\n2;Spleen;157;108;162;255;\n"),
        ("x.csv", '"color","name","id"\n#dd8265,Liver,1\n#9D6CA2,Spleen,2\n'),
        ("x.csv", "ROIid;ROIabbr;ROIname;ROIcolor\n1;Liv;Liver;221 130 101\n2;Spl;Spleen;157 108 162\n"),
        ("x.csv", "LabelValue;Name;Color_R;Color_G;Color_B;Color_A\n"
         "1;Liver;221;130;101;255\n2;Spleen;157;108;162;255\n"),
        ("x.csv", "label,name,r,g,b,volume\n1,Liver,221,130,101,7\n2,Spleen,157,108,162,8\n"),
        ("x.tsv", "ID\tLabelName           \tR\tG\tB\tA\n1\tLiver \t221\t130\t101\t0\n2\tSpleen\t157\t108\t162\t0\n"),
        ("x.tsv", "# organs\nindex\tname\tabbreviation\tcolor\tmapping\n"
         "1.0\tLiver\tLIV\t#dd8265\t1\n2.0\tSpleen\tSPL\t#9d6ca2\t2\n"),
        ("x.tsv", "index\tname\tcolor\n1\tLiver\t221,130,101\n2\tSpleen\trgb(157, 108, 162)\n"),
        ("x.tsv", "index\tcolor\tlabel\n1\t[221 130 101]\tLiver\n2\t(157, 108, 162)\tSpleen\n"),
        ("x.csv", "Labels of our study,,\nindex,name,color\n1,Liver,#dd8265\n2,Spleen,#9d6ca2\n"),
        ("x.csv", ",index,name,color\n0,1,Liver,#dd8265\n1,2,Spleen,#9d6ca2\n"),
        ("x.txt", "index name volume r g b\n1 Liver 1500.5 221 130 101\n2 Spleen 200.1 157 108 162\n"),
        ("x.txt", "1: Liver 221 130 101 255\n2: Spleen 157 108 162 255\n"),
        ("x.ctbl", "# Color table file x\n1 Liver 221 130 101 255\n2 Spleen 157 108 162 255\n"),
        ("x.csv", "index,name,red,green,blue\n1,Liver,0.8667,0.5098,0.3961\n2,Spleen,0.6157,0.4235,0.6353\n"),
        ("x.txt", "1 Liver 0.8667 0.5098 0.3961 1.0\n2 Spleen 0.6157 0.4235 0.6353 1.0\n"),
        ("x.csv", "1,Liver,221.0,130.0,101.0\n2,Spleen,157.0,108.0,162.0\n"),
        ("x.txt", "Labels of our study, by hand.\nSee the paper.\n\nvalue name red green blue\n"
         "1 Liver 221 130 101\n2 Spleen 157 108 162\n"),
    ],
)  # fmt: skip
def test_the_same_labels_in_every_form(tmp_path: Path, name: str, text: str) -> None:
    assert labels(text, tmp_path, name) == [LIVER, SPLEEN]
    assert labels(text.replace("\n", "\r\n"), tmp_path, name) == [LIVER, SPLEEN]


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("x.txt", "0 background\n2 left_wm\n41 right_wm\n", [(0, "background"), (2, "left_wm"), (41, "right_wm")]),
        ("x.txt", "1 Precentral_L 1\n35 Cingulate_Ant_L 35\n", [(1, "Precentral_L"), (35, "Cingulate_Ant_L")]),
        ("x.txt", "1 Precentral_L 2001\n2 Precentral_R 2002\n", [(1, "Precentral_L"), (2, "Precentral_R")]),
        ("x.txt", "FAG\tPrecentral_L\t2001\nFAD\tPrecentral_R\t2002\n",
         [(2001, "Precentral_L"), (2002, "Precentral_R")]),
        ("x.txt", "1 Area 4\n2 Area 6\n3 Insula\n", [(1, "Area 4"), (2, "Area 6"), (3, "Insula")]),
        ("x.txt", "left hippocampus 17\nright hippocampus 53\n", [(17, "left hippocampus"), (53, "right hippocampus")]),
        ("x.txt", "labels    structures\n0     background\n14    3rd ventricle\n",
         [(0, "background"), (14, "3rd ventricle")]),
        ("x.txt", "1 Left Thalamus\n2 Right Thalamus\n", [(1, "Left Thalamus"), (2, "Right Thalamus")]),
        ("x.txt", "1 Precentral_L 1\n2 Precentral_R 2\n35 Cingulate_Ant_L\n121 Thal_AV_L 121\n",
         [(1, "Precentral_L"), (2, "Precentral_R"), (35, "Cingulate_Ant_L"), (121, "Thal_AV_L")]),
        ("x.txt", "0: background\n1: left liver\n", [(0, "background"), (1, "left liver")]),
        ("x.txt", "0 = background\n1 = left liver\n", [(0, "background"), (1, "left liver")]),
        ("x.txt", "[AAL]\n1 Precentral_L 2001\n2 Precentral_R 2002\n", [(1, "Precentral_L"), (2, "Precentral_R")]),
        ("x.csv", "Index,TotalSegmentator_name,TA2_name\n1,spleen,\n8,adrenal_gland_right,suprarenal gland\n",
         [(1, "spleen"), (8, "adrenal_gland_right")]),
        ("x.csv", "VOI name,VOI No.\na,3\nb,4\n", [(3, "a"), (4, "b")]),
        ("x.csv", "value,label\n1,a\n2,b\n", [(1, "a"), (2, "b")]),
        ("x.csv", "label,name\n1,a\n2,b\n", [(1, "a"), (2, "b")]),
        ("x.csv", "Mindboggle ID,Label Name,RH Label,LH Label,Notes\n2002,Caudal,30,81,\n,Vermis,2,,x\n",
         [(2, "Right Vermis"), (30, "Right Caudal"), (81, "Left Caudal")]),
    ],
)  # fmt: skip
def test_tables_without_colours(tmp_path: Path, name: str, text: str, found: list[tuple[int, str]]) -> None:
    assert sorted((value, label) for value, label, _ in labels(text, tmp_path, name)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0 Unknown 0 0 0 0\n2 Left White Matter 245 245 245 0\n", (2, "Left White Matter", (245, 245, 245))),
        ("0 Unknown 0 0 0 0\n4 Area 4 9 8 7 0\n5 Left Area 4 9 8 7 0\n", (4, "Area 4", (9, 8, 7))),
        ("0 Unknown 0 0 0 0\n5 Left White Matter 1 1 1 0\n4 Left Fornix 9 8 7 0 3\n", (4, "Left Fornix", (9, 8, 7))),
        ('1 "Area 4" 9 8 7\n2 "Area 6" 9 8 0\n', (1, "Area 4", (9, 8, 7))),
        ("1 'Area 4' 9 8 7\n2 'Heschl's gyrus' 9 8 0\n", (1, "Area 4", (9, 8, 7))),
        ("1 Area 4    9 8 7\n2 Area 6    9 8 0\n", (1, "Area 4", (9, 8, 7))),
        ("1 Area 4 9 8 7\n2 Insula 9 8 0\n3 Left pole 9 9 9\n", (2, "Insula", (9, 8, 0))),
        ("1,Area 4,9,8,7\n2,Area 6,9,8,0\n", (1, "Area 4", (9, 8, 7))),
    ],
)
def test_names_with_blanks_and_numbers(tmp_path: Path, text: str, found: tuple[int, str, object]) -> None:
    if text.startswith("1 Area 4 9 8 7\n2 Insula"):  # its first row could have alpha: a row too short is said
        with pytest.raises(InputError, match="line 2: expected value, name, red, green, blue, alpha; got 5 cells"):
            labels(text, tmp_path)
        return
    assert found in labels(text, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "1 Area 1 255 0 0\n2 Area 2 0 255 0\n3 Area 3 0 0 255\n",
        "1 Area 4 9 8 7\n2 Area 6 9 8 0\n",
        "1 a 3 4\n2 b 5 6\n",
    ],
)
def test_what_has_two_readings_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="line 1: no columns of a label table; looked for a header with a column"):
        labels(text, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "one\ntwo\nthree\n",
        "# only\n# comments\n",
        "Dear colleague,\nhere are the labels.\n",
        "name,colour\nliver,red\n",
        "FS VOI No.,FS VOI name,user VOI name,user VOI No.\n2,Left-White-Matter,SWM,1\n4,Left-Ventricle,CSF,2\n",
        "Mindboggle ID (left),Label Name,CerebrA ID,,CerebrA ID,\n,,LH Labels,,RH Labels,\n2002,Caudal,81,,30,1002\n",
    ],
)
def test_what_fits_no_reader_says_what_was_looked_for(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"labels\.txt: line 1: expected columns level1.* value, name, red.* indented"):
        labels(text, tmp_path)


def test_rows_of_numbers_are_never_indented_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 1: no columns"):
        labels("1 a 2 3\n  2 b 2 3\n", tmp_path)
    with pytest.raises(InputError, match="line 2, node '1 grey matter': begins with a number and has no value"):
        labels("brain\n  1 grey matter\n  2 white matter\n", tmp_path)
    with pytest.raises(InputError, match="line 2, node 'left 17': ends with a number and has no value; are these the"):
        labels("hippocampus\n  left 17\n  right 53\n", tmp_path)
    assert labels("areas\n  area 1\n  area 2\n", tmp_path) == [(1, "area 1", None), (2, "area 2", None)]
    assert labels("2 sides\n  left = 17\n  right = 53\n", tmp_path) == [(17, "left", None), (53, "right", None)]
    assert labels("# ours\nbrain\n  # tissue\n  grey = 1\n", tmp_path) == [(1, "grey", None)]
    tree = LabelTree.from_json({"schema": "softseg-label-tree", "version": 1, "nodes": [
        {"id": "r", "name": "r", "parent": None}, {"id": "a", "name": "#a", "parent": "r", "value": 1}]})  # fmt: skip
    with pytest.raises(InputError, match="node 'a': in indented text a name with '#' in front is a comment"):
        tree.save(tmp_path / "x.txt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 a 0 0 0 0\n2 b 9 9 9 0\n1 c 0 0 1 0\n",
         "line 3, node 'c': label value 1 already belongs to node 'a' of line 1"),
        ("1 a 0 0 0 0\n1 ab 0 1 0 0\n", "line 2, node 'ab': label value 1 already belongs to node 'a' of line 1"),
        ("1 a\n1 ab\n", "line 2, node 'ab': label value 1 already belongs to node 'a' of line 1"),
        ("1 a 300 0 0 0\n", "line 1, node 'a': expected colour channels 0..255, got 300 0 0"),
        ("1 a 0 0 0 x\n2 b 0 0 0 0\n", "line 1"),
        ("index,name,r,g\n1,a,0,0\n", "line 1: no column for blue"),
        ("index,name\n1,a\n2.5,b\n", "line 3, node 'b': expected the column index to be a whole number, got '2.5'"),
        ("index,name\n1,a\n70000,b\n", "line 3, node 'b': expected a label value that is a whole number 0..65535"),
        ("index,name\n1,a\n2\n", "line 3: expected 2 cells as in the header; got 1 cells"),
        ("index,name,color\n1,a,#ff00\n", "line 2, node 'a': expected a colour like #ff8000, got '#ff00'"),
        ("index,name,r,g,b,a\n1,a,0,0,0,x\n", "line 2, node 'a': expected alpha to be a number, got 'x'"),
    ],
)  # fmt: skip
def test_errors_name_the_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        labels(text, tmp_path)
    assert message in str(caught.value)


def test_one_structure_named_twice_is_read_once(tmp_path: Path) -> None:
    text = "1 L.TH  Left-Thalamus         0 118 14 255\n1 L.TH  Left-Thalamus-Proper  0 118 14 255\n"
    text += "2 L.CA  Left-Caudate 9 9 9 255\n"
    assert [name for _, name, _ in labels(text, tmp_path)] == ["Left-Thalamus", "Left-Caudate"]
    text = "1 Left-Thalamus 0 118 14 255\n1 Left-Thalamus-Proper 0 118 14 255\n"
    assert [name for _, name, _ in labels(text, tmp_path)] == ["Left-Thalamus"]


def test_names_that_repeat_keep_their_own_ids(tmp_path: Path) -> None:
    file = tmp_path / "lut.txt"
    file.write_text("1 right_insula 9 9 9 255\n2 right_insula 9 9 8 255\n")
    assert [leaf.id for leaf in LabelTree.load(file).leaves] == ["right-insula", "right-insula-2"]


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
    ],
)  # fmt: skip
def test_byte_order_marks(tmp_path: Path, mark: bytes, encoding: str) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(mark + "index;name\r\n1;Großhirn\r\n".encode(encoding))
    assert [leaf.name for leaf in LabelTree.load(file).leaves] == ["Großhirn"]


def test_codes_of_a_table_with_tabs_and_another_order(tmp_path: Path) -> None:
    columns = (
        "Name Type_CodeValue Type_CodingScheme Type_CodeMeaning LabelValue Category_CodeMeaning Category_CodeValue"
    )
    file = tmp_path / "x.tsv"
    file.write_text(
        "\t".join([*columns.split(), "Category_CodingScheme"]) + "\nLiver\t1\tSCT\tLiver\t5\tOrgan\t2\tSCT\n"
    )
    (leaf,) = LabelTree.load(file).leaves
    assert (leaf.value, leaf.terminology) == (5, Terminology(Code("2", "SCT", "Organ"), Code("1", "SCT", "Liver")))


# -- any labels, any form -------------------------------------------------------------------------------------------

WORD = st.text(string.ascii_letters + "_-", min_size=4, max_size=9).filter(lambda word: word[0].isalpha())
ROWS = st.dictionaries(
    st.integers(0, 65535), st.tuples(WORD, st.tuples(*[st.integers(0, 255)] * 3)), min_size=2, max_size=8
)


@OURS
@given(ROWS, st.permutations(["value", "name", "r", "g", "b", "a", "note"]), st.sampled_from("\t;,|"), st.booleans())
def test_columns_in_any_order_with_a_header(
    tmp_path: Path, rows: dict, order: list[str], sign: str, quoted: bool
) -> None:
    def line(cells: dict[str, object]) -> str:
        return sign.join(f'"{cells[column]}"' if quoted else str(cells[column]) for column in order) + "\n"

    text = line({column: column for column in order})
    for value, (name, (r, g, b)) in rows.items():
        text += line({"value": value, "name": f"{name} 7 {value}", "r": r, "g": g, "b": b, "a": 255, "note": "x"})
    expected = [(value, f"{name} 7 {value}", color) for value, (name, color) in rows.items()]
    assert labels(text, tmp_path, "x.csv") == expected


@OURS
@given(ROWS, st.sampled_from([" ", "\t", "   ", " \t"]), st.sampled_from(["", " 0", " 255", " 0 3"]))
def test_rows_of_value_name_and_colour(tmp_path: Path, rows: dict, gap: str, rest: str) -> None:
    text = "# value name R G B A\n"
    for value, (name, color) in rows.items():
        text += gap.join([str(value), f"{name}{value}", *map(str, color)]) + rest.replace(" ", gap) + "\n"
    expected = [(value, f"{name}{value}", color) for value, (name, color) in rows.items()]
    assert labels(text, tmp_path, "lut.txt") == expected
