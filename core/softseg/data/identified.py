"""The type of channel, case and group names in files that pydantic checks."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator

from softseg.identifiers import identifier

Identifier: TypeAlias = Annotated[str, AfterValidator(identifier)]
"""Text on one line that may be an identifier, see :func:`softseg.identifiers.identifier`."""
