"""What a model needs before it can predict: another model, one node of which is the mask of its scans; without torch.

It stands as ``needs: {"model": "head-any", "node": "brain"}`` in ``ensemble.json``, or in the ``softseg`` part of a
single model's ``configs/metadata.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

from softseg.errors import InputError

FIELD = "needs"


@dataclass(frozen=True)
class Needs:
    """A model and a node of its tree.

    Attributes
    ----------
    model: name of a shipped model, or a model folder.
    node: id or name in its label tree; its probability is the mask.
    """

    model: str
    node: str

    @staticmethod
    def from_json(value: Any, file: str | PathLike[str], field: str = FIELD) -> Needs | None:
        """Return the needs in a model's file; None where it needs nothing.

        Raises
        ------
        InputError: it is not a model and a node.
        """
        if value is None:
            return None
        found = dict(value) if isinstance(value, Mapping) else {}
        if set(found) != {"model", "node"} or not all(isinstance(text, str) and text for text in found.values()):
            raise InputError('expected {"model": NAME, "node": ID}', file=file, field=field)
        return Needs(found["model"], found["node"])

    @property
    def sentence(self) -> str:
        """The sentence of a model card about the scans."""
        return (
            f"`softseg` masks raw ones by `{self.node}` of the model `{self.model}` first, or by a mask that is given; "
            "MONAI takes stripped ones alone"
        )

    def to_json(self) -> dict[str, str]:
        """Return it as plain values."""
        return {"model": self.model, "node": self.node}
