"""The scans of Sample Data: for each shipped model, in the extension, with their licence beside them."""

import hashlib
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import numpy as np
import pytest
from SoftSegSlicerLib.Integration.SampleScans import FOLDER, SAMPLES, registerSamples

from softseg.demo.cord_phantom import cord_phantom
from softseg.image import read_image
from softseg.prediction.model_summary import ModelSummary
from softseg.prediction.scan_checks import scan_warnings
from softseg.resources import list_models


class Registry:
    """Stands for Slicer's SampleDataLogic."""

    def __init__(self):
        self.sources = []

    def registerCustomSampleDataSource(self, **source):
        self.sources.append(source)


def test_every_shipped_model_has_one():
    assert sorted(model for sample in SAMPLES for model in sample.models) == sorted(list_models())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.file)
def test_the_scan_is_what_its_models_expect(sample):
    for model in sample.models:
        assert scan_warnings(read_image(sample.scan), *ModelSummary.load(model).expected) == []
    assert sample.picture.read_bytes().startswith(b"\x89PNG")
    assert sample.scan.name in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_they_are_files_of_the_extension_that_slicer_checks():
    registry = Registry()
    registerSamples(registry)
    assert len({source["sampleName"] for source in registry.sources}) == len(SAMPLES)
    for source in registry.sources:
        (uri,), (checksum,) = source["uris"], source["checksums"]
        assert urlparse(uri).scheme == "file"
        content = Path(url2pathname(urlparse(uri).path)).read_bytes()
        assert checksum == f"SHA256:{hashlib.sha256(content).hexdigest()}"
        assert len(source["fileNames"]) == len(source["nodeNames"]) == len(source["loadFiles"]) == 1


def test_the_phantom_is_the_one_that_is_drawn_and_is_called_synthetic():
    sample = next(sample for sample in SAMPLES if sample.models == ("cord-gm-soft",))
    drawn, shares = cord_phantom()
    np.testing.assert_array_equal(read_image(sample.scan).array, drawn.array)
    assert "Synthetic" in sample.title
    assert shares.min() >= 0
    assert shares.sum(axis=0).max() <= 1
    assert (shares.sum(axis=(1, 2, 3)) * 0.5 * 0.5 * 5 / 1000 > 0.5).all(), "ml of both tissues"
