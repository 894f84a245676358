"""DICOM codes of tree nodes in the form of Slicer's segment tags and colour tables."""

_CONTEXT = "Segmentation category and type - DICOM master list"
_ANATOMIC_CONTEXT = "Anatomic codes - DICOM master list"
_GENERIC_CATEGORY = "SCT^123037004^Anatomical Structure"
_GENERIC_TYPE = "SCT^85756007^Tissue"
_NO_CODE = "^^"


def terminologyText(node):
    """Return the terminology of a tree node: contexts and codes joined by ``~``, the parts of a code by ``^``.

    A node without codes is a tissue, as new segments of Slicer are.
    """
    codes = node.terminology
    if codes is None:
        category, type_, modifier, region, regionModifier = _GENERIC_CATEGORY, _GENERIC_TYPE, *[_NO_CODE] * 3
    else:
        category, type_ = _codeText(codes.category), _codeText(codes.type)
        modifier, region = _codeText(codes.type_modifier), _codeText(codes.region)
        regionModifier = _codeText(codes.region_modifier)
    return "~".join([_CONTEXT, category, type_, modifier, _ANATOMIC_CONTEXT, region, regionModifier])


def _codeText(code):
    if code is None:
        return _NO_CODE
    return "^".join(_plain(part) for part in (code.scheme, code.value, code.meaning))


def _plain(text):
    for separator in "^~|":  # what tags and codes are separated by
        text = text.replace(separator, " ")
    return text
