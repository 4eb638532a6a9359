"""The steps of an answer as one text, with each author's bar and sign in the margin, and what changed its value."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFont,
    QFontMetricsF,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QTextCursor,
)
from PySide6.QtWidgets import QToolTip, QWidget

from baton_reasoning.app.document import RichText
from baton_reasoning.app.document.steps_document import AT_ONCE, GAP, ShownPiece, StepsDocument, utf16_length
from baton_reasoning.app.document.text_marks import TextMark, rendered_place
from baton_reasoning.app.document.typesetting import Typesetter
from baton_reasoning.app.toolkit.controls import plain_tip
from baton_reasoning.app.toolkit.theme import Colours, blend, current_theme, ink_of, tint_of
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.differences import Effect
from baton_reasoning.core.thinking.events import ValuesEstimated
from baton_reasoning.core.thinking.trace import Piece, Trace
from baton_reasoning.core.words.authors import SIGN

if TYPE_CHECKING:
    from baton_reasoning.core.words.values import NotableChange

MARGIN = 56
"""Pixels on the left for the bar, the step's number, and the sign."""
RIGHT_MARGIN = 12
BAR = 3
VALUE_GAP = 8
"""Pixels beside a value in the margin."""
NUMBER_END = 28
CHANGE_SIGN = {Effect.CORRECTED: "≠", Effect.REPEATED: "="}
"""Beside the sign of a takeover: it changed a value, or repeated what stood there."""
WIDEST_VALUE = "▲ 1.00"
SMALL_PRINT = 0.72
"""The size of the numbers, as a share of the text's."""
PAD = GAP / 2 - 1
"""Pixels of a piece's ground above and below its letters."""


class StepsView(RichText):
    """A click selects a piece; `menu_wanted` asks for its context menu. Text can be selected across pieces."""

    piece_clicked = Signal(object)  # a Piece
    menu_wanted = Signal(object, QPoint)  # a Piece, and where on the screen
    grown = Signal(int)
    """The first piece (an index of `shown`) from which on pieces were added, removed or rendered."""

    def __init__(self, typesetter: Typesetter, at_once: int = AT_ONCE, parent: QWidget | None = None) -> None:
        """`at_once`: pieces rendered in one go."""
        super().__init__(parent)
        self._steps = StepsDocument(self.document(), typesetter, at_once, self)
        self._steps.grown.connect(self._grown)
        self._selected: Piece | None = None
        self._pressed_at = QPoint()
        self._is_live = False
        self._valued: ValuesEstimated | None = None
        self._marks: Mapping[int, NotableChange] = {}
        """What changed the value beyond chance, by the position of its piece."""
        self._text_marks: Sequence[TextMark] = ()
        self._chosen_mark: TextMark | None = None
        self.setAccessibleName("Steps")
        self._rerender()

    def sync(self, trace: Trace, pieces: Sequence[Piece], live: bool) -> None:
        self._is_live = live
        self._steps.sync(trace, pieces, live)
        self._mark_values(trace, pieces)

    @property
    def complete(self) -> bool:
        """Whether every piece is rendered: a long answer comes in portions."""
        return self._steps.complete

    @property
    def selected(self) -> Piece | None:
        return self._selected

    def select(self, piece: Piece | None) -> None:
        self._selected = piece
        self.viewport().update()

    def mark(self, marks: Sequence[TextMark], chosen: TextMark | None = None) -> None:
        """Mark these places of the text, in its order, and tell under the mouse what is said about them."""
        self._text_marks, self._chosen_mark = marks, chosen
        self.viewport().update()

    def mark_place(self, index: int, mark: TextMark) -> QRectF:
        """Return where a mark of the shown piece at `index` stands in the widget."""
        piece, cursor = self.shown[index].piece, QTextCursor(self._steps.end_of(index))
        begin = self.document().findBlockByNumber(self.shown[index].first).position()
        cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock)
        cursor.setPosition(begin, QTextCursor.MoveMode.KeepAnchor)
        rendered = cursor.selectedText().replace("\u2029", "\n")
        first, last = (
            begin + utf16_length(rendered[: rendered_place(piece.text, rendered, at - piece.position)])
            for at in (mark.start, max(mark.start, mark.end - 1))
        )
        place, end = self._place_of(first), self._place_of(last)
        return place.united(end) if end.top() == place.top() else place

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

    def keep_free(self, pixels: Mapping[int, float]) -> None:
        """Keep so much room above these pieces (indexes of `shown`), to line them up with pieces beside them."""
        self._steps.keep_free(pixels)
        self._set_margins()

    # Qt's own

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours, shown = current_theme().colours, self.shown
        fonts = MarginFonts(self.document().defaultFont())
        first = self._index_at(event.rect().top())
        for index in range(first or 0, len(shown)):
            place = self._place(index)
            if place.top() > event.rect().bottom():
                break
            self._paint_margin(painter, shown[index], place, colours, fonts)
            for mark in self._marks_in(shown[index].piece):
                self._paint_mark(painter, mark, self.mark_place(index, mark), colours)
            if change := self._marks.get(shown[index].piece.position):
                self._paint_value(painter, change, place, colours, fonts)
            if not index or shown[index - 1].piece.step != shown[index].piece.step:
                self._paint_number(painter, shown[index].piece.step + 1, place, colours, fonts)
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

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.FontChange and hasattr(self, "_steps"):
            self._rerender()

    def _marks_in(self, piece: Piece) -> Sequence[TextMark]:
        first = bisect_left(self._text_marks, piece.position, key=lambda mark: mark.start)
        end = bisect_left(self._text_marks, piece.end_position, key=lambda mark: mark.start)
        return self._text_marks[first:end]

    def _paint_mark(self, painter: QPainter, mark: TextMark, place: QRectF, colours: Colours) -> None:
        if mark is self._chosen_mark:
            painter.setPen(QPen(QColor(colours.danger), 1.2))
            painter.setBrush(QColor(blend(colours.surface, colours.danger, 0.12)))
            painter.drawRoundedRect(place.adjusted(-2, -1, 2, 1), 3, 3)
        elif mark.is_strong:
            painter.fillRect(place, QColor(blend(colours.surface, colours.danger, 0.12)))
        style = Qt.PenStyle.SolidLine if mark.is_strong else Qt.PenStyle.DotLine
        painter.setPen(QPen(QColor(colours.danger), 1.6, style))
        painter.drawLine(place.bottomLeft(), place.bottomRight())

    def _mark_values(self, trace: Trace, pieces: Sequence[Piece]) -> None:
        """Note which pieces changed the value, if the values are other ones than before."""
        latest = next(reversed(trace.values.values()), None)
        if latest is self._valued:
            return
        from baton_reasoning.core.words.values import (
            value_marks,  # most answers have no values, and need none of this
        )

        self._valued, self._marks = latest, value_marks(trace, pieces)
        self._set_margins()
        self.viewport().update()

    @property
    def _margin(self) -> float:
        """The pixels at the left of the text; more where values are to stand."""
        small = MarginFonts(self.document().defaultFont()).number
        return MARGIN + (QFontMetricsF(small).horizontalAdvance(WIDEST_VALUE) + VALUE_GAP if self._marks else 0)

    def _rerender(self) -> None:
        """Render again after a change of theme."""
        self._steps.use_style(self._style(), current_theme().colours)
        self._set_margins()

    def _set_margins(self) -> None:
        frame = self.document().rootFrame()
        form = frame.frameFormat()
        top = PAD + (self.shown[0].free if self.shown else 0)
        margin = self._margin
        if form.leftMargin() == margin and form.topMargin() == top:
            return
        form.setMargin(0)
        form.setLeftMargin(margin)
        form.setRightMargin(RIGHT_MARGIN)
        form.setTopMargin(top)
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
        below = None if last else self.shown[index + 1]
        bottom = self.top_of(index + 1) - below.free - 2 if below else self.document().size().height() - 1
        return QRectF(0, top, self.viewport().width(), bottom - top)

    def _paint_margin(
        self, painter: QPainter, shown: ShownPiece, place: QRectF, colours: Colours, fonts: MarginFonts
    ) -> None:
        author, chosen = shown.piece.author, shown.piece is self._selected
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
        painter.setFont(fonts.sign if author.is_model else fonts.inserted)
        sign = QRectF(NUMBER_END, place.top() + PAD, 16 if shown.change else 22, fonts.line)
        painter.drawText(sign, Qt.AlignmentFlag.AlignCenter, SIGN[author])
        if shown.change:
            self._paint_change(painter, shown, sign, colours)

    def _paint_change(self, painter: QPainter, shown: ShownPiece, sign: QRectF, colours: Colours) -> None:
        """Paint ≠ or = beside the author's sign, and “087 → 987” after the last line if it fits."""
        assert shown.change
        corrected = shown.change.effect is Effect.CORRECTED
        font = QFont(self.document().defaultFont())
        font.setPointSizeF(font.pointSizeF() * 0.85)
        font.setBold(corrected)
        painter.setFont(font)
        painter.setPen(QColor(colours.success if corrected else colours.muted))
        beside = QRectF(sign.right(), sign.top(), MARGIN - sign.right(), sign.height())
        at_left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(beside, at_left, CHANGE_SIGN[shown.change.effect])
        if not corrected:
            return
        block = self._steps.end_of(self._steps.shown.index(shown))
        lines = block.layout()
        if not lines.lineCount():
            return
        last = lines.lineAt(lines.lineCount() - 1)
        top = self.document().documentLayout().blockBoundingRect(block).topLeft() + last.position()
        text = f"{shown.change.before} → {shown.change.after}"
        left = top.x() + last.naturalTextWidth() + 14
        if left + painter.fontMetrics().horizontalAdvance(text) < self.viewport().width() - BAR:
            area = QRectF(left, top.y(), self.viewport().width() - left, last.height())
            painter.drawText(area, at_left, text)

    def _paint_value(
        self, painter: QPainter, change: NotableChange, place: QRectF, colours: Colours, fonts: MarginFonts
    ) -> None:
        """Paint “▲ .94” beside a piece that changed the value to that."""
        painter.setFont(fonts.number)
        painter.setPen(QColor(colours.success if change.difference.value > 0 else colours.danger))
        area = QRectF(MARGIN, place.top() + PAD, self._margin - MARGIN, fonts.line)
        painter.drawText(area, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, change.mark)

    def _paint_number(
        self, painter: QPainter, number: int, place: QRectF, colours: Colours, fonts: MarginFonts
    ) -> None:
        """Paint the number of a step beside its first piece."""
        painter.setFont(fonts.number)
        painter.setPen(QColor(colours.muted))
        area = QRectF(BAR, place.top() + PAD, NUMBER_END - BAR, fonts.line)
        painter.drawText(area, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, str(number))


class MarginFonts:
    """What is written in the margin of a text in this font, made once for all pieces that are painted."""

    def __init__(self, text: QFont) -> None:
        def scaled(factor: float) -> QFont:
            font = QFont(text)
            font.setPointSizeF(text.pointSizeF() * factor)
            return font

        self.inserted, self.sign, self.number = text, scaled(0.95), scaled(SMALL_PRINT)
        self.line = QFontMetricsF(text).height() * 1.18
