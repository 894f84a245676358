"""Random label trees for hypothesis: `@given(tree=...)` on an argument annotated `LabelTree` draws one."""

from __future__ import annotations

import string

import hypothesis.strategies as st
import pytest

from softseg.tree import Code, LabelTree, Node, Terminology

WORDS = st.text(alphabet=string.ascii_letters + string.digits + "äßé-_.()", min_size=1, max_size=8)
CODES = st.builds(Code, WORDS, st.sampled_from(["SCT", "DCM", "FMA"]), WORDS)
TERMINOLOGIES = st.builds(Terminology, CODES, CODES, st.none() | CODES, CODES, st.none() | CODES)
COLORS = st.tuples(*[st.integers(0, 255)] * 3)
WEIGHTS = st.floats(0.01, 100, allow_nan=False)


@st.composite
def trees(draw: st.DrawFn, max_nodes: int = 14) -> LabelTree:
    """Draw a tree: any shape, names that may repeat, values on all leaves and some inner nodes."""
    count = draw(st.integers(1, max_nodes))
    parents = [None] + [draw(st.integers(0, index - 1)) for index in range(1, count)]
    values = draw(st.lists(st.integers(0, 400), min_size=count, max_size=count, unique=True))
    nodes = []
    for index, parent in enumerate(parents):
        leaf = index not in parents
        nodes.append(
            Node(
                f"n{index}",
                " ".join(draw(st.lists(WORDS, min_size=1, max_size=2))),
                None if parent is None else f"n{parent}",
                weight=draw(WEIGHTS) if index else 1.0,
                color=draw(st.none() | COLORS),
                value=values[index] if leaf or draw(st.booleans()) else None,
                terminology=draw(st.none() | TERMINOLOGIES),
            )
        )
    return LabelTree(draw(st.permutations(nodes)), draw(st.sampled_from(["", "a tree"])))


st.register_type_strategy(LabelTree, trees())

PARENTS = {
    "T": "root", "E": "root", "tum": "T", "nor": "T", "t1": "tum", "t2": "tum", "n1": "nor", "e1": "E", "e2": "E",
}  # fmt: skip


@pytest.fixture
def tissue() -> LabelTree:
    """The tree of the reference values: root > T > {tum > t1, t2; nor > n1}, E > {e1, e2}."""
    values = {"t1": 1, "t2": 2, "n1": 3, "e1": 4, "e2": 5}
    nodes = [Node(id_, id_, parent, value=values.get(id_)) for id_, parent in PARENTS.items()]
    return LabelTree([Node("root", "root", None), *nodes], "tissue")
