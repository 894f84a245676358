"""DICOM Segmentation objects, out and in (package ``highdicom``, the extra ``dicom``)."""
