"""What ``softseg data export`` is asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from softseg.errors import InputError
from softseg.requests.request import Request, argument, option, out_option


@dataclass(frozen=True)
class ExportDataRequest(Request):
    """Write a dataset in the layout of another tool.

    Attributes
    ----------
    data: DATA.json.
    out: the folder.
    nnunet: write nnU-Net's raw folder.
    """

    COMMAND: ClassVar[tuple[str, ...]] = ("data", "export")

    data: Path = argument("DATA.json", "The dataset description.", kind=Path)
    out: Path = out_option("The folder to write, such as nnUNet_raw/Dataset101_Cord.", "DIR")
    nnunet: bool = option(
        "--nnunet", "As nnU-Net's raw folder, with splits_final.json and the tree.", kind=bool, default=False
    )

    def check(self) -> None:
        """One layout is named."""
        if not self.nnunet:
            raise InputError("say in which layout to write the dataset", field="--nnunet", hint="there is --nnunet")
