"""Corrected results of the scene as files and a DATA.json, from which ``softseg train --from MODEL`` learns."""

import os

import slicer

from softseg.errors import InputError
from softseg.requests import file_names

from ..Exchange.NrrdWriter import NrrdWriter, plainErrors


def writeCorrections(folder, logic, results, channel, original=""):
    """Write corrected results and their scans: a generator of ``(done, total)``; DATA.json comes last.

    Parameters
    ----------
    folder: made when missing.
    logic: SoftSegSlicerLogic, which knows what the results hold.
    results: ``[(segmentation node, scan node or None)]``, as ``logic.corrections.results()`` returns them.
    channel: the model's name of its only channel.
    original: DATA.json whose cases are mixed in and judge; empty for none.

    Raises
    ------
    InputError: a scan is gone or is not that of the result, the original dataset does not fit, or the disk is full.
    """
    for node, volume in results:
        _requireScan(node, volume)
    names = file_names([f"{number + 1} {node.GetName()}" for number, (node, _volume) in enumerate(results)])
    with plainErrors(folder):
        os.makedirs(folder, exist_ok=True)
    files, scans, total = [], [], 2 * len(results) + 1
    for number, (node, volume) in enumerate(results):
        name = names[f"{number + 1} {node.GetName()}"]
        result = logic.results.parcellationOf(node)
        if result is None:
            raise InputError(
                f"'{node.GetName()}' holds label maps, not probabilities", hint="segment the scan with the model"
            )
        array = slicer.util.arrayFromVolume(volume)
        if array.shape != result.geometry.shape:
            raise InputError(
                f"'{volume.GetName()}' is not the scan of '{node.GetName()}': its grid differs",
                hint="segment the scan again, or load the scan of the result",
            )
        files.append(str(result.save(os.path.join(folder, f"{name}.soft.npz"), compressed=False)))
        yield 2 * number + 1, total
        scans.append(_writeScan(array, result.geometry, os.path.join(folder, f"{name}.nrrd")))
        yield 2 * number + 2, total
    from softseg.data import import_corrections  # needs what the engine installs

    out = os.path.join(folder, "DATA.json")
    import_corrections(files, out, images=scans, channel=channel, original=original or None)
    yield total, total


def _requireScan(node, volume):
    if volume is None or volume.GetImageData() is None:
        raise InputError(
            f"the scan of '{node.GetName()}' is not in the scene",
            hint="load the scan, then segment it again or remove it",
        )


def _writeScan(array, geometry, path):
    writer = NrrdWriter(path, geometry, array.dtype)
    try:
        for first in range(0, len(array), 16):
            writer.write(array[first : first + 16])
        writer.close()
    finally:
        writer.discard()
    return path
