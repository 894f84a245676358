"""Pickles are read without running anything of them."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softseg.errors import InputError
from softseg.exchange.plain_pickle import read_plain_pickle

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.lists(inner).map(tuple),
    max_leaves=12,
)


@given(value=plain, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
@settings(max_examples=60, deadline=None)
def test_plain_values_are_what_pickle_reads(tmp_path_factory, value, protocol) -> None:
    file = tmp_path_factory.mktemp("pickle") / "case.pkl"
    file.write_bytes(pickle.dumps(value, protocol))
    assert read_plain_pickle(file) == value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_scalars_of_numbers(tmp_path: Path, protocol: int) -> None:
    value = OrderedDict(
        a=np.arange(6.0).reshape(2, 3), b=np.asfortranarray(np.arange(6).reshape(2, 3)), c=np.float32(1.5),
        d=np.int64(-3), e=np.array([True, False]), f=np.arange(4, dtype=">i2"),
    )  # fmt: skip
    (tmp_path / "case.pkl").write_bytes(pickle.dumps(value, protocol))
    found = read_plain_pickle(tmp_path / "case.pkl")
    assert list(found) == list(value)
    for key, expected in value.items():
        np.testing.assert_array_equal(found[key], expected)


class _Runs:
    def __init__(self, function, *arguments) -> None:
        self.asked = (function, arguments)

    def __reduce__(self):
        return self.asked


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_functions_are_refused_and_never_run(tmp_path: Path, protocol: int) -> None:
    mark, file = tmp_path / "was-run", tmp_path / "case.pkl"
    for function, arguments in (
        (os.system, (f"touch {mark}",)),
        (eval, (f"open({str(mark)!r}, 'w')",)),
        (np.load, (str(file),)),
        (getattr, ("text", "upper")),
    ):
        file.write_bytes(pickle.dumps({"spacing": (1, 1, 1), "evil": _Runs(function, *arguments)}, protocol))
        with pytest.raises(InputError, match=r"case\.pkl.*nothing of a pickle is ever run"):
            read_plain_pickle(file)
        assert not mark.exists()


def test_objects_in_arrays_and_states_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "case.pkl"
    for value in (np.array([{}], object), np.array(["text"]), Path("x"), {1, 2}, np.random.default_rng()):
        file.write_bytes(pickle.dumps(value))
        with pytest.raises(InputError, match="nothing of a pickle is ever run"):
            read_plain_pickle(file)


def test_files_that_swell_or_contain_themselves_end_at_once(tmp_path: Path) -> None:
    level: list = [1]
    for _ in range(40):
        level = [level] * 10
    (tmp_path / "laughs.pkl").write_bytes(pickle.dumps(level))
    assert len(read_plain_pickle(tmp_path / "laughs.pkl")) == 10
    level.append(level)
    (tmp_path / "loop.pkl").write_bytes(pickle.dumps(level))
    with pytest.raises(InputError, match="nested too deeply"):
        read_plain_pickle(tmp_path / "loop.pkl")


@given(data=st.binary(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_bytes_give_a_value_or_one_plain_error(tmp_path_factory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("pickle") / "case.pkl"
    whole = pickle.dumps({"sitk_stuff": {"spacing": (1.0, 2.0, 3.0)}, "affine": np.eye(4)})
    for content in (data, whole[: len(data) * 3], data.join((whole[:40], whole[40:]))):
        file.write_bytes(content)
        try:
            read_plain_pickle(file)
        except InputError as error:
            if error.file != str(file):
                raise AssertionError("the error names no file") from error
