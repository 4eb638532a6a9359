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

from PySide6.QtCore import QByteArray, QObject, QRectF, Qt
from PySide6.QtGui import QPainter, QPixmap, QPixmapCache
from PySide6.QtSvg import QSvgRenderer
from shiboken6 import isValid

from baton_reasoning.app.document.formulas import Formula, lift_formulas
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
    except _failures():
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


@cache
def _failures() -> tuple[type[Exception], ...]:
    """Return what ziamath and its LaTeX parser raise on a formula that they cannot typeset.

    The parser's own errors share no base, and broken input also surfaces as whatever the line it reached raises.
    """
    from latex2mathml import exceptions

    own = [error for error in vars(exceptions).values() if isinstance(error, type) and issubclass(error, Exception)]
    return (
        *own,
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        NotImplementedError,
        RecursionError,
        StopIteration,
        SyntaxError,  # xml.etree.ElementTree.ParseError is one
        TypeError,
        ValueError,
    )
