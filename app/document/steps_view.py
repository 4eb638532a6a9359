"""The steps of an answer as one text, with each author's bar and sign in the margin, and what changed its value."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from difflib import Match, SequenceMatcher
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFontMetricsF,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QTextCharFormat,
    QTextCursor,
)
from PySide6.QtWidgets import QTextEdit, QToolTip

from baton_reasoning.app.document.rich_text import Layer, RichText
from baton_reasoning.app.document.steps_document import GAP, ShownPiece, StepsDocument
from baton_reasoning.app.document.style import LINE_HEIGHT
from baton_reasoning.app.document.typeset import Typesetter
from baton_reasoning.app.toolkit.controls import plain_tip
from baton_reasoning.app.toolkit.theme import Colours, blend, current_theme, ink_of, tint_of
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.events import ValuesEstimated
from baton_reasoning.core.thinking.trace import Piece, Trace
from baton_reasoning.core.words.authors import SIGN

if TYPE_CHECKING:
    from baton_reasoning.core.words.values import ValueMark

LONGEST_COMPARED = 1_000
"""Characters of a piece that is compared with its rendered text; in a longer one, a mark may stand some words off."""


class TextMark(NamedTuple):
    """A place of a trace's text, in characters, and what is said about it."""

    start: int
    end: int
    tip: str
    is_strong: bool = True
    """Whether it has a ground as well as a line below it."""


def rendered_place(source: str, rendered: str, at: int) -> int:
    """Return where a character of the source stands in the rendered text; of a formula, where that stands."""
    if len(source) > LONGEST_COMPARED or not rendered:
        return min(at, max(0, len(rendered) - 1))
    blocks = _common(source, rendered)
    block = blocks[max(0, bisect_right(blocks, at, key=lambda each: each.a) - 1)]
    return min(block.b + min(max(0, at - block.a), block.size), len(rendered) - 1)


@lru_cache(maxsize=512)
def _common(source: str, rendered: str) -> list[Match]:
    """Return the stretches that a source and its rendered text share. Cached, because marks are painted often."""
    start = source.find(rendered)
    if start >= 0:  # as most steps are: without markup
        return [Match(start, 0, len(rendered))]
    return SequenceMatcher(None, source, rendered, autojunk=False).get_matching_blocks()


def utf16_length(text: str) -> int:
    """Return how many of Qt's positions a text takes."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


RIGHT_MARGIN = 12
BAR = 3
VALUE_GAP = 4
"""Pixels between the text and a value at its right."""
WIDEST_VALUE = "▲ 1.00"
PAD = GAP / 2 - 1
"""Pixels of a piece's ground above and below its letters."""


def left_margin() -> int:
    """Return the pixels on the left for the bar and the author's sign."""
    return current_theme().scaled(30)


class StepsView(RichText):
    """A click selects a piece; `menu_wanted` asks for its context menu. Text can be selected across pieces."""

    piece_clicked = Signal(object)  # a Piece
    menu_wanted = Signal(object, QPoint)  # a Piece, and where on the screen
    grown = Signal(int)
    """The first piece (an index of `shown`) from which on pieces were added, removed or rendered."""

    def __init__(self, typesetter: Typesetter) -> None:
        super().__init__()
        self._steps = StepsDocument(self.document(), self._style(), typesetter, self)
        self._steps.grown.connect(self._grown)
        self.selected: Piece | None = None
        self._pressed_at = QPoint()
        self._is_live = False
        self._valued: ValuesEstimated | None = None
        self._marks: Mapping[int, ValueMark] = {}
        """What changed the value beyond chance, by the position of its piece."""
        self._text_marks: Sequence[TextMark] = ()
        self._chosen_mark: TextMark | None = None
        self.setAccessibleName("Steps")
        self._set_margins()

    def sync(self, trace: Trace, pieces: Sequence[Piece], live: bool) -> None:
        self._is_live = live
        self._steps.sync(trace, pieces, live)
        self._mark_values(trace, pieces)

    @property
    def complete(self) -> bool:
        """Whether every piece is rendered: a long answer comes in portions."""
        return self._steps.complete

    def select(self, piece: Piece | None) -> None:
        self.selected = piece
        self.viewport().update()

    def mark(self, marks: Sequence[TextMark], chosen: TextMark | None) -> None:
        """Mark these places of the text, in its order, and tell under the mouse what is said about them."""
        self._text_marks, self._chosen_mark = marks, chosen
        self._lay_text_marks()

    def mark_place(self, index: int, mark: TextMark) -> QRectF:
        """Return where a mark of the shown piece at `index` stands in the widget; its first line."""
        end = self._selection(index, mark)
        start = QTextCursor(end)
        start.setPosition(end.selectionStart())
        first, last = self.cursorRect(start), self.cursorRect(end)
        return QRectF(first.united(last) if first.top() == last.top() else first)

    def place_of(self, piece: Piece) -> QRectF | None:
        """Return where the piece stands in the widget; None while it is not shown."""
        index = next((i for i, shown in enumerate(self.shown) if shown.piece is piece), None)
        return None if index is None else self._place(index)

    def piece_at(self, point: QPoint) -> Piece | None:
        """Return the piece at a point of the widget."""
        index = self._index_at(point.y())
        if index is None or point.y() > self._place(index).bottom() + GAP:
            return None
        return self.shown[index].piece

    @property
    def shown(self) -> Sequence[ShownPiece]:
        """The pieces that are in the document, in their order."""
        return self._steps.shown

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours, shown = current_theme().colours, self.shown
        painter.setFont(self.document().defaultFont())
        first = self._index_at(event.rect().top())
        for index in range(first or 0, len(shown)):
            place = self._place(index)
            if place.top() > event.rect().bottom():
                break
            self._paint_margin(painter, shown[index].piece, place, colours)
            if mark := self._marks.get(shown[index].piece.position):
                painter.setPen(QColor(colours.success if mark.is_rise else colours.danger))
                self._write(painter, place.right() - self._right_margin + VALUE_GAP, place, mark.text)
        if self._is_live:
            end = self.textCursor()
            end.movePosition(end.MoveOperation.End)
            painter.fillRect(self.cursorRect(end).adjusted(3, 2, 6, -2), QColor(colours.muted))
        painter.end()
        super().paintEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._pressed_at = event.position().toPoint()
        super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        here = event.position().toPoint()
        moved = (here - self._pressed_at).manhattanLength() > 4
        if event.button() is not Qt.MouseButton.LeftButton or moved or self.textCursor().hasSelection():
            return
        event.accept()
        if piece := self.piece_at(here):
            self.select(piece)
            self.piece_clicked.emit(piece)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if piece := self.piece_at(event.pos()):
            self.select(piece)
            self.menu_wanted.emit(piece, event.globalPos())

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            index = self._index_at(event.pos().y())
            marks = self._marks_in(self.shown[index].piece) if index is not None else ()
            here = (mark for mark in marks if self.mark_place(index or 0, mark).contains(QPointF(event.pos())))
            if mark := next(here, None):
                QToolTip.showText(event.globalPos(), plain_tip(mark.tip), self)
                return True
        return super().viewportEvent(event)

    def _marks_in(self, piece: Piece) -> Sequence[TextMark]:
        first = bisect_left(self._text_marks, piece.position, key=lambda mark: mark.start)
        end = bisect_left(self._text_marks, piece.end_position, key=lambda mark: mark.start)
        return self._text_marks[first:end]

    def _lay_text_marks(self) -> None:
        """Lay the marks over the pieces that are shown: each has a line below it, and strong ones a ground."""
        colours, laid = current_theme().colours, []
        for index, shown in enumerate(self.shown if self._text_marks else ()):
            for mark in self._marks_in(shown.piece):
                each, style = QTextEdit.ExtraSelection(), QTextCharFormat.UnderlineStyle
                each.cursor = self._selection(index, mark)
                each.format.setUnderlineStyle(style.SingleUnderline if mark.is_strong else style.DotLine)
                each.format.setUnderlineColor(QColor(colours.danger))
                if mark.is_strong or mark is self._chosen_mark:
                    share = 0.35 if mark is self._chosen_mark else 0.12
                    each.format.setBackground(QColor(blend(colours.surface, colours.danger, share)))
                laid.append(each)
        self.lay(Layer.OPINION, laid)

    def _selection(self, index: int, mark: TextMark) -> QTextCursor:
        """Select a mark in the shown piece at `index`."""
        piece, cursor = self.shown[index].piece, QTextCursor(self._steps.end_of(index))
        begin = self.document().findBlockByNumber(self.shown[index].first).position()
        cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock)
        cursor.setPosition(begin, QTextCursor.MoveMode.KeepAnchor)
        rendered = cursor.selectedText().replace("\u2029", "\n")
        first, last = (
            begin + utf16_length(rendered[: rendered_place(piece.text, rendered, at - piece.position)])
            for at in (mark.start, max(mark.start, mark.end - 1))
        )
        cursor.setPosition(first)
        cursor.setPosition(last + 1, QTextCursor.MoveMode.KeepAnchor)
        return cursor

    def _mark_values(self, trace: Trace, pieces: Sequence[Piece]) -> None:
        """Note which pieces changed the value, if the values are other ones than before."""
        latest = next(reversed(trace.values.values()), None)
        if latest is self._valued:
            return
        from baton_reasoning.core.words.values import value_marks  # most answers have no values, and need none of this

        self._valued, self._marks = latest, value_marks(trace, pieces)
        self._set_margins()
        self.viewport().update()

    @property
    def _right_margin(self) -> float:
        """The pixels at the right of the text; more where values are to stand."""
        if not self._marks:
            return RIGHT_MARGIN
        return RIGHT_MARGIN + QFontMetricsF(self.document().defaultFont()).horizontalAdvance(WIDEST_VALUE)

    def _rerender(self) -> None:
        """Render again after a change of theme."""
        self._steps.use_style(self._style())
        self._set_margins()

    def _set_margins(self) -> None:
        frame = self.document().rootFrame()
        form = frame.frameFormat()
        left, right = left_margin(), self._right_margin
        if (form.leftMargin(), form.rightMargin(), form.topMargin()) == (left, right, PAD):
            return
        form.setLeftMargin(left)
        form.setRightMargin(right)
        form.setTopMargin(PAD)
        form.setBottomMargin(PAD)
        frame.setFrameFormat(form)

    def _grown(self, first_changed: int) -> None:
        """Repaint only what has changed: all visible text would take 5 ms each time."""
        if first_changed == 0:
            self._set_margins()
        area = self.viewport().rect()
        if first_changed < len(self.shown):
            area.setTop(int(self.top_of(first_changed)) - 1)
        self.viewport().update(area)
        if self._text_marks:
            self._lay_text_marks()
        self.grown.emit(first_changed)

    def _index_at(self, y: float) -> int | None:
        shown = self.shown
        if not shown:
            return None
        found = bisect_right(range(len(shown)), y, key=lambda index: self.top_of(index))
        return max(0, found - 1)

    def top_of(self, index: int) -> float:
        """Return where a shown piece begins, in pixels of the widget."""
        block = self.document().findBlockByNumber(self.shown[index].first)
        # A table or code lies in a frame that begins before its first block.
        return self.document().documentLayout().blockBoundingRect(block).top() - PAD

    def _place(self, index: int) -> QRectF:
        top = self.top_of(index)
        last = index + 1 == len(self.shown)
        bottom = self.document().size().height() - 1 if last else self.top_of(index + 1) - 2
        return QRectF(0, top, self.viewport().width(), bottom - top)

    def _paint_margin(self, painter: QPainter, piece: Piece, place: QRectF, colours: Colours) -> None:
        """Paint the ground, the bar and the sign of a piece's author, and a frame if it is selected."""
        author, chosen = piece.author, piece is self.selected
        ink = QColor(ink_of(author, colours))
        painter.setPen(Qt.PenStyle.NoPen)
        if author in (Author.LARGE, Author.PERSON) or chosen:
            painter.setBrush(QColor(tint_of(author, colours)))
            painter.drawRoundedRect(place.adjusted(0, 0, -1, 0), 5, 5)
        if author is Author.INSERTED:
            painter.setPen(QPen(ink, 2, Qt.PenStyle.DashLine))
            painter.drawLine(QPointF(BAR / 2, place.top() + 1), QPointF(BAR / 2, place.bottom()))
        else:
            painter.fillRect(QRectF(0, place.top(), BAR, place.height()), ink)
        if chosen:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(ink, 1.2))
            painter.drawRoundedRect(place.adjusted(0.6, 0.6, -1.6, -0.6), 5, 5)
        painter.setPen(ink)
        self._write(painter, 3 * BAR, place, SIGN[author])

    def _write(self, painter: QPainter, left: float, place: QRectF, text: str) -> None:
        """Write beside the first line of a piece."""
        height = painter.fontMetrics().height() * LINE_HEIGHT
        area = QRectF(left, place.top() + PAD, place.right() - left, height)
        painter.drawText(area, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)
