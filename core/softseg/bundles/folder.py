"""A MONAI bundle's folder: ``configs/metadata.json``, ``configs/inference.json`` and its weights."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softseg.bundles.configuration import Configuration
from softseg.bundles.outputs import BundleOutputs, channel_names
from softseg.bundles.recognition import METADATA, SCRIPT, STATE, configuration_of
from softseg.errors import InputError
from softseg.files import read_json_object, require_inside
from softseg.tree import LabelTree

_CHUNK = 1 << 22


@dataclass(frozen=True)
class BundleFolder:
    """A bundle.

    Attributes
    ----------
    path: its folder.
    metadata: the contents of ``metadata.json``.
    configuration: what predicts.
    weights: ``models/model.pt``, or ``models/model.ts``, a network as a TorchScript program.
    channels: names of the input images, in order.
    outputs: what comes out, on a tree.
    trusted: whether code of it may run.
    """

    path: Path
    metadata: dict[str, Any]
    configuration: Configuration
    weights: Path
    channels: tuple[str, ...]
    outputs: BundleOutputs
    trusted: bool = False

    @staticmethod
    def load(path: Path, tree: LabelTree | None = None, trusted: bool = False) -> BundleFolder:
        """Read a bundle; nothing in it is executed.

        Parameters
        ----------
        path: the folder.
        tree: a tree that a person names; see :meth:`BundleOutputs.of`.
        trusted: whether code of it may run later.

        Raises
        ------
        InputError: it is none, holds code though it is not trusted, or its channels do not fit the tree.
        """
        if not path.is_dir():
            raise InputError("no such model folder", file=path)
        configured = configuration_of(path)
        state, script = path / STATE, path / SCRIPT
        for file, name in ((path / METADATA, METADATA), (configured, "configs/inference.json")):
            if file is None or not file.is_file():
                raise InputError(f"is no MONAI bundle that predicts: it lacks {name}", file=path)
            require_inside(file, path)
        weights = next((file for file in (state, script) if file.is_file()), None)
        if weights is None:
            raise InputError(f"is no MONAI bundle that predicts: it lacks {STATE}", file=path)
        require_inside(weights, path)
        if weights == script and not trusted:
            raise InputError(
                "is a TorchScript program, which is not run",
                file=script,
                hint="--trust-code runs it, if you trust where the bundle comes from",
            )
        metadata = read_json_object(path / METADATA)
        configuration = Configuration.load(path, metadata, trusted, weights == script)
        name = str(metadata.get("name") or path.resolve().name)
        outputs = BundleOutputs.of(metadata, path / METADATA, name, configuration.activation == "sigmoid", tree)
        channels = channel_names(metadata, "inputs", path / METADATA)
        return BundleFolder(path, metadata, configuration, weights, channels, outputs, trusted)

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self.metadata.get("name") or self.path.resolve().name)

    def digest(self) -> str:
        """Return a digest of metadata, configuration, weights and tree."""
        digest = hashlib.sha256()
        for file in (self.path / METADATA, self.configuration.file, self.weights):
            with file.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
        digest.update(repr(self.outputs.tree.to_json()).encode())
        return digest.hexdigest()[:32]
