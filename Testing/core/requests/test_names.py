"""One rule for file names: any two different texts have different names, on every file system."""

import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from softseg.requests.names import LONGEST_BYTES, MARK, file_name, file_names, folded, marked_file_name

ANY_TEXT = st.text(st.characters(), max_size=40)  # lone surrogates too: names that are no UTF-8
NAME_LIKE = st.text(st.sampled_from("aAbBé\u0301e1 -_./\\:()~\u212aK\u017fßsµμ\x00\n"), max_size=6)
AWKWARD = st.sampled_from(
    [
        "",
        ".",
        "..",
        "-",
        "~",
        " ",
        "CON",
        "con.nii",
        "nul ",
        "COM1",
        "com¹",
        "aux.tar.gz",
        "lpt9.",
        "x" * 300,
        "é" * 200,
    ]
)
TEXTS = st.one_of(ANY_TEXT, NAME_LIKE, AWKWARD)

PREFIX, ENDING = "decision_", "_information.nii.gz"  # the longest that the product adds


@pytest.mark.parametrize(
    "name",
    ["sub-01_T1w", "left-hippocampus", "T1", "t1", "scan-1", "ctx_lh_G+S", "größe", "日本語", "lr=0.1", "p1_0000",
     "1.2.840.113619", "sub-01-20240101", "x" * 100, "scan-1-0a1b2c3d4e", "a..b", "_private", "console", "com10"],
)  # fmt: skip
def test_ordinary_names_stay(name):
    assert file_name(name) == name


@pytest.mark.parametrize(
    ("text", "readable"),
    [("scan (1)", "scan-1"), ("scan 1", "scan-1"), ("CA2/3", "CA2-3"), (".hidden", "hidden"), ("..", "unnamed"),
     ("", "unnamed"), ("T1: axial", "T1-axial"), ("-rf", "rf"), ("e\u0301", "é"), ("CON", "_CON"), ("a\x00b", "a-b")],
)  # fmt: skip
def test_other_names_stay_readable(text, readable):
    base, _, mark = file_name(text).partition(MARK)
    assert base == readable
    assert len(mark) == 10
    assert set(mark) <= set("0123456789abcdef")


@settings(max_examples=500)
@given(TEXTS)
@example(".:.0")
def test_a_name_can_be_written_anywhere(text):
    for name in (file_name(text), marked_file_name(text, "identity"), file_names([text, text.swapcase()])[text]):
        assert 0 < len(name.encode("utf-8")) <= LONGEST_BYTES
        assert unicodedata.is_normalized("NFC", name)
        assert name == PurePosixPath(name).name == PureWindowsPath(name).name
        assert not set(name) & set("<>:\"/\\|?*, ;'$&`()[]{}!#%^")
        assert not any(unicodedata.category(sign)[0] in "CZ" for sign in name)
        assert name[0] not in ".-~"
        assert name[-1] != "."
        assert not PureWindowsPath(name).is_reserved()
        assert not PureWindowsPath(f"{name}.nii.gz").is_reserved()
        whole = f"{PREFIX}{name}{ENDING}"
        assert len(whole.encode("utf-8")) <= 255
        assert len(unicodedata.normalize("NFD", whole).encode("utf-16-le")) // 2 <= 255


@settings(max_examples=500)
@given(st.lists(TEXTS, min_size=2, max_size=8, unique=True))
def test_different_texts_have_different_names(texts):
    texts = list(dict.fromkeys([*texts, *map(file_name, texts)]))  # a name is a text too
    assert len({file_name(text) for text in texts}) == len(texts)


@settings(max_examples=500)
@given(st.lists(TEXTS, min_size=1, max_size=8), st.lists(TEXTS, max_size=2))
@example(["T1", "t1", "T2"], [])
@example(["results.json", "a"], ["RESULTS.json"])
@example(["Straße", "STRASSE", "\u212a", "k", "ﬁ", "fi", "é", "e\u0301", "ı", "I", "i"], [])
def test_different_texts_of_a_folder_differ_on_every_file_system(texts, others):
    taken = [file_name(other) for other in others]
    texts = list(dict.fromkeys([t for text in texts for t in (text, file_name(text), text.swapcase())]))
    names = file_names(texts, taken)
    assert list(names) == texts
    for same in (str.casefold, str.lower, str.upper, folded, lambda n: unicodedata.normalize("NFD", n).casefold()):
        assert len({same(name) for name in names.values()}) == len(texts)
        assert not {same(name) for name in names.values()} & {same(name) for name in taken}


@given(st.lists(TEXTS, min_size=1, max_size=8, unique=True), st.randoms())
def test_neither_order_nor_a_stranger_changes_a_name(texts, random):
    names = file_names(texts)
    random.shuffle(texts)
    assert file_names(texts) == names
    assert file_names([*texts, *texts]) == names
    alone = [text for text in texts if file_name(text) == names[text]]
    assert {text: names[text] for text in alone} == file_names(alone)


@given(st.dictionaries(TEXTS, st.sampled_from(["scan", "Scan", "scan 1", "scan (1)", "x", ""]), min_size=1, max_size=8))
def test_files_of_one_text_are_told_apart_by_what_they_are(texts):
    names = file_names(texts, ["x"])
    assert list(names) == list(texts)
    assert len({folded(name) for name in [*names.values(), "x"]}) == len(texts) + 1


def test_every_member_of_a_colliding_group_is_marked():
    names = file_names(["T1", "t1", "T2"])
    assert names["T2"] == "T2"
    assert names["T1"].startswith("T1~")
    assert names["t1"].startswith("t1~")


def test_names_of_files_that_belong_to_the_folder_are_not_given_away():
    assert file_names(["results.json"], ["results.json"])["results.json"] == marked_file_name(
        "results.json", "results.json"
    )


def test_names_are_the_same_in_every_version():
    """Results of today are found again by this: the marks must never change."""
    assert file_name("scan 1") == "scan-1~9c41e81137"
    assert file_name("scan (1)") == "scan-1~050039140c"
    assert file_name("CA2/3") == "CA2-3~a7b9738b23"
    assert file_names(["T1", "t1"]) == {"T1": "T1~1f93603db5", "t1": "t1~628b49d96d"}


def test_names_of_a_folder_can_be_made(tmp_path):
    texts = ["CA2/3", "CA2 3", "ca2 3", "..", ".", "", "con", "x" * 500, "é", "e\u0301", "\udce9", "a\x00"]
    for name in file_names(texts).values():
        (tmp_path / f"{PREFIX}{name}{ENDING}").touch()
    assert len(list(tmp_path.iterdir())) == len(texts)
