"""The benchmarks' own measuring, and that the table in the documentation is the one that was measured."""

from __future__ import annotations

import gc
import json
import mmap
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
BENCHMARKS = REPOSITORY / "Testing" / "benchmarks"
LINES = [
    {"suite": "a", "name": "x", "ours": 1.0, "peer": 4.0, "unit": "s", "peer_name": "p", "target": 0.5, "note": "n"},
    {"suite": "b", "name": "y", "ours": 3.0, "peer": 2.0, "unit": "MB", "peer_name": "q|r", "target": 1.1},
    {"suite": "b", "name": "z", "ours": 0.0002, "peer": 0.0, "unit": "", "peer_name": "limit"},
]
PREPARE = """
def prepare(megabytes):
    return lambda: len(bytearray(b"1") * (megabytes * 1_000_000))

def fails():
    raise OSError("no such disk")
"""


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """The modules of Testing/benchmarks, imported from there and forgotten afterwards."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    names = ("measure", "report", "plots", "run")
    before = {name: sys.modules.pop(name, None) for name in names}
    yield SimpleNamespace(**{name: __import__(name) for name in names})
    for name, module in before.items():
        sys.modules.pop(name)
        if module is not None:
            sys.modules[name] = module


def test_every_side_is_called_once_a_round_in_turning_order(benchmarks: SimpleNamespace) -> None:
    calls: list[str] = []
    collected = []

    def side(name: str) -> None:
        calls.append(name)
        collected.append(gc.isenabled())

    medians = benchmarks.measure.interleaved(lambda: side("ours"), lambda: side("peer"), rounds=3, warmups=1)
    assert calls == ["ours", "peer", "ours", "peer", "peer", "ours", "ours", "peer"]
    assert not any(collected[2:])
    assert gc.isenabled()
    assert all(seconds > 0 for seconds in medians)


def test_ratio_and_verdict(benchmarks: SimpleNamespace) -> None:
    lines = [benchmarks.measure.Line(**entry) for entry in LINES]
    assert [line.ratio for line in lines] == [0.25, 1.5, float("inf")]
    assert [line.met for line in lines] == [True, False, None]


def test_peak_memory_is_the_rise_in_a_process_of_its_own(benchmarks: SimpleNamespace, tmp_path: Path) -> None:
    module = _written(benchmarks, tmp_path)
    small, large = (benchmarks.measure.peak_memory(module.prepare, size) for size in (20, 80))
    assert 19e6 <= small < 30e6
    assert 79e6 <= large < 90e6


def test_sampled_peak_sees_what_the_call_holds_at_its_end(benchmarks: SimpleNamespace) -> None:
    """The way of systems that keep no record of the largest memory."""

    def fresh_pages() -> mmap.mmap:
        """Return memory that the process never had before: an allocator may hand out what others freed."""
        held = mmap.mmap(-1, 50_000_000)
        held.write(bytes(50_000_000))
        return held

    measure = benchmarks.measure
    process = measure.psutil.Process()
    before = process.memory_info().rss
    assert measure._sampled_peak(fresh_pages, process) - before > 40e6


def test_a_failed_process_is_said(benchmarks: SimpleNamespace, tmp_path: Path) -> None:
    module = _written(benchmarks, tmp_path)
    with pytest.raises(RuntimeError, match=r"fails\(\) ended with 1: OSError: no such disk"):
        benchmarks.measure.peak_memory(module.fails)
    with pytest.raises(ValueError, match="not a function at the top of a file"):
        benchmarks.measure.peak_memory(lambda: None)


def test_results_are_written_read_and_merged(benchmarks: SimpleNamespace, tmp_path: Path) -> None:
    report = benchmarks.report
    lines = [benchmarks.measure.Line(**entry) for entry in LINES]
    curve = benchmarks.measure.Curve("b", "size", "Growth", "leaves", "s", {"ours": [(8, 0.5), (16, 1.0)]}, "ours")
    machine = report.machine_facts(2)
    assert machine["cpu"]
    assert machine["threads"] == 2
    page = tmp_path / "benchmarks.md"
    page.write_text(f"Before\n{report.TABLE_START}\nold\n{report.TABLE_STOP}\nAfter\n", encoding="utf-8")
    document = report.to_json(lines, [curve], quick=False, machine=machine)
    report.write_results(document, tmp_path)

    assert report.lines_of(report.read_results(tmp_path)) == lines
    text = page.read_text(encoding="utf-8")
    assert text.startswith("Before\n")
    assert text.endswith("After\n")
    assert "old" not in text
    assert "| x (n) | 1.00 s | 4.00 s | p | 0.25 | 0.5 | met |" in text
    assert "![Growth](images/bench_b_size.png)" in text
    assert "| y | 3.00 MB | 2.00 MB | q/r | 1.50 | 1.1 | missed |" in text

    newer = report.to_json(lines[:1], [], quick=False, machine=machine)
    newer["lines"][0]["ours"] = 2.0
    joined = report.merged(newer, report.read_results(tmp_path), ["a"])
    assert [(line["suite"], line["ours"]) for line in joined["lines"]] == [("a", 2.0), ("b", 3.0), ("b", 0.0002)]
    assert [entry["name"] for entry in joined["curves"]] == ["size"]
    other = newer | {"machine": machine | {"cpu": "another"}}
    assert report.merged(other, report.read_results(tmp_path), ["a"]) == other

    picture = benchmarks.plots.draw(curve, tmp_path / "images")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_suite_runs_and_a_broken_one_does_not_stop_it(
    benchmarks: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MKL_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(benchmarks.run, "HERE", tmp_path)
    (tmp_path / "bench_broken.py").write_text("def run(quick):\n    raise OSError('no such disk')\n", encoding="utf-8")
    (tmp_path / "bench_good.py").write_text(
        "from measure import Line\n\ndef run(quick):\n    return [Line('good', f'{quick}', 2, 1, 's', 'p', 1.0)]\n",
        encoding="utf-8",
    )
    assert benchmarks.run.main(["--quick", "--threads", "1", "--out", str(tmp_path / "out")]) == 1
    said = capfd.readouterr()
    assert "no such disk" in said.err
    assert "failed: broken" in said.err
    assert "1 lines, 1 above their target\n  good: True" in said.out
    document = json.loads((tmp_path / "out" / "benchmarks.json").read_text(encoding="utf-8"))
    assert document["quick"] is True
    assert [entry["met"] for entry in document["lines"]] == [False]


def test_every_suite_has_what_the_run_calls(benchmarks: SimpleNamespace) -> None:
    assert "losses" in benchmarks.run.suites()
    for name in benchmarks.run.suites():
        assert "def run(quick: bool) -> list[Line]:" in (BENCHMARKS / f"bench_{name}.py").read_text(encoding="utf-8")


def test_losses_are_measured_on_the_same_inputs(benchmarks: SimpleNamespace) -> None:
    """The peers' values are ours where they mean the same; the distance matrix is that of the tree."""
    losses = benchmarks.measure.load_file(BENCHMARKS / "bench_losses.py")
    for kind in losses.KINDS:
        logits, target = losses._inputs(8, 4, kind)
        values = {
            name: float(losses._loss(name, 8)(logits, target).detach()) for name in ("cross-entropy", losses.PEER)
        }
        assert values["cross-entropy"] == pytest.approx(values[losses.PEER], rel=1e-5)
    logits, target = losses._inputs(8, 4, "crisp")
    ours, naive = (float(losses._loss(name, 8)(logits, target).detach()) for name in ("Wasserstein", "naive p^T M g"))
    assert ours == pytest.approx(naive, rel=1e-5)
    assert losses.prepare_step("Dice + cross-entropy", 8, 4, "soft")() is None


def test_table_in_the_documentation_is_the_measured_one(benchmarks: SimpleNamespace) -> None:
    report = benchmarks.report
    document = report.read_results(REPOSITORY / "docs")
    assert document is not None
    page = (REPOSITORY / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    table = page.split(report.TABLE_START)[1].split(report.TABLE_STOP)[0].strip()
    assert table == report.markdown_table(document)
    assert not document["quick"]
    for curve in document["curves"]:
        assert (REPOSITORY / "docs" / "images" / f"bench_{curve['suite']}_{curve['name']}.png").exists()


def _written(benchmarks: SimpleNamespace, folder: Path) -> ModuleType:
    file = folder / "prepared.py"
    file.write_text(PREPARE, encoding="utf-8")
    return benchmarks.measure.load_file(file)
