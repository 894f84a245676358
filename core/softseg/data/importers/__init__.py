"""Describing folders of known layout as DATA.json; images stay where they are."""

from softseg.data.importers.bids import import_bids
from softseg.data.importers.corrections import import_corrections
from softseg.data.importers.decathlon import import_decathlon
from softseg.data.importers.folder import import_folder
from softseg.data.importers.nnunet import import_nnunet

__all__ = ["import_bids", "import_corrections", "import_decathlon", "import_folder", "import_nnunet"]
