"""Errors about what a file says carry the file's name, whoever found them."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from softseg.data import NetworkSpec, import_decathlon, import_nnunet
from softseg.errors import InputError, naming
from softseg.exchange.nnunet import read_nnunet
from softseg.network.architectures import weight_count
from softseg.spreadsheets import read_rows

HUGE = 10**400


def test_an_error_without_a_file_gets_one_and_another_keeps_its_own():
    with pytest.raises(InputError, match=r"^DATA\.json: labels: odd; mend it$"), naming("DATA.json", "labels"):
        raise InputError("odd", hint="mend it")
    with pytest.raises(InputError, match=r"^tree\.json: root: odd$"), naming("DATA.json", "labels"):
        raise InputError("odd", file="tree.json", field="root")


@pytest.mark.parametrize("importer", [import_nnunet, import_decathlon])
def test_an_impossible_label_value_is_refused_with_the_description(tmp_path, importer):
    labels = {"background": 0, "shell": HUGE} if importer is import_nnunet else {"0": "background", str(HUGE): "shell"}
    content = {
        "name": "x",
        "channel_names": {"0": "T1"},
        "modality": {"0": "T1"},
        "labels": labels,
        "file_ending": ".nii.gz",
        "numTraining": 0,
        "training": [],
    }
    (tmp_path / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    (tmp_path / "imagesTr").mkdir()
    (tmp_path / "labelsTr").mkdir()
    with pytest.raises(InputError, match=r"dataset\.json") as caught:
        importer(tmp_path, tmp_path / "out" / "DATA.json")
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("labels", [{"background": 0, "core": HUGE}, {"²": "background", "1": "core"}, {"core": -1}])
def test_odd_values_beside_probabilities_are_refused_with_the_description(tmp_path, labels):
    np.savez(tmp_path / "case.npz", probabilities=np.full((len(labels), 2, 2, 2), 0.5, np.float32))
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}), encoding="utf-8")
    like = tmp_path / "like.nii.gz"
    import SimpleITK as sitk

    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 2, 2), np.float32)), str(like))
    with pytest.raises(InputError, match=r"dataset\.json"):
        read_nnunet(tmp_path / "case.npz", like)


def test_a_table_of_ours_with_an_endless_cell_is_refused():
    stream = io.StringIO("case,dice\n" + "x" * 200_000 + ",1\n")
    with pytest.raises(InputError, match="not a table"):
        list(read_rows(stream))


def test_options_of_a_network_of_another_kind_are_refused_by_the_networks_name():
    with pytest.raises(InputError, match="options of the network DynUNet have odd values"):
        weight_count(NetworkSpec(name="DynUNet", options={"filters": 5}), 1, 2, 3)
