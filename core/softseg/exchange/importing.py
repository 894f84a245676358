"""``softseg import-soft``: other tools' probabilities as a soft parcellation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from softseg.errors import InputError, naming
from softseg.events import Events
from softseg.exchange.assignment import assign, fitting_tree, flat_assignment, flat_tree, named_by
from softseg.exchange.encoding import Counted, Staged, encode_staged, scale_of
from softseg.exchange.fractions import read_fractions
from softseg.exchange.nnunet import read_nnunet
from softseg.exchange.source import Source
from softseg.exchange.volumes import images_in, read_files, read_stack, stem_of
from softseg.files import scratch_beside
from softseg.headers import is_dicom_segmentation
from softseg.requests.import_soft import ImportSoftRequest
from softseg.resources import label_tree_path, list_label_trees
from softseg.soft.parcellation import SoftParcellation
from softseg.tree import LabelTree


def run_import_soft(request: ImportSoftRequest, events: Events | None = None) -> Path:
    """Write the soft parcellation of other tools' probabilities.

    Raises
    ------
    InputError: a file is wrong, maps belong to no leaf, or their numbers are no probabilities.
    """
    events = Events() if events is None else events
    events.stage("import probabilities")
    parcellation: SoftParcellation | None = None
    for step in import_steps(request, events.log, events.warning):
        if isinstance(step, SoftParcellation):
            parcellation = step
        else:
            events.progress(*step)
    if parcellation is None:
        raise InputError("holds no voxels", file=request.inputs[0])
    path = parcellation.save(request.out)
    events.result("soft parcellation", path)
    return path


def import_steps(
    request: ImportSoftRequest, say: Callable[[str], None], warn: Callable[[str], None]
) -> Iterator[tuple[int, int] | SoftParcellation]:
    """Yield ``(done, total)`` while the volumes are read and encoded, and at last the soft parcellation.

    Parameters
    ----------
    request: what is asked; ``out`` only says where temporary data lie.
    say, warn: called with what was found and decided, one sentence without a full stop.

    Raises
    ------
    InputError: as :func:`run_import_soft`.
    """
    source = open_source(request)
    for note in source.notes:
        warn(f"{source.file}: {note}")
    if request.tree is None:
        with naming(source.file):
            tree, leaves = _own_tree(source, request.name or _stem(source.file))
        better = fitting_tree(source)
        if source.nesting is not None:
            say("a tree was made of the regions: what lies in a region is below it")
        else:
            say(
                "a flat tree was made of the names"
                + (f"; the shipped tree {better} knows all of them" if better else "")
            )
    else:
        tree = _tree(request.tree)
        leaves = assign(source, tree, dict(_pair(text) for text in request.chosen))
        if all(not one.name and one.value is None for one in source.maps) and not request.chosen:
            warn(
                f"{source.file}: its maps have no names; they are taken as the leaves of {tree.name} in the order of "
                "their label values"
            )
    total = 2 * len(source.maps)
    found: SoftParcellation | None = None
    with scratch_beside(request.out) as folder, closing(Staged(source, leaves, folder)) as staged:
        for done in staged.steps():
            yield done, total
        if staged.file is None:
            raise InputError("holds no maps that are kept", file=source.file)
        scale = scale_of(staged.low, staged.high, request.scale, source.file)
        where = f"{source.file}: {source.kind} on {' x '.join(map(str, source.geometry.size))} voxels"
        if scale != 1:
            warn(f"{where}; numbers up to {staged.high:.4g} are taken as 0..{scale} and divided by {scale}")
        else:
            say(f"{where}; numbers from {staged.low:.4g} to {staged.high:.4g} are taken as probabilities")
        counted = Counted()
        name = request.name or f"{source.kind} of {_stem(source.file)}"
        for step in encode_staged(staged, tree, scale, request.normalize, name, counted):
            if isinstance(step, SoftParcellation):
                found = step
            else:
                yield len(source.maps) + len(source.maps) * step[0] // step[1], total
    if found is not None:
        _report(source, tree, counted, found, say, warn)
        yield found


def open_source(request: ImportSoftRequest) -> Source:
    """Return what the request's files hold.

    Raises
    ------
    InputError: they are missing, damaged or of another kind.
    """
    inputs = [Path(path) for path in request.inputs]
    for path in inputs:
        if not path.exists():
            raise InputError("no such file or folder", file=path)
    first = inputs[0]
    arrays = [path for path in inputs if path.suffix.lower() == ".npz"]
    if len(inputs) == 1 and first.is_dir():
        arrays = sorted(path for path in first.glob("*.npz") if not path.name.endswith(".soft.npz"))
        if len(arrays) > 1:
            raise InputError(f"holds {len(arrays)} .npz files of several scans", file=first, hint="name one of them")
    if len(inputs) == 1 and is_dicom_segmentation(first):
        return read_fractions(first, request.like)
    if arrays and (len(inputs) == 1):
        source = read_nnunet(arrays[0], request.like)
    elif arrays:
        raise InputError("give one .npz alone", file=arrays[0])
    elif len(inputs) > 1:
        source = read_files(inputs, first)
    elif first.is_dir():
        source = read_files(images_in(first), first)
    else:
        source = read_stack(first)
    if request.labels is not None:
        named = named_by(source.maps, LabelTree.load(request.labels), request.labels)
        source = replace(source, maps=named)
    return source if request.like is None else source.like(request.like)


def _report(
    source: Source,
    tree: LabelTree,
    counted: Counted,
    found: SoftParcellation,
    say: Callable[[str], None],
    warn: Callable[[str], None],
) -> None:
    for remark in source.remarks:
        warn(f"{source.file}: {remark}")
    if counted.clipped is not None:
        warn(f"{source.file}: numbers from {counted.clipped[0]:.4g} to {counted.clipped[1]:.4g} were clipped")
    if counted.above:
        warn(
            f"{source.file}: in {counted.above} voxels the probabilities summed to more than 1, up to "
            f"{counted.most:.4g} at {counted.place}, and were divided by their sum"
        )
    if counted.below:
        say(f"in {counted.below} voxels the maps sum to less than 0.99: the rest is background")
    if tree.background is None:
        say("the tree has no background: what the maps leave over claims nothing")
    say(f"no node is further than {found.node_error:.4g} from the maps")


def _tree(name: str) -> LabelTree:
    path = Path(name)
    return LabelTree.load(label_tree_path(name) if not path.exists() and name in list_label_trees() else path)


def _own_tree(source: Source, name: str) -> tuple[LabelTree, list[int | None]]:
    """Return the tree that a source's own names make, and the leaf index of each of its maps."""
    if source.nesting is None:
        return flat_tree(source, name), flat_assignment(source)
    tree = source.nesting.tree(name)
    places = {leaf.name: place for place, leaf in enumerate(tree.leaves)}
    return tree, [places[title] for title in source.nesting.leaf_names()]


def _pair(text: str) -> tuple[str, str]:
    said, equals, node = text.rpartition("=")
    if not equals or not said or not node:
        raise InputError(f"expected MAP=NODE, got {text!r}", field="--as")
    return said, node


def _stem(path: Path) -> str:
    return stem_of(path).removesuffix(".npz")
