"""The plan: made from the data, overridden by dotted keys, saved and read."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydantic import ValidationError

from softseg.data import Dataset, Hardware, Plan, make_plan
from softseg.data.plan import Normalization
from softseg.errors import InputError
from softseg.events import Events, ListSink


@pytest.fixture
def plan(make) -> Plan:
    make.head("a")
    return make_plan(make.load(), memory_gb=8, gpu=False)


def test_skull_stripped_images_are_cropped_and_normalised_inside(plan):
    assert plan.crop.kind == "nonzero"
    assert plan.normalization["T1"].kind == "z-score-nonzero"
    assert plan.dimensions == 3
    assert plan.spacing == (1.0, 1.0, 1.0)
    assert plan.orientation == "LPS"


def test_thick_slices_make_a_2d_plan_across_them(make):
    rng = np.random.default_rng(0)
    labels = np.zeros((30, 8, 32), np.uint8)  # slices along j, the axis that runs to posterior
    labels[10:20, 2:6, 10:20] = 3
    image = make.write("a.nii.gz", rng.normal(100, 10, labels.shape).astype(np.float32), spacing=(0.5, 5.0, 0.6))
    make.case("a", image, make.write("l.nii.gz", labels, spacing=(0.5, 5.0, 0.6)))
    plan = make_plan(make.load(), memory_gb=8, gpu=False)
    assert plan.dimensions == 2
    assert plan.orientation == "LSP"
    assert plan.spacing == (None, 0.5, 0.5)
    assert len(plan.patch_size) == 2
    assert plan.normalization["T1"].kind == "z-score"
    assert plan.left_right_axis == 2


def test_a_single_slice_is_2d_whatever_its_spacing(make):
    image = np.random.default_rng(0).normal(size=(1, 40, 40)).astype(np.float32)
    make.case("a", make.write("a.mha", image), make.write("l.mha", (image > 0).astype(np.uint8)))
    plan = make_plan(make.load(make.flat_tree()), memory_gb=8, gpu=False)
    assert (plan.dimensions, plan.orientation) == (2, "LPS")


def test_ct_gets_a_window_from_the_training_set(make):
    rng = np.random.default_rng(0)
    image = np.where(rng.random((16, 16, 16)) < 0.3, -1000, rng.normal(40, 30, (16, 16, 16))).astype(np.float32)
    make.case("a", make.write("a.nii", image), make.write("l.nii", (image > 60).astype(np.uint8)))
    how = make_plan(make.load(make.flat_tree()), memory_gb=8, gpu=False).normalization["T1"]
    assert how.kind == "ct"
    assert how.mean == pytest.approx(40, abs=5)


def test_only_training_cases_are_looked_at(make):
    make.head("a")
    make.case("t", make.write("t.nii", np.zeros((4, 4, 4), np.float32)), make.cases[0]["labels"], "test")
    make_plan(make.load(), memory_gb=8)
    make.cases = make.cases[1:]
    with pytest.raises(InputError, match="no case is in the split 'train'"):
        make_plan(make.load(), memory_gb=8)


def test_real_brain_on_a_cpu(shared_data, tmp_path, resources):
    case = {"id": "a", "group": "a", "split": "train", "images": {"T1": str(shared_data / "brain/images/1000.nii.gz")}}
    case["labels"] = str(shared_data / "brain/labels/1000.nii.gz")
    tree = str(resources / "LabelTrees" / "brain-134.json")
    path = tmp_path / "DATA.json"
    path.write_text(json.dumps({"name": "brain", "channels": ["T1"], "tree": tree, "cases": [case]}))
    plan = make_plan(Dataset.load(path), memory_gb=16, gpu=False)
    assert plan.spacing == (2.0, 2.0, 2.0)
    assert plan.patch_size == (64, 64, 64)
    fine = make_plan(Dataset.load(path), memory_gb=40, gpu=True)
    assert fine.spacing == (1.0, 1.0, 1.0)
    assert fine.patch_size == (128, 128, 128)


def test_other_values_follow_from_those_that_are_given(make):
    make.head("a", shape=(80, 60, 40))
    dataset = make.load()
    coarse = make_plan(dataset, memory_gb=8, gpu=False, overrides={"spacing": [4, 4, 4]})
    assert coarse.spacing == (4, 4, 4)
    assert coarse.patch_size == (16, 16, 8)
    turned = make_plan(dataset, memory_gb=8, gpu=False, overrides={"orientation": "SPL"})
    assert turned.patch_size == make_plan(dataset, memory_gb=8, gpu=False).patch_size[::-1]
    flat = make_plan(dataset, memory_gb=8, gpu=False, overrides={"dimensions": 2})
    assert (flat.orientation, flat.spacing[0], len(flat.patch_size)) == ("PSL", None, 2)
    for key, value in (("spacing", "fine"), ("orientation", "XYZ"), ("dimensions", 4)):
        with pytest.raises(InputError, match=key):
            make_plan(dataset, memory_gb=8, gpu=False, overrides={key: value})


def test_less_memory_makes_smaller_steps(make):
    make.head("a", shape=(80, 80, 80))
    dataset = make.load()
    sizes = []
    for memory in (0.2, 1, 16):
        plan = make_plan(dataset, memory_gb=memory, gpu=False)
        sizes.append(plan.batch_size * np.prod(plan.patch_size))
    assert sizes[0] < sizes[1] <= sizes[2]


def test_what_was_decided_is_said(make):
    make.head("a")
    sink = ListSink()
    make_plan(make.load(), memory_gb=8, gpu=False, events=Events(sink))
    text = next(event["text"] for event in sink.events if event["event"] == "log")
    assert "3D, spacing 1 x 1 x 1 mm" in text
    assert "for 8 GB of CPU memory" in text


def test_overrides_by_dotted_key(plan):
    changed = plan.with_overrides(
        {
            "spacing": [2, 2, 2],
            "network.options.filters": [8, 16],
            "network.options.anything": True,
            "network.options.upsample_kwargs.mode": "deconv",
            "crop.kind": "none",
            "normalization": "percentile",
            "precision": "float32",
            "sampling": {"balanced": 0.1},
        }
    )
    assert changed.spacing == (2, 2, 2)
    assert changed.network.options["filters"] == [8, 16]
    assert changed.network.options["anything"] is True
    assert changed.network.options["upsample_kwargs"] == {"mode": "deconv"}
    assert changed.network.options["norm"] == plan.network.options["norm"]
    assert changed.crop.margin_mm == plan.crop.margin_mm
    assert changed.normalization == {"T1": Normalization(kind="percentile")}
    assert changed.sampling.foreground == plan.sampling.foreground
    assert plan.with_overrides({"network": "SegResNet"}).network.options == {}
    assert plan.with_overrides(None) is plan


def test_overrides_are_not_changed_by_later_ones(plan):
    overrides = {"network": {"name": "DynUNet", "options": {"dropout": 0.1}}, "network.options.dropout": 0.0}
    assert plan.with_overrides(overrides).network.options["dropout"] == 0.0
    assert overrides["network"]["options"]["dropout"] == 0.1


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("spacings", [1, 1, 1], "spacings: unknown key; known are "),
        ("network.depth", 3, "network.depth: unknown key"),
        ("nets.options.filters", 3, "nets: unknown key 'nets'"),
        ("spacing.k", 1, "spacing.k: unknown key: there are no keys below this value"),
        ("network.options.filters.0", 3, "network.options.filters.0: unknown key"),
        ("spacing", [1, 1], "spacing"),
        ("spacing", [0, 1, 1], "spacing must be above 0"),
        ("patch_size", [8, 8], "patch_size needs 3 positive numbers"),
        ("batch_size", 0, "batch_size: "),
        ("precision", "float8", "precision: "),
        ("orientation", "LRA", "orientation needs one letter each"),
        ("normalization", "ct", "kind 'ct' needs lower, upper, mean and sd"),
        ("normalization.T1.kind", "z", "normalization.T1.kind: "),
        ("sampling.balanced", 0.9, "must sum to at most 1"),
    ],
)
def test_each_wrong_override_names_its_key(plan, key, value, expected):
    with pytest.raises(InputError) as caught:
        plan.with_overrides({key: value})
    assert expected in str(caught.value)


def test_a_plan_is_frozen_and_survives_its_file(plan, tmp_path):
    assert Plan.load(plan.save(tmp_path / "plan.json")) == plan
    with pytest.raises(ValidationError):
        plan.batch_size = 3


def test_a_wrong_plan_file_names_the_field(plan, tmp_path):
    path = plan.save(tmp_path / "plan.json")
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "colour": 1}))
    with pytest.raises(InputError, match=r"plan\.json: colour: unknown key"):
        Plan.load(path)
    path.write_text("{")
    with pytest.raises(InputError, match="is not valid JSON"):
        Plan.load(path)
    with pytest.raises(InputError, match="no such file"):
        Plan.load(tmp_path / "none.json")


def test_only_what_changes_the_prepared_files_changes_their_key(plan):
    key = plan.preprocessing_key()
    assert plan.with_overrides({"batch_size": 7, "network": "UNet", "patch_size": [8, 8, 8]}).preprocessing_key() == key
    for change in ({"spacing": [2, 2, 2]}, {"crop.kind": "none"}, {"raters": "random"}, {"normalization": "z-score"}):
        assert plan.with_overrides(change).preprocessing_key() != key


def test_the_machine_is_looked_at():
    machine = Hardware.here()
    assert machine.memory_gb > 0
    assert Hardware.here(3.5).memory_gb == 3.5


def test_2d_patches_follow_the_size_of_the_foreground(make):
    rng = np.random.default_rng(0)
    labels = np.zeros((6, 200, 200), np.uint8)
    labels[:, 90:110, 95:105] = 3  # 20 pixels of 0.5 mm
    image = make.write("a.nii.gz", rng.normal(100, 10, labels.shape).astype(np.float32), spacing=(0.5, 0.5, 5.0))
    make.case("a", image, make.write("l.nii.gz", labels, spacing=(0.5, 0.5, 5.0)))
    assert make_plan(make.load(), memory_gb=8, gpu=False).patch_size == (64, 64)
    labels[:, 60:130, 95:105] = 3
    make.write("l.nii.gz", labels, spacing=(0.5, 0.5, 5.0))
    assert make_plan(make.load(), memory_gb=8, gpu=False).patch_size == (128, 128)
