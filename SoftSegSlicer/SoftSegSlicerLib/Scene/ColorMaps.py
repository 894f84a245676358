"""Colour maps for shares, and the colour table of a tree."""

from softseg.tree import node_colors

from . import References
from .TerminologyEntry import terminologyText

_PREFERRED = (
    "Inferno",
    "Magma",
    "Plasma",
    "Viridis",
    "Cividis",
    "PET-Heat",
    "PET-HotMetalBlue",
    "Iron",
    "fMRI",
    "Grey",
)
_OWN = "Shares"
_OWN_POINTS = (
    (0.0, 0, 0, 0),
    (0.25, 0.35, 0.05, 0.45),
    (0.5, 0.75, 0.2, 0.3),
    (0.75, 0.98, 0.55, 0.05),
    (1.0, 1, 1, 0.6),
)


def colorMaps(scene):
    """Return the names of the colour maps for shares that are in the scene."""
    return tuple(name for name in (*_PREFERRED, _OWN) if _find(scene, name) is not None)


def colorMapNode(scene, name):
    """Return the colour node of this name, or the one that comes nearest; one is made where there is none at all."""
    for wanted in (name, *_PREFERRED):
        found = _find(scene, wanted)
        if found is not None:
            return found
    return _find(scene, _OWN) or _ownMap(scene)


def _find(scene, name):
    for id_ in (
        f"vtkMRMLColorTableNodeFile{name}.txt",
        f"vtkMRMLPETProceduralColorNode{name}",
        f"vtkMRMLColorTableNode{name}",
    ):
        node = scene.GetNodeByID(id_)
        if node is not None:
            return node
    node = scene.GetFirstNodeByName(name)
    return node if node is not None and node.IsA("vtkMRMLColorNode") else None


def _ownMap(scene):
    node = References.addNode(scene, "vtkMRMLProceduralColorNode", _OWN, hidden=True)
    node.SetAttribute(References.OF_ALL, "1")
    function = node.GetColorTransferFunction()
    function.RemoveAllPoints()
    for share, red, green, blue in _OWN_POINTS:
        function.AddRGBPoint(share, red, green, blue)
    return node


def writeColorTable(scene, tree, nodeIds, name, table=None):
    """Fill a colour table with names, colours and terminology of nodes, at their label values.

    Parameters
    ----------
    scene: the MRML scene.
    tree: LabelTree.
    nodeIds: which nodes.
    name: of a new table.
    table: vtkMRMLColorTableNode that is filled again, or None.

    Returns
    -------
    the vtkMRMLColorTableNode.
    """
    if table is None:
        table = References.addNode(scene, "vtkMRMLColorTableNode", name)
        table.SetTypeToUser()
        table.SetAttribute("Category", "SoftSeg")
    colors = node_colors(tree)
    modifying = table.StartModify()
    table.SetNumberOfColors(max(tree.value_of(id_) for id_ in nodeIds) + 1)
    table.GetLookupTable().SetRange(0, table.GetNumberOfColors() - 1)
    for value in range(table.GetNumberOfColors()):
        table.SetColor(value, "", 0.0, 0.0, 0.0, 0.0)
        table.SetColorDefined(value, False)
    for id_ in nodeIds:
        node, value = tree.node(id_), tree.value_of(id_)
        red, green, blue = (channel / 255 for channel in colors[id_])
        table.SetColor(value, node.name, red, green, blue, 0.0 if value == 0 else 1.0)
        table.SetColorDefined(value, True)
        table.SetTerminologyFromString(value, terminologyText(node))
    table.EndModify(modifying)
    return table
