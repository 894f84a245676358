"""Datasets in the layouts of other tools; :mod:`softseg.data.importers` reads them back."""

from softseg.data.exporters.nnunet import export_nnunet

__all__ = ["export_nnunet"]
