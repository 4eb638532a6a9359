"""Renders LaTeX: ziamath typesets it, Qt paints it, and both results are cached.

ziamath takes about 0.2 s to load, so it is loaded at the first formula, or by `engine` once the window stands. A
formula takes 3 to 20 ms the first time, and a step may hold ten of them, so a `Typesetter` sets them in a background
task and the window only has to place them.
"""

import queue
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

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

from baton_reasoning.app.document.formulas import Formula, lift_formulas
from baton_reasoning.app.document.style import TextStyle
from baton_reasoning.app.toolkit.background import StreamTask

LONGEST_LATEX = 4_000  # characters; longer "formulas" are text that lost its closing delimiter
LARGEST_SIDE = 8_000.0  # pixels; `\rule{9999cm}{1cm}` must not fill the memory
LARGEST_AREA = 2_000_000.0  # square pixels, a page or two; the picture takes 4 bytes each, at scale 2 four times that
MOST_NESTING = 2_048
"""The sum of 2^depth over all groups of a formula. The time doubles with each level that one chain of groups is nested
deeper, to seconds at 12 and for ever at 40; a page of fractions in fractions comes to a few hundred."""
_MARGIN = 1.0  # pixels around the ink, so that antialiasing is not cut off

Ready = Callable[[], None]


class Typeset(NamedTuple):
    """A formula that can be drawn. Lengths are device-independent pixels."""

    svg: str  # drawn in `currentColor`, which `picture` fills in: so a change of theme typesets nothing again
    width: float
    ascent: float  # above the baseline
    descent: float  # below it


# What ziamath does not know and the reader does not miss.
_DROPPED = re.compile(
    r"\\label\s*\{[^{}]*\}"
    r"|\\(?:nonumber|notag|displaylimits)(?![A-Za-z])"
    r"|\\(?:big|Big|bigg|Bigg)[lrm]?(?=\s*\\[{}|])"
)
_TAG = re.compile(r"\\tag\*?\s*\{([^{}]*)\}")
_ALIGNAT = re.compile(r"\\(begin|end)\{alignat(\*?)\}(?:\s*\{\d+\})?")
_MACRO = re.compile(r"\\(?:def|let|(?:new|renew|provide)command)(?![A-Za-z])")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_GROUP_EDGE = re.compile(
    r"(?P<opens>\{|\\(?:left|begin)(?![A-Za-z]))|(?P<closes>\}|\\(?:right|end)(?![A-Za-z]))|\\.", re.DOTALL
)


@lru_cache(maxsize=4096)
def typeset(latex: str, display: bool, size: float) -> Typeset | None:
    """Typeset a formula; None if it cannot be, and then the reader should see its source.

    `size` is that of the letters in pixels. The first formula of all also loads ziamath.
    """
    if not latex.strip() or len(latex) > LONGEST_LATEX or _MACRO.search(latex) or _is_nested_too_deeply(latex):
        return None  # macros: four lines of them can ask for a million symbols
    try:
        formula = engine().Latex(
            _understood(latex), size=size, color="currentColor", inline=not display, margin=_MARGIN
        )
        if _COMMAND.search(formula.mathmlstr()):
            return None  # a command it does not know would stand there by its name, among set symbols
        svg = formula.svg()
        width, height = formula.getsize()
        descent = -formula.getyofst()
    except Exception:  # noqa: BLE001 - the parser's errors share no base, and broken input raises whatever its line does
        return None
    if not (0 < width < LARGEST_SIDE and 0 < height < LARGEST_SIDE and width * height < LARGEST_AREA):
        return None
    return Typeset(svg, width + 2 * _MARGIN, height - descent + _MARGIN, descent + _MARGIN)


class Typesetter(QObject):
    """Typesets the formulas of texts, and calls back in the main thread; at once if a text has none."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._jobs: queue.SimpleQueue[tuple[Sequence[Formula], float, Ready] | None] = queue.SimpleQueue()
        self._started = False

    def prepare(self, markdown: str, formula_size: float, ready: Ready, owner: QObject) -> None:
        """Call `ready` when the formulas are set, unless its owner was deleted."""
        formulas = lift_formulas(markdown).formulas
        if not formulas:
            ready()
            return
        if not self._started:
            self._started = True
            StreamTask(self, "typeset formulas", self._work, cancel=lambda: self._jobs.put(None)).items(
                _call_all
            ).start()
        self._jobs.put((formulas, formula_size, lambda: ready() if isValid(owner) else None))

    def _work(self) -> Iterator[Ready]:
        while (job := self._jobs.get()) is not None:
            formulas, size, ready = job
            for formula in formulas:
                typeset(formula.latex, formula.display, size)  # which is cached
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


def _is_nested_too_deeply(latex: str) -> bool:
    depth = cost = 0
    for edge in _GROUP_EDGE.finditer(latex):
        if edge["opens"]:
            depth += 1
            cost += 2**depth
            if cost > MOST_NESTING:
                return True
        elif edge["closes"]:
            depth = max(0, depth - 1)
    return False


def _understood(latex: str) -> str:
    """Rewrite a formula in commands that ziamath knows."""
    latex = _DROPPED.sub("", latex)
    latex = _TAG.sub(r"\\qquad(\\text{\1})", latex)
    return _ALIGNAT.sub(r"\\\1{align\2}", latex)


@cache
def engine() -> Any:
    """Return ziamath, loaded; may be called in any thread."""
    import ziamath  # deferred: see the top of this module

    ziamath.config.svg2 = False  # Qt draws SVG Tiny 1.2
    return ziamath


OBJECT_CHARACTER = "\ufffc"
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
