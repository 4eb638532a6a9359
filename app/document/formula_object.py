"""A formula inside a `QTextDocument`: one character that draws itself and remembers its LaTeX."""

from PySide6.QtCore import QPointF, QRect, QRectF, QSizeF
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QPainter,
    QPixmap,
    QPyTextObject,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
)

from baton_reasoning.app.document.formulas import Formula
from baton_reasoning.app.document.style import TextStyle
from baton_reasoning.app.document.typeset import Typeset, picture, typeset

OBJECT_CHARACTER = "\ufffc"
_FORMULA_OBJECT = QTextFormat.ObjectTypes.UserObject.value + 1
_FIRST = QTextFormat.Property.UserProperty.value + 1
_FORMULA, _SIZE, _STRUT, _DESCENT = range(_FIRST, _FIRST + 4)
_SMALLEST_SHRINK = 0.6  # a formula wider than the page shrinks to it, but stays legible


def insert_formula(cursor: QTextCursor, formula: Formula, style: TextStyle) -> bool:
    """Puts the formula at the cursor; False, and nothing put, if it cannot be typeset."""
    size = style.formula_size
    char_format = QTextCharFormat()
    char_format.setObjectType(_FORMULA_OBJECT)
    char_format.setProperty(_FORMULA, list(formula))
    result = typeset(formula.latex, formula.display, size)
    if result is None:
        return False
    layout = cursor.document().documentLayout()
    if layout.handlerForObject(_FORMULA_OBJECT) is None:
        layout.registerHandler(_FORMULA_OBJECT, _FormulaObject(layout))
    char_format.setProperty(_SIZE, size)
    char_format.setProperty(_STRUT, QFontMetricsF(style.font).ascent())
    char_format.setForeground(QColor(style.ink))
    font = _font_that_descends(style.font, result.descent)
    char_format.setFont(font)
    char_format.setProperty(_DESCENT, QFontMetricsF(font).descent())
    char_format.setVerticalAlignment(QTextCharFormat.VerticalAlignment.AlignBaseline)
    cursor.insertText(OBJECT_CHARACTER, char_format)
    return True


def formula_of(char_format: QTextFormat) -> Formula | None:
    """Return the formula that a character stands for; None if it is an ordinary one."""
    return Formula(*char_format.property(_FORMULA)) if char_format.objectType() == _FORMULA_OBJECT else None


def _font_that_descends(font: QFont, depth: float) -> QFont:
    """Return a font whose letters reach at least `depth` pixels below the line.

    Qt gives an inline object no other way to say how far it hangs below the baseline: one that is aligned to it
    takes the descent of its format's font.
    """
    result = QFont(font)
    metrics = QFontMetricsF(result)
    if metrics.descent() < depth:
        result.setPixelSize(int(metrics.height() * depth / metrics.descent()) + 1)
        while QFontMetricsF(result).descent() < depth:
            result.setPixelSize(result.pixelSize() + 1)
    return result


class _FormulaObject(QPyTextObject):
    """Draws every formula of one document."""

    def intrinsicSize(self, document: QTextDocument, position: int, char_format: QTextFormat) -> QSizeF:
        formula = _typeset_as(char_format)
        shrink = _shrink(document, position, formula)
        # Never lower than letters: a cell with only a formula keeps the line of its neighbours.
        ascent = max(formula.ascent * shrink, float(char_format.property(_STRUT)))
        return QSizeF(formula.width * shrink, ascent + float(char_format.property(_DESCENT)))

    def drawObject(
        self,
        painter: QPainter,
        rect: QRectF | QRect,
        document: QTextDocument,
        position: int,
        char_format: QTextFormat,
    ) -> None:
        formula = _typeset_as(char_format)
        shrink = _shrink(document, position, formula)
        place = QRectF(rect)
        top = place.bottom() - float(char_format.property(_DESCENT)) - formula.ascent * shrink
        scale = painter.device().devicePixelRatioF() * painter.worldTransform().m11()
        # In the colour of now, not of when it was inserted: it may be selected.
        colour = char_format.toCharFormat().foreground().color().name()
        image = QPixmap(picture(formula, colour, scale * shrink))
        image.setDevicePixelRatio(scale)
        # On whole device pixels, or the picture is smeared over its neighbours.
        painter.drawPixmap(QPointF(round(place.left() * scale) / scale, round(top * scale) / scale), image)


def _typeset_as(char_format: QTextFormat) -> Typeset:
    formula = formula_of(char_format)
    assert formula is not None  # Qt asks only for objects of our own type
    result = typeset(formula.latex, formula.display, float(char_format.property(_SIZE)))
    assert result is not None  # it was set before it was inserted
    return result


def _shrink(document: QTextDocument, position: int, formula: Typeset) -> float:
    """Return the factor, 1 or less, by which the formula fits the page."""
    indent = document.findBlock(position).blockFormat().indent() * document.indentWidth()
    width = document.textWidth() - 2 * document.documentMargin() - indent
    if document.textWidth() <= 0 or formula.width <= width:
        return 1.0
    return max(width / formula.width, _SMALLEST_SHRINK)
