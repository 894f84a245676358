"""BIDS datasets in, BIDS derivatives out: names, folders, sidecars; checked by rules written down here."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from prediction_kit import STRAIGHT, Intensity, Sides, ball, make_model, sided

from softseg.errors import InputError
from softseg.events import Events, ListSink
from softseg.image import read_image, write_image
from softseg.prediction import predict
from softseg.prediction.bids_inputs import BidsChoice
from softseg.prediction.inputs import CaseInput, find_cases
from softseg.prediction.results.bids import IGNORED, as_label, bids_places, labels_of
from softseg.requests import PredictRequest
from softseg.requests.manifest import Manifest, OutputFile
from softseg.soft.parcellation import SoftParcellation
from softseg.tree import LabelTree, Node

# of the specification's templates for derivatives (1.10): entities in their order, then the suffixes that hold labels
_ENTITIES = (
    "ses sample task acq ce trc rec dir run mod echo flip inv mt part hemi space atlas seg scale res den label desc"
)
NAME = re.compile(
    r"sub-[0-9a-zA-Z+]+"
    + "".join(rf"(_{key}-[0-9a-zA-Z+]+)?" for key in _ENTITIES.split())
    + r"_(dseg\.(nii\.gz|json|tsv)|probseg\.(nii\.gz|json)|mask\.(nii\.gz|json))"
)
TOP = {"dataset_description.json", ".bidsignore", "README.md"}


def dataset(folder: Path, *names: str, doi: str = "") -> Path:
    """Write a BIDS dataset with a small scan under each name."""
    for number, name in enumerate(names):
        parts = [part for part in name.split("_") if part.startswith(("sub-", "ses-"))]
        place = folder.joinpath(*parts, "anat")
        place.mkdir(parents=True, exist_ok=True)
        write_image(ball(STRAIGHT, value=100.0 + number), place / name)
    said = {"Name": "scans", "BIDSVersion": "1.8.0", **({"DatasetDOI": doi} if doi else {})}
    (folder / "dataset_description.json").write_text(json.dumps(said))
    return folder


def strange(root: Path) -> list[str]:
    """Return the files of a derivative dataset that BIDS has no name for and that ``.bidsignore`` does not name."""
    ignored = [line for line in (root / ".bidsignore").read_text().splitlines() if line]
    found = []
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if path.is_dir() or str(inside) in TOP or any(path.match(pattern) for pattern in ignored):
            continue
        match = NAME.fullmatch(path.name)
        folders = [part for part in path.name.split("_") if part.startswith(("sub-", "ses-"))]
        if match is None or inside.parts[:-1] != (*folders, "anat"):
            found.append(str(inside))
    return found


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    root = dataset(
        tmp_path / "raw",
        "sub-01_ses-a_T1w.nii.gz",
        "sub-01_ses-b_acq-fast_run-1_T1w.nii.gz",
        "sub-02_T1w.nii.gz",
        "sub-02_T2w.nii.gz",
        doi="doi:10.0.1/x",
    )
    (root / "derivatives" / "other" / "sub-02" / "anat").mkdir(parents=True)
    write_image(ball(STRAIGHT), root / "derivatives" / "other" / "sub-02" / "anat" / "sub-02_desc-preproc_T1w.nii.gz")
    return root


def test_images_of_a_dataset_are_cases(raw: Path) -> None:
    found = find_cases([raw], ["T1"])
    assert [case.name for case in found] == [
        "sub-01_ses-a_T1w",
        "sub-01_ses-b_acq-fast_run-1_T1w",
        "sub-02_T1w",
    ]
    chosen = find_cases([raw], ["T1"], bids=BidsChoice((), ("ses-a", "ses-b", "acq-fast")))
    assert [case.name for case in chosen] == ["sub-01_ses-b_acq-fast_run-1_T1w"]
    assert [case.name for case in find_cases([raw], ["T1"], bids=BidsChoice(("T2w",)))] == ["sub-02_T2w"]


def test_channels_of_one_scan_are_grouped_and_a_missing_one_is_named(raw: Path) -> None:
    found = {case.name: case for case in find_cases([raw], ["T1", "T2"])}
    assert [path.name for path in found["sub-02"].images] == ["sub-02_T1w.nii.gz", "sub-02_T2w.nii.gz"]
    assert found["sub-02"].problem is None
    assert "sub-01_ses-a has no T2w" in str(found["sub-01_ses-a"].problem)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (BidsChoice(("bold",)), r"--suffix: no image sub-\*_bold; there are T1w, T2w"),
        (BidsChoice(("T1w", "T2w")), "the model has 1 channels"),
        (BidsChoice((), ("ses-z",)), "--entity: no image has ses-z"),
    ],
)
def test_choices_that_leave_nothing(choice: BidsChoice, said: str, raw: Path) -> None:
    with pytest.raises(InputError, match=said):
        find_cases([raw], ["T1"], bids=choice)


def test_a_choice_needs_a_dataset(scan: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="no BIDS dataset was given"):
        find_cases([scan()], ["T1"], bids=BidsChoice(("T1w",)))


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"entities": ["ses"]}, "expected KEY-VALUE"), ({"layout": "bids", "map_type": "uint8"}, "from 0 to 1")],
)
def test_requests_that_cannot_be(asked: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        PredictRequest("m", ("a",), Path("out"), **asked)


def test_derivatives(raw: Path) -> None:
    out, model = raw / "derivatives" / "softseg-test", make_model(Sides(), sided())
    asked = {"layout": "bids", "cut": ["leaves", 1], "nodes": ["ball-left"], "device": "cpu", "uncertainty": "tta:2"}
    results = predict(model, [raw], out, **asked)
    assert strange(out) == []
    names = sorted(path.name for path in (out / "sub-01" / "ses-b" / "anat").iterdir())
    base = "sub-01_ses-b_acq-fast_run-1_space-orig_seg-sided"
    assert {
        f"{base}_dseg.nii.gz",
        f"{base}_dseg.tsv",
        f"{base}_dseg.json",
        f"{base}Level1_dseg.nii.gz".replace("Level", "level"),
        f"{base}_label-ballLeft_probseg.nii.gz",
        f"{base}_label-ballLeft_probseg.json",
        f"{base}_probseg.soft.npz",
    } <= set(names)
    with (out / "sub-02" / "anat" / "sub-02_space-orig_seg-sided_dseg.tsv").open(newline="") as stream:
        table = list(csv.DictReader(stream, delimiter="\t"))
    assert [(row["index"], row["name"]) for row in table] == [
        ("0", "Background"),
        ("1", "Left ball"),
        ("2", "Right ball"),
    ]
    assert all(re.fullmatch(r"#[0-9A-Fa-f]{6}|n/a", row["color"]) for row in table)
    case = Manifest.read(out).of_images([raw / "sub-02" / "anat" / "sub-02_T1w.nii.gz"])
    labels = read_image(case.file("labels", "leaves")).array
    share = read_image(case.file("node", "ball-left")).array
    assert set(np.unique(labels)) <= {0, 1, 2}
    assert share.min() >= 0
    assert share.max() <= 1
    said = json.loads((out / "sub-02" / "anat" / "sub-02_space-orig_seg-sided_dseg.json").read_text())
    assert said["Sources"] == ["bids:raw:sub-02/anat/sub-02_T1w.nii.gz"]
    assert (said["SpatialReference"], said["Manual"]) == ("orig", False)
    about = json.loads((out / "dataset_description.json").read_text())
    assert about["DatasetType"] == "derivative"
    assert about["GeneratedBy"][0]["Name"] in out.name
    assert about["SourceDatasets"] == [{"DOI": "doi:10.0.1/x"}]
    assert (out / about["DatasetLinks"]["raw"]).resolve() == raw.resolve()
    assert [each.skipped for each in results] == [False] * 3
    assert [each.skipped for each in predict(model, [raw], out, **asked)] == [True] * 3


def test_probabilities_as_one_image_name_their_maps(raw: Path) -> None:
    """BIDS: one volume for each structure along the fourth axis, and LabelMap in the sidecar, in their order."""
    out, model = raw / "derivatives" / "softseg-test", make_model(Sides(), sided())
    asked = {"layout": "bids", "stack": True, "device": "cpu"}
    predict(model, [raw / "sub-02" / "anat" / "sub-02_T1w.nii.gz"], out, **asked)
    assert strange(out) == []
    file = out / "sub-02" / "anat" / "sub-02_space-orig_seg-sided_probseg.nii.gz"
    image = sitk.ReadImage(str(file))
    found = SoftParcellation.load(file.with_name(file.name.replace(".nii.gz", ".soft.npz")))
    said = json.loads(file.with_name(file.name.replace(".nii.gz", ".json")).read_text())
    assert said["NodeIds"] == [leaf.id for leaf in found.tree.leaves]
    assert said["LabelMap"] == ["bg", "ballLeft", "ballRight"]
    assert image.GetSize() == (*found.geometry.size, 3)
    assert image.GetPixelID() == sitk.sitkFloat32
    np.testing.assert_allclose(image.GetOrigin()[:3], found.geometry.origin, atol=1e-4)
    np.testing.assert_allclose(image.GetSpacing()[:3], found.geometry.spacing, atol=1e-5)
    for number, node in enumerate(said["NodeIds"]):
        volume = sitk.GetArrayFromImage(image)[number]
        np.testing.assert_allclose(volume, found.probability(node), atol=1e-6)
        assert 0 <= volume.min() <= volume.max() <= 1
    predict(model, [raw / "sub-02" / "anat" / "sub-02_T1w.nii.gz"], out, **asked, nodes=["ball-right", "ball"])
    said = json.loads(file.with_name(file.name.replace(".nii.gz", ".json")).read_text())
    assert (said["LabelMap"], sitk.ReadImage(str(file)).GetSize()[3]) == (["ballRight", "ball"], 2)
    assert not list(out.rglob("*_label-*_probseg.nii.gz"))
    with pytest.raises(InputError, match="--stack: is for --layout bids"):
        predict(model, [raw], raw.parent / "flat", stack=True)


def test_a_dataset_has_a_readme_unless_a_person_wrote_one(raw: Path, tmp_path: Path) -> None:
    model, scans = make_model(Sides(), sided()), [raw / "sub-02" / "anat" / "sub-02_T1w.nii.gz"]
    predict(model, scans, tmp_path / "softseg", layout="bids", device="cpu")
    assert "softseg predict --layout bids" in (tmp_path / "softseg" / "README.md").read_text()
    (tmp_path / "softseg" / "README.md").rename(tmp_path / "softseg" / "README")
    (tmp_path / "softseg" / "README").write_text("mine")
    predict(model, scans, tmp_path / "softseg", layout="bids", device="cpu", overwrite=True)
    assert not (tmp_path / "softseg" / "README.md").exists()
    assert (tmp_path / "softseg" / "README").read_text() == "mine"


def test_images_that_differ_by_their_suffix_alone_get_a_description(raw: Path, tmp_path: Path) -> None:
    images = [raw / "sub-02" / "anat" / f"sub-02_{suffix}.nii.gz" for suffix in ("T1w", "T2w")]
    out, model = tmp_path / "softseg", make_model()
    predict(model, images, out, layout="bids", device="cpu")
    found = sorted(path.name for path in out.rglob("*_dseg.nii.gz"))
    assert found == [f"sub-02_space-orig_seg-two_desc-{suffix}_dseg.nii.gz" for suffix in ("T1w", "T2w")]
    assert strange(out) == []
    apart = tmp_path / "softseg-apart"  # the same in two commands
    for image in images:
        predict(model, [image], apart, layout="bids", device="cpu")
    assert len(list(apart.rglob("*_dseg.nii.gz"))) == 2


def test_scans_without_names_of_bids_become_subjects(scan: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict(make_model(), [scan("Ada L (2).nii.gz")], out, layout="bids", device="cpu")
    assert strange(out) == []
    (labels,) = out.rglob("*_dseg.nii.gz")
    assert re.fullmatch(r"sub-AdaL2[0-9a-f]{6}_space-orig_seg-two_dseg\.nii\.gz", labels.name)
    assert labels.parent == out / labels.name.partition("_")[0] / "anat"
    said = json.loads((labels.parent / labels.name.replace(".nii.gz", ".json")).read_text())
    assert said["Sources"] == ["Ada L (2).nii.gz"]  # no path of this machine


def test_a_dataset_of_others_is_not_written_into(raw: Path) -> None:
    before = (raw / "dataset_description.json").read_text()
    with pytest.raises(InputError, match=r"a BIDS dataset that softseg has not made.+derivatives.softseg"):
        predict(make_model(), [raw], raw, layout="bids", device="cpu")
    assert (raw / "dataset_description.json").read_text() == before


def test_a_folder_that_bids_would_call_otherwise_is_remarked(raw: Path) -> None:
    sink = ListSink()
    out = raw / "derivatives" / "mine"
    predict(make_model(), [raw], out, layout="bids", entities=["ses-a"], device="cpu", events=Events(sink))
    assert any("BIDS wants 'softseg' in the name" in event.get("text", "") for event in sink.events)


def test_labels_of_nodes_are_letters_and_digits_and_differ() -> None:
    found = labels_of(["right-hippocampus", "CA2/3", "CA2 3", "x", "X", "海馬", "a_b", "a-b"])
    assert found["right-hippocampus"] == "rightHippocampus"
    assert all(re.fullmatch(r"[0-9a-zA-Z]+", label) for label in found.values())
    assert len({label.casefold() for label in found.values()}) == len(found)
    assert as_label("brain-134", "brain-134") == "brain134"


def test_every_other_file_has_a_name_of_its_own(tmp_path: Path) -> None:
    case = CaseInput("x", (tmp_path / "sub-1_acq-a_T1w.nii.gz",))
    place = bids_places(tmp_path / "out", [case], sided(), "m")["x"]
    files = [
        OutputFile("mask", "mask.nii.gz"),
        OutputFile("outliers", "outliers.nii.gz"),
        OutputFile("answers", "labels_confidence0.9.nii.gz", "0.9"),
        OutputFile("entropy", "entropy.nii.gz"),
        OutputFile("decision_entropy", "decision_ball_entropy.nii.gz", "ball"),
        OutputFile("volumes", "volumes.csv"),
        OutputFile("statistics", "statistics.csv"),
        OutputFile("preview", "preview.png"),
    ]
    names = [place.called(file).path for file in files]
    assert names[:3] == [
        "sub-1_acq-a_space-orig_desc-scanmask_probseg.nii.gz",
        "sub-1_acq-a_space-orig_seg-sided_desc-outliers_mask.nii.gz",
        "sub-1_acq-a_space-orig_seg-sided_desc-confidence0p9_dseg.nii.gz",
    ]
    assert all(NAME.fullmatch(name) for name in names[:3])
    assert len(set(names)) == len(names)
    patterns = [pattern for pattern in IGNORED if pattern.startswith("*")]
    assert all(any(Path(name).match(pattern) for pattern in patterns) for name in names[3:])


def test_a_tree_without_a_name_has_one_in_bids(tmp_path: Path, scan: Callable[..., Path]) -> None:
    tree = LabelTree([Node("r", "r", None), Node("b", "b", "r", value=0), Node("x", "x", "r", value=1)])
    predict(make_model(Intensity(), tree), [scan("sub-1_T1w.nii.gz")], tmp_path / "o", layout="bids", device="cpu")
    assert strange(tmp_path / "o") == []
