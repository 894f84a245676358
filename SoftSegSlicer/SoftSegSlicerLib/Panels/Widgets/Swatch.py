"""Small squares of colour for the rows of a tree."""

import qt

__all__ = ["swatchIcon"]

SIZE = 14


def swatchIcon(color: tuple[int, int, int]):
    """Return an icon: a square of the colour (0..255 each)."""
    pixmap = qt.QPixmap(SIZE, SIZE)
    pixmap.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter(pixmap)
    # a grey that is seen on light and dark backgrounds alike
    painter.setPen(qt.QColor(128, 128, 128))
    painter.setBrush(qt.QBrush(qt.QColor(*color)))
    painter.drawRect(1, 1, SIZE - 3, SIZE - 3)
    painter.end()
    return qt.QIcon(pixmap)
