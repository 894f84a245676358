"""Writing a volume to an .nrrd file piece by piece, so that a large one never holds up the application.

The files are plain NRRD, which Slicer and the engine read; the grid is kept with all its digits.
"""

import errno
import os
import zlib

import numpy as np

from softseg.errors import InputError

_TYPES = {
    "int8": "int8",
    "uint8": "uint8",
    "int16": "int16",
    "uint16": "uint16",
    "int32": "int32",
    "uint32": "uint32",
    "int64": "int64",
    "uint64": "uint64",
    "float32": "float",
    "float64": "double",
}
_GZIP = 16 + zlib.MAX_WBITS


class NrrdWriter:
    """A volume that is being written; it stands under its name only after :meth:`close`.

    Parameters
    ----------
    path: the file, ending in .nrrd.
    geometry: the grid (:class:`softseg.image.Geometry`).
    dtype: numpy type of the voxels.
    compress: whether to pack the voxels; worth it for labels.

    Raises
    ------
    InputError: the folder cannot be written, or the type is none that NRRD knows.
    """

    def __init__(self, path, geometry, dtype, compress=False):
        self.path = str(path)
        self._dtype = np.dtype(dtype).newbyteorder("<")
        if self._dtype.name not in _TYPES:
            raise InputError(f"voxels of type {self._dtype.name} cannot be written", file=self.path)
        self._packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP) if compress else None
        self._temporary = os.path.join(os.path.dirname(self.path), f".unfinished-{os.path.basename(self.path)}")
        with plainErrors(self.path):
            self._stream = open(self._temporary, "wb")  # noqa: SIM115 - closed by close() or discard()
            self._stream.write(_header(geometry, _TYPES[self._dtype.name], compress))

    def write(self, slab):
        """Write the next slices, an array ``(k, j, i)`` of whole slices.

        Raises
        ------
        InputError: the disk is full.
        """
        content = np.ascontiguousarray(slab, self._dtype).tobytes()
        with plainErrors(self.path):
            self._stream.write(content if self._packer is None else self._packer.compress(content))

    def close(self):
        """Finish the file and give it its name.

        Raises
        ------
        InputError: the disk is full.
        """
        with plainErrors(self.path):
            if self._packer is not None:
                self._stream.write(self._packer.flush())
            self._stream.close()
            os.replace(self._temporary, self.path)

    def discard(self):
        """Leave nothing behind; does nothing after :meth:`close`."""
        self._stream.close()
        if os.path.exists(self._temporary):
            os.remove(self._temporary)


class plainErrors:
    """A block in which errors of the disk become an InputError that says what to do.

    Parameters
    ----------
    path: what is being written.
    """

    def __init__(self, path):
        self._path = str(path)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if not isinstance(error, OSError):
            return False
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError("the disk is full", file=self._path, hint="free space or choose another folder") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise InputError("cannot write here", file=self._path, hint="choose a folder you may write to") from error
        raise InputError(f"cannot be written: {error.strerror or error}", file=self._path) from error


def _header(geometry, typeName, compress):
    columns = np.reshape(geometry.direction, (3, 3)) * np.asarray(geometry.spacing)
    lines = [
        "NRRD0004",
        f"type: {typeName}",
        "dimension: 3",
        "space: left-posterior-superior",
        "sizes: " + " ".join(map(str, geometry.size)),
        "space directions: " + " ".join(_vector(columns[:, axis]) for axis in range(3)),
        "kinds: domain domain domain",
        "endian: little",
        f"encoding: {'gzip' if compress else 'raw'}",
        "space origin: " + _vector(geometry.origin),
    ]
    return ("\n".join(lines) + "\n\n").encode()


def _vector(numbers):
    return "(" + ",".join(repr(float(number)) for number in numbers) + ")"
