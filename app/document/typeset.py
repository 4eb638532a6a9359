"""Sets formulas in a window: ziamath typesets them, Qt paints them, and both results are cached.

A step may hold ten formulas that were never set, so a `Typesetter` sets them in a background task, and the window only
has to place them.
"""

import queue
from collections.abc import Callable, Iterator, Sequence

from PySide6.QtCore import QByteArray, QObject, QPointF, QRect, QRectF, QSizeF, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QPainter,
    QPixmap,
    QPixmapCache,
    QPyTextObject,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
)
from PySide6.QtSvg import QSvgRenderer
from shiboken6 import isValid

from baton_reasoning.app.document.style import TextStyle
from baton_reasoning.app.toolkit.background import StreamTask
from baton_reasoning.core.markdown.blocks import FORMULA_CHARACTER
from baton_reasoning.core.markdown.formulas import Formula
from baton_reasoning.core.markdown.latex import Typeset, typeset

Ready = Callable[[], None]


class Typesetter(QObject):
    """Typesets formulas in the background, and calls back in the main thread."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._jobs: queue.SimpleQueue[tuple[Sequence[Formula], float, Ready] | None] = queue.SimpleQueue()
        self._started = False
        self._set: set[tuple[Formula, float]] = set()

    def is_set(self, formula: Formula, size: float) -> bool:
        """Whether a formula was set at this size, or could not be."""
        return (formula, size) in self._set

    def prepare(self, formulas: Sequence[Formula], size: float, ready: Ready, owner: QObject) -> None:
        """Call `ready` when formulas are set at a size, unless its owner was deleted."""
        if not self._started:
            self._started = True
            StreamTask(self, "typeset formulas", self._work, cancel=lambda: self._jobs.put(None)).items(
                _call_all
            ).start()
        self._jobs.put((formulas, size, lambda: ready() if isValid(owner) else None))

    def _work(self) -> Iterator[Ready]:
        while (job := self._jobs.get()) is not None:
            formulas, size, ready = job
            for formula in formulas:
                typeset(formula.latex, formula.display, size)  # which is cached
                self._set.add((formula, size))
            yield ready


def _call_all(ready: list[Ready]) -> None:
    for call in ready:
        call()


def picture(formula: Typeset, colour: str, scale: float) -> QPixmap:
    """Draw a formula in a colour (`#rrggbb`); `scale` is device pixels per pixel, 2 on most HiDPI screens.

    Cached by Qt, which limits the bytes of all pictures together; call it in the window's own thread.
    """
    found, key = QPixmap(), f"{colour} {scale} {formula.svg}"
    if QPixmapCache.find(key, found):
        return found
    height = formula.ascent + formula.descent
    drawn = QPixmap(max(1, round(formula.width * scale)), max(1, round(height * scale)))
    drawn.setDevicePixelRatio(scale)
    drawn.fill(Qt.GlobalColor.transparent)
    painter = QPainter(drawn)
    svg = formula.svg.replace("currentColor", colour).encode()
    QSvgRenderer(QByteArray(svg)).render(painter, QRectF(0, 0, formula.width, height))
    painter.end()
    QPixmapCache.insert(key, drawn)
    return drawn


_FORMULA_OBJECT = QTextFormat.ObjectTypes.UserObject.value + 1
_FIRST = QTextFormat.Property.UserProperty.value + 1
_FORMULA, _SIZE, _STRUT, _DESCENT = range(_FIRST, _FIRST + 4)
_SMALLEST_SHRINK = 0.6  # a formula wider than the page shrinks to it, but stays legible


def insert_formula(cursor: QTextCursor, formula: Formula, style: TextStyle) -> bool:
    """Put the formula at the cursor; False, with nothing put there, if it cannot be typeset."""
    size = style.formula_size
    result = typeset(formula.latex, formula.display, size)
    if result is None:
        return False
    layout = cursor.document().documentLayout()
    if layout.handlerForObject(_FORMULA_OBJECT) is None:
        layout.registerHandler(_FORMULA_OBJECT, _FormulaObject(layout))
    char_format = QTextCharFormat()
    char_format.setObjectType(_FORMULA_OBJECT)
    char_format.setProperty(_FORMULA, list(formula))
    char_format.setProperty(_SIZE, size)
    char_format.setProperty(_STRUT, QFontMetricsF(style.font).ascent())
    char_format.setForeground(QColor(style.ink))
    font = _font_that_descends(style.font, result.descent)
    char_format.setFont(font)
    char_format.setProperty(_DESCENT, QFontMetricsF(font).descent())
    char_format.setVerticalAlignment(QTextCharFormat.VerticalAlignment.AlignBaseline)
    cursor.insertText(FORMULA_CHARACTER, char_format)
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
        self, painter: QPainter, rect: QRectF | QRect, document: QTextDocument, position: int, char_format: QTextFormat
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
