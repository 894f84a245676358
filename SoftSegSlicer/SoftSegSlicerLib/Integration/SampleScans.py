"""Scans in the module Sample Data, for each shipped model; they come with the extension, without a network."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "Resources" / "SampleData"
CATEGORY = "SoftSeg"


@dataclass(frozen=True)
class SampleScan:
    """One scan; where it comes from and its licence stand in ``Resources/SampleData/README.md``.

    Attributes
    ----------
    models: the shipped models that it is for.
    title: what people read, and by which scripts ask for it (``SampleData.downloadSample``).
    node: name of the volume.
    file: without its ending; ``.nii.gz`` is the scan, ``.png`` its picture.
    """

    models: tuple
    title: str
    node: str
    file: str

    @property
    def scan(self):
        """Path of the scan."""
        return FOLDER / f"{self.file}.nii.gz"

    @property
    def picture(self):
        """Path of the picture."""
        return FOLDER / f"{self.file}.png"


SAMPLES = (
    SampleScan(("brain-134", "head-any"), "Average head T1 (brain-134)", "Average head T1", "average-head-t1"),
    SampleScan(
        ("cord-gm-soft",),
        "Synthetic spinal cord (cord-gm-soft)",
        "Synthetic spinal cord",
        "spinal-cord-phantom",
    ),
)


def registerSamples(sampleDataLogic):
    """Add the scans to Sample Data.

    Parameters
    ----------
    sampleDataLogic: ``SampleData.SampleDataLogic``.
    """
    for sample in SAMPLES:
        digest = hashlib.sha256(sample.scan.read_bytes()).hexdigest()
        sampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=sample.title,
            uris=[sample.scan.as_uri()],
            fileNames=[sample.scan.name],
            nodeNames=[sample.node],
            loadFiles=[True],
            loadFileTypes=["VolumeFile"],
            checksums=[f"SHA256:{digest}"],  # Slicer keeps a copy; another version of the extension brings another one
            thumbnailFileName=str(sample.picture),
        )
