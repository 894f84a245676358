"""Requests: what cannot be is refused when it is made, and argv says exactly what was asked."""

import dataclasses
import subprocess
import sys

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from softseg.commands.asked import command_of
from softseg.errors import InputError
from softseg.requests import (
    CalibrateRequest,
    CollapseRequest,
    EnsembleRequest,
    EvaluateRequest,
    ExportDataRequest,
    ExportRequest,
    FalseColourRequest,
    FitOutliersRequest,
    PredictRequest,
    StatisticsRequest,
    TrainRequest,
)
from softseg.requests.lists import join_list, split_list
from softseg.requests.request import option_of

KINDS = (
    CalibrateRequest,
    CollapseRequest,
    EnsembleRequest,
    EvaluateRequest,
    ExportDataRequest,
    ExportRequest,
    FalseColourRequest,
    FitOutliersRequest,
    PredictRequest,
    StatisticsRequest,
    TrainRequest,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=8)
AWKWARD = st.sampled_from(["-x", "--out", "--", "a,b", 'say "a"', " a ", "a=b", "--cut=1", "CA2/3", "über"])
VALUES = {str: TEXT | AWKWARD, int: st.integers(0, 10**6), float: st.floats(0, 1e6), bool: st.booleans()}
SPECIAL = {
    "uncertainty": st.sampled_from(["tta:2", "dropout:1000"]),
    "entities": st.sampled_from(["ses-01", "run-2", "acq-highres"]),
}


def one(how):
    if how.choices:
        return st.sampled_from(how.choices)
    if how.kind is float and how.high is not None:
        return st.floats(how.low, how.high, exclude_max=how.below)
    return VALUES.get(how.kind, VALUES[str])


@st.composite
def requests(draw):
    kind = draw(st.sampled_from(KINDS))
    values = {}
    for field in dataclasses.fields(kind):
        how = option_of(field)
        if field.default is not dataclasses.MISSING and draw(st.booleans()):
            continue
        strategy = SPECIAL[field.name] if field.name in SPECIAL else one(how)
        least = 1 if field.default is dataclasses.MISSING else 0
        values[field.name] = draw(st.lists(strategy, min_size=least, max_size=3) if how.several else strategy)
    if kind is CollapseRequest:
        chosen = draw(st.sampled_from(["cut", "node", "confidence"]))
        values = {key: value for key, value in values.items() if key not in ("cut", "node", "confidence")}
        values[chosen] = 0.75 if chosen == "confidence" else "1"
    if kind is PredictRequest:
        if values.get("confidence") is not None:
            values.pop("guarantee", None)
        if values.get("uncertainty") is not None:
            values.pop("mirror", None)
        if values.get("layout") != "bids":
            values.pop("stack", None)
        if values.get("confidence") is not None or values.get("guarantee") is not None:
            values.pop("structures", None)
        if values.get("layout") == "bids":
            values.pop("map_type", None)
    if kind is ExportRequest:
        values["onnx"] = True
    if kind is ExportDataRequest:
        values["nnunet"] = True
    if kind is StatisticsRequest:
        values["out"] = draw(st.sampled_from(["table.csv", "-x.tsv", "a b.json"]))
        values.pop("cut", None)
    if kind is EvaluateRequest and not (values.get("prediction") and values.get("reference")):
        values["pairs"] = "pairs.csv"
    return kind(**values)


@given(requests())
def test_arguments_say_exactly_what_was_asked(request):
    argv = request.to_argv()
    assert tuple(argv[: len(request.COMMAND)]) == request.COMMAND
    assert all(isinstance(word, str) for word in argv)
    assert type(request).from_argv(argv) == request


@settings(deadline=None, max_examples=60)
@given(requests())
def test_the_command_line_reads_the_same(request):
    """The parser of the command and from_argv agree on every request."""
    asked = []
    app = typer.Typer()
    app.command("it")(command_of(type(request), lambda made, _events: asked.append(made)))
    app.command("other")(lambda: None)
    words = request.to_argv()[len(request.COMMAND) :]
    result = CliRunner().invoke(app, ["it", "--quiet", *words])
    assert result.exit_code == 0, result.output
    assert asked == [request]


@given(st.lists(TEXT | AWKWARD | st.just(""), max_size=4))
def test_lists_come_back(items):
    assert split_list(join_list(items)) == items


def test_lists_as_people_write_them():
    assert split_list("a, b,,c ") == ["a", "b", "c"]
    assert split_list('"a,b",c') == ["a,b", "c"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"overlap": 1.0}, "overlap: expected a number from 0 to below 1, got 1"),
        ({"overlap": float("nan")}, "overlap: expected a number from 0 to below 1, got nan"),
        ({"overlap": "much"}, "overlap: expected a number, got 'much'"),
        ({"confidence": 0.4}, "confidence: expected a number from 0.5 to 1, got 0.4"),
        ({"blend": "best"}, "blend: expected probabilities or logits, got 'best'"),
        ({"map_type": "int"}, "map type: expected float32 or uint8, got 'int'"),
        ({"precision": "float8"}, "precision: expected auto, float32, bfloat16 or float16, got 'float8'"),
        ({"uncertainty": "tta"}, "uncertainty: expected tta:N or dropout:N with N from 2 to 1000, got 'tta'"),
        ({"outliers": "yes"}, "outliers: expected yes or no, got 'yes'"),
        ({"nodes": 3.5}, "nodes: expected several values"),
    ],
)
def test_what_cannot_be_is_refused(values, message):
    with pytest.raises(InputError, match=message):
        PredictRequest("m", ("a.nii",), "out", **values)


def test_values_are_brought_into_their_kind():
    request = PredictRequest("m", ["a.nii"], "out", cut=2, nodes=["a"], overlap="0.25")
    assert (request.cut, request.nodes, request.overlap, request.inputs) == (("2",), ("a",), 0.25, ("a.nii",))
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.overlap = 0.5


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["train", "m"], "expected the command predict, got train m"),
        (["predict", "m", "a", "--ot", "x"], "predict: no such option: --ot"),
        (["predict", "m", "a", "--out"], "--out: needs a value"),
        (["predict", "m", "a"], "missing --out"),
        (["predict", "--out", "o"], "missing MODEL"),
    ],
)
def test_arguments_that_say_something_else_are_refused(argv, message):
    with pytest.raises(InputError, match=message):
        PredictRequest.from_argv(argv)


def test_no_default_is_said_on_the_command_line():
    assert PredictRequest("m", ("a.nii",), "out").to_argv() == ["predict", "m", "a.nii", "--out", "out"]


def test_requests_need_the_standard_library_alone():
    """Slicer makes them before anything is installed."""
    code = (
        "import sys; before = set(sys.modules); import softseg.requests; "
        "print(sorted(n.partition('.')[0] for n in set(sys.modules) - before if n.partition('.')[0] != 'softseg'"
        " and n.partition('.')[0] not in sys.stdlib_module_names))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_lists_repeat_their_option_and_the_former_commas_are_read() -> None:
    request = PredictRequest("m", ("a.nii",), "out", nodes=("one", "two, three"))
    words = request.to_argv()
    assert words[words.index("--nodes") :][:4] == ["--nodes", "one", "--nodes", '"two, three"']
    start = ["predict", "m", "a.nii", "--out", "out"]
    repeated = PredictRequest.from_argv([*start, "--nodes", "one", "--nodes", "two"])
    assert repeated.nodes == ("one", "two") == PredictRequest.from_argv([*start, "--nodes", "one,two"]).nodes
