"""Names of files as ITK takes them."""

from __future__ import annotations

from os import PathLike, fspath

from softseg.errors import InputError


def itk_name(path: str | PathLike[str], shown: str | PathLike[str] | None = None) -> str:
    """Return a path for ITK, which ends the whole process where a name is no Unicode.

    Parameters
    ----------
    path: what ITK is to read or write.
    shown: what the message names, where that is another file; ``path`` by default.

    Raises
    ------
    InputError: the name, or that of a folder above, is not UTF-8.
    """
    name = fspath(path)
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(
            "this format needs names in UTF-8", file=path if shown is None else shown, hint="rename the file or folder"
        ) from None
    return name
