"""Which columns of a label table hold what: by a header, in whatever order, or by what is in them.

A column is known by its role: ``value``, ``name``, ``short`` (an abbreviation, not kept), ``red``, ``green``, ``blue``,
``alpha``, ``color`` (all three in one cell), ``id`` and ``path`` (our own two, which bring a tree back), ``left`` and
``right`` (the values of the two sides), or ``""`` (not ours).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from softseg.tables import Cell, Line, plain_column

Layout = tuple[str, ...]

_CALLED = {
    "value": (
        "labelvalue", "index", "value", "labelid", "labelindex", "labelnumber", "labelno", "labelkey", "roiid",
        "roiindex", "roinumber", "regionid", "regionindex", "structureid", "idx", "ind", "id", "no", "nr", "number",
        "key", "code", "label", "labels", "values", "intensity", "mindboggleid", "#",
    ),
    "left": ("lhlabel", "leftlabel", "lhvalue", "leftvalue", "lhindex", "leftindex", "lhid", "leftid"),
    "right": ("rhlabel", "rightlabel", "rhvalue", "rightvalue", "rhindex", "rightindex", "rhid", "rightid"),
    "short": ("shortname", "short", "abbreviation", "abbr", "abbrev", "acronym", "roiabbr", "labelabbr"),
    "red": ("colorr", "colourr", "red", "r"),
    "green": ("colorg", "colourg", "green", "g"),
    "blue": ("colorb", "colourb", "blue", "b"),
    "alpha": ("colora", "coloura", "alpha", "a", "opacity"),
    "color": (
        "color", "colour", "hexcolor", "hexcolour", "colorhex", "colourhex", "hex", "rgb", "roicolor",
        "colorhextriplet",
    ),
    "id": ("nodeid",),
    "path": ("nodepath",),
    "name": (
        "name", "labelname", "longname", "fullname", "structurename", "regionname", "roiname", "anatomicalname",
        "anatomicalstructure", "structure", "structures", "region", "regions", "roi", "organ", "tissue", "class",
        "classname", "description", "anatomy", "label", "labels", "names",
    ),
}  # fmt: skip

_KNOWN = frozenset(name for names in _CALLED.values() for name in names)
_UNCLEAR = frozenset(
    {"id", "no", "nr", "number", "key", "code", "label", "labels", "value", "values", "intensity", "#"}
)
"""Names of columns that hold values only where their cells are numbers."""

_NAMES = ("name", "structure", "region")
_VALUES = ("index", "value", "id", "no", "number", "label")
"""How columns of names and of values end whose whole name is not known."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
_HEX = re.compile(r"#[0-9a-fA-F]{6}")
_CHANNELS = re.compile(r"\d+(\.\d+)?([ ,]+\d+(\.\d+)?){2,3}")
_ABBREVIATION = re.compile(r"(?!.*[a-z]{3})\S{1,12}")
_COLORS: Layout = ("red", "green", "blue", "alpha")


def is_number(cell: Cell) -> bool:
    """Whether a cell is a number that is not quoted."""
    return not cell.quoted and _NUMBER.fullmatch(cell.text) is not None


def is_whole(text: str) -> bool:
    """Whether a text is a whole number, also when written as ``1.0``."""
    return _WHOLE.fullmatch(text) is not None


def trailing_numbers(cells: Sequence[Cell]) -> int:
    """Return how many cells at the end are numbers; the first cell never counts, it is (part of) a name."""
    count = 0
    while count < len(cells) - 1 and is_number(cells[len(cells) - 1 - count]):
        count += 1
    return count


def could_be_header(texts: Sequence[str]) -> bool:
    """Whether two words or more are, or end like, names of columns; quick, and never wrong where it is False."""
    plain = [plain_column(text) for text in texts]
    ends = (*_NAMES, *_VALUES)
    return sum(text in _KNOWN or text.endswith(ends) for text in plain) > 1


def of_header(texts: Sequence[str], rows: Sequence[Line]) -> Layout | None:
    """Return the role of each column by its name, None if these names are no header of a label table.

    ``label`` is the value where its cells are numbers and no other column is, else the name.
    """
    plain = [plain_column(text) or text.strip() for text in texts]
    roles = [""] * len(plain)
    for role, names in _CALLED.items():
        for called in names:
            place = next((n for n, text in enumerate(plain) if text == called and not roles[n]), None)
            if place is not None and (role != "value" or _holds_values(place, called, rows)):
                roles[place] = role
                break
    if "name" not in roles and (place := _ending(plain, roles, _NAMES)) is not None:
        roles[place] = "name"
    if "name" not in roles and "short" in roles:
        roles[roles.index("short")] = "name"
    if not {"value", "left", "right"} & set(roles):
        numbers = [n for n, text in enumerate(plain) if not roles[n] and text.endswith(_VALUES) and _all_whole(n, rows)]
        if len(numbers) == 1:  # of several it is unclear which
            roles[numbers[0]] = "value"
    sides = "left" in roles and "right" in roles
    if sides and "value" in roles:
        roles[roles.index("value")] = ""
    elif not sides:
        roles = ["" if role in ("left", "right") else role for role in roles]
    if ("value" in roles or sides) and ("name" in roles or {"red", "green", "blue"} <= set(roles)):
        return tuple(roles)
    return None


def _ending(plain: Sequence[str], roles: Sequence[str], ends: tuple[str, ...]) -> int | None:
    """Return the first column without a role whose name ends so: ``TotalSegmentator_name``."""
    return next((n for n, text in enumerate(plain) if not roles[n] and text.endswith(ends)), None)


def _all_whole(place: int, rows: Sequence[Line]) -> bool:
    """Whether every cell of a column is a whole number."""
    return bool(rows) and all(place < len(row.cells) and is_whole(row.texts[place]) for row in rows)


def _holds_values(place: int, called: str, rows: Sequence[Line]) -> bool:
    """Whether a column of that name holds label values; a name that is not clear needs whole numbers below it."""
    cells = [row.texts[place] for row in rows if place < len(row.cells)]
    return called not in _UNCLEAR or 2 * sum(map(is_whole, cells)) >= len(cells)


def of_words(words: Sequence[str], width: int, rows: Sequence[Line]) -> Layout | None:
    """Return the roles that the words of a header of ``width`` columns give; ``Label Name`` is one column of two words.

    None if a word means nothing, or they are not so many columns.
    """
    merged: list[str] = []
    for place, word in enumerate(words):
        pair = plain_column(merged[-1] + word) if merged else ""
        left = len(words) - place + len(merged)
        if left > width and pair in (*_CALLED["name"], *_CALLED["short"], *_CALLED["value"]):
            merged[-1] += word
        else:
            merged.append(word)
    layout = of_header(merged, rows) if len(merged) == width else None
    known = layout is not None and all(
        role or word.casefold() in ("vis", "msh") for role, word in zip(layout, merged, strict=True)
    )
    return layout if known and layout is not None and "name" in layout else None


def in_comments(comments: Sequence[tuple[int, str]], width: int, rows: Sequence[Line]) -> Layout | None:
    """Return the roles that the last comment with a header of ``width`` columns gives: ``#No. Label Name: R G B A``."""
    for _, comment in reversed(comments):
        words = [word for word in re.split(r"[\s,;|]+", comment.lstrip("#%/ \t")) if plain_column(word)]
        if width <= len(words) <= 2 * width and (layout := of_words(words, width, rows)) is not None:
            return layout
    return None


def by_content(rows: Sequence[Line], comments: Sequence[tuple[int, str]], blanks: bool) -> Layout | None:
    """Return the roles of the columns of rows without a header, None if they are no rows of a label table.

    Parameters
    ----------
    rows: all of them.
    comments: those of the file, which may name the columns.
    blanks: whether cells end at blanks. Then a name may have blanks in it: the layout has one cell for it, and a row
        with more cells has them in its name. What could be meant in two ways is not guessed: None.
    """
    first = rows[0].cells
    if len(first) < 2:
        return None
    layout = in_comments(comments, len(first), rows)
    if layout is not None and all(len(row.cells) == len(first) for row in rows):
        return layout
    if not is_whole(first[0].text) or first[0].quoted:
        return _name_first(rows, blanks)
    leading = next((n for n, cell in enumerate(first[1:]) if not is_number(cell)), 0)
    if leading in (3, 4, 6):
        return ("value", *_COLORS[:leading], *[""] * (leading - 4), "name")
    return _value_first(rows, comments, blanks)


def _value_first(rows: Sequence[Line], comments: Sequence[tuple[int, str]], blanks: bool) -> Layout | None:
    bodies = [row.cells[1:] for row in rows if len(row.cells) > 1]
    layout = in_comments(comments, len(rows[0].cells), rows)
    if all(_ends_with_color(body) for body in bodies):
        texts = _texts([body[:-1] for body in bodies], layout, blanks)
        return None if texts is None else ("value", *texts, "color")
    numbers = _numbers(bodies, blanks)
    if numbers in (0, 1):
        numbers = int(max(map(trailing_numbers, bodies)) == 1 and _is_code(rows))
    if numbers is None or numbers == 2:
        return None
    texts = _texts([body[: len(body) - min(numbers, trailing_numbers(body))] for body in bodies], layout, blanks)
    colors = _COLORS[:numbers] + ("",) * (numbers - 4) if numbers > 1 else ("",) * numbers
    return None if texts is None else ("value", *texts, *colors)


def _ends_with_color(cells: Sequence[Cell]) -> bool:
    return len(cells) > 1 and (_HEX.fullmatch(cells[-1].text) or _CHANNELS.fullmatch(cells[-1].text)) is not None


def _is_code(rows: Sequence[Line]) -> bool:
    """Whether the only number behind the names is a second code and not the end of a name (``Area 4``).

    AAL has a code in every row; AAL3 repeats the value, not in all rows.
    """
    bodies = [row.cells[1:] for row in rows]
    ends = [(row.texts[0], row.texts[-1]) for row in rows if len(row.cells) > 2 and is_number(row.cells[-1])]
    names = {" ".join(cell.text for cell in body[: max(1, len(body) - trailing_numbers(body))]) for body in bodies}
    repeated = all(value == end for value, end in ends)
    return len(names) == len(rows) and (repeated or len(ends) == len(rows))


def _numbers(bodies: Sequence[Sequence[Cell]], blanks: bool) -> int | None:
    """Return how many numbers follow the names; None where that leaves two readings.

    Names with blanks may end with a number themselves. Alpha distinguishes three channels from four: it is 0 or 255, or
    the same everywhere. Else the wider gap between two numbers does.
    """
    counts = [trailing_numbers(body) for body in bodies]
    if counts[0] < 2 < max(counts):  # the first row lacks a colour, which is an error of that row
        counts = [count for count in counts if count > 2]
        return counts[0]
    words = [len(body) - count for body, count in zip(bodies, counts, strict=True)]
    names = [" ".join(cell.text for cell in body[: max(1, n)]) for body, n in zip(bodies, words, strict=True)]
    repeated = 1 < len(names) >= 2 * len(set(names)) and len({body[-1].text for body in bodies}) > 1
    if not blanks or counts[0] < 4 or (words[0] == 1 and not repeated):
        return counts[0] if words[0] == 1 or not blanks else min(counts)
    fewest = min(counts)
    if fewest == max(counts) and _texts([body[:-fewest] for body in bodies], None, blanks) == ("short", "name"):
        return fewest
    if fewest not in (3, 4, 5):
        return fewest if fewest < 2 else None
    fits = [n for n in (3, 4) if n < fewest and _wider(bodies, n)]
    if fewest > 3 and not fits and not repeated and _is_alpha([body[-1].text for body in bodies]):
        return fewest if fewest == 4 else None
    return fits[0] if len(fits) == 1 else 3 if fewest == 3 else None


def _wider(bodies: Sequence[Sequence[Cell]], numbers: int) -> bool:
    """Whether in all rows the gap before the last ``numbers`` is wider than the gap before that."""
    return all(body[-numbers].gap > body[-numbers - 1].gap for body in bodies)


def _is_alpha(texts: Sequence[str]) -> bool:
    values = {float(text) for text in texts}
    return len(values) == 1 or values <= {0.0, 255.0} or values <= {0.0, 1.0}


def _texts(bodies: Sequence[Sequence[Cell]], layout: Layout | None, blanks: bool) -> Layout | None:
    """Return the roles of the cells between value and colour: a name, or a short name and a name.

    Two words are a short name and a name where a comment names both, where a gap stands between them, or where the
    first ones look like abbreviations; else they are one name with a blank.
    """
    if {len(body) for body in bodies} == {1}:
        return ("name",)
    if {len(body) for body in bodies} == {2}:
        if layout is not None and "short" in layout:
            return ("short", "name")
        shorts, longs = ([body[place].text for body in bodies] for place in (0, 1))
        apart = any(body[1].gap > 1 and not body[0].quoted for body in bodies)
        brief = all(_ABBREVIATION.fullmatch(text) for text in shorts)
        if sum(map(len, shorts)) < sum(map(len, longs)) and (apart or brief) and len(set(longs)) + 2 >= len(longs):
            return ("short", "name")
    return ("name",) if blanks else None


def _name_first(rows: Sequence[Line], blanks: bool) -> Layout | None:
    """Return the roles of rows that end with the value, or with value and colour."""
    if any(len(row.cells) < 2 or is_number(row.cells[0]) or not is_number(row.cells[-1]) for row in rows):
        return None
    counts = {trailing_numbers(row.cells) for row in rows}
    numbers = min(counts)
    if numbers not in (1, 4, 5) or (len(counts) > 1 and numbers != 1):
        return None
    values = [row.cells[len(row.cells) - numbers].text for row in rows]
    if not all(map(is_whole, values)) or len(set(values)) < len(values):
        return None
    texts = _texts([row.cells[: len(row.cells) - numbers] for row in rows], None, blanks)
    return None if texts is None else (*texts, "value", *_COLORS[: numbers - 1])
