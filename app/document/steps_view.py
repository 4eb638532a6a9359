"""The thinking or the answer of a trace as one text, with each author's bar and sign beside the lines that it wrote."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, cast

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFont,
    QFontMetricsF,
    QGuiApplication,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPen,
    QTextBlock,
    QTextCharFormat,
    QTextCursor,
    QTextLine,
)
from PySide6.QtWidgets import QTextEdit, QToolTip

from baton_reasoning.app.document.rich_text import Layer, RichText
from baton_reasoning.app.document.style import CELL_PADDING, CODE_KINDS, LINE_HEIGHT
from baton_reasoning.app.document.token_places import TokenPlaces
from baton_reasoning.app.document.typeset import Typesetter
from baton_reasoning.app.toolkit.controls import plain_tip
from baton_reasoning.app.toolkit.theme import Colours, blend, current_theme, ink_of, line_width, tint_of
from baton_reasoning.core.analysis.token_choices import PlacedToken
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.markdown.blocks import Grid, Row, row_at
from baton_reasoning.core.thinking.events import ValuesEstimated
from baton_reasoning.core.thinking.trace import Piece, Trace
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.step_rows import StepRows, TracePart

if TYPE_CHECKING:
    from baton_reasoning.core.words.values import ValueMark

GAP = 15.0
"""Pixels between two paragraphs: the padding of both, and a hairline of ground."""
RIGHT_MARGIN = 12
BAR = 3
VALUE_GAP = 4
"""Pixels between the text and a value at its right."""
WIDEST_VALUE = "▲ 1.00"
PAD = GAP / 2 - 1
"""Pixels of ground above the first and below the last line."""

ENTERS_TOKEN = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Down)
"""The keys that lead into the card of a token; Down only from one that a key led to."""


class TextMark(NamedTuple):
    """A place of a trace's text, in characters, and what is said about it."""

    start: int
    end: int
    tip: str
    is_strong: bool = True
    """Whether it has a ground as well as a line below it."""


class Share(NamedTuple):
    """The part of a line that one piece wrote, in pixels."""

    piece: Piece
    left: float
    right: float


class Line(NamedTuple):
    """A line of the text, or a row of a table, as it stands in the widget."""

    top: float
    bottom: float
    """With half of the gaps above and below."""
    letters: QRectF
    """Without the gaps."""
    shares: tuple[Share, ...]
    begins: tuple[Piece, ...] = ()
    """The pieces that are in no line above."""

    @property
    def authors(self) -> list[Author]:
        return list(dict.fromkeys(share.piece.author for share in self.shares))


def left_margin() -> int:
    """Return the pixels on the left for the bar and the author's sign."""
    return current_theme().scaled(30)


def column_width() -> int:
    """Return the pixels of a column of steps with full lines of text between its margins."""
    return line_width(QGuiApplication.font()) + left_margin() + RIGHT_MARGIN


class StepsView(RichText):
    """A click selects a piece; `menu_wanted` asks for its context menu. Text can be selected across pieces."""

    piece_clicked = Signal(object)  # a Piece
    menu_wanted = Signal(object, QPoint)  # a Piece, and where on the screen
    grown = Signal()
    token_pointed = Signal(object, bool)
    """While tokens are shown: the PlacedToken that the mouse or the keyboard is at, None for none; whether by a key."""
    token_entered = Signal()
    """Enter on the token that is pointed at."""

    def __init__(self, typesetter: Typesetter, part: TracePart = TracePart.THINKING) -> None:
        super().__init__(GAP, typesetter)
        self._steps = StepRows(part)
        self.selected: Piece | None = None
        self.tokens = TokenPlaces(self.document(), self.writer, self._steps)
        self.shows_tokens = False
        self.pointed: PlacedToken | None = None
        self._pointed_by_key = False
        self._pressed_at = QPoint()
        self._is_live = False
        self._valued: ValuesEstimated | None = None
        self._marks: Mapping[int, ValueMark] = {}
        """What changed the value beyond chance, by the position of its piece."""
        self._text_marks: Sequence[TextMark] = ()
        self._chosen_mark: TextMark | None = None
        self._idle = QTimer(self, singleShot=True, interval=0)
        self._idle.timeout.connect(self._write)
        self.writer.formulas_set.connect(lambda: self._grown(0))
        self.setAccessibleName("Steps" if part is TracePart.THINKING else "Answer")
        self._set_margins()

    def sync(self, trace: Trace, live: bool) -> None:
        """Show how the trace stands; `live`: it is still being written."""
        self._is_live = live
        self._steps.follow(trace, live)
        self.markdown = self._steps.text.strip()
        if not live:
            self.setAccessibleDescription(self.markdown)
        self._write()
        self._mark_values(trace)

    @property
    def pieces(self) -> Sequence[Piece]:
        """The pieces that are shown, in their order."""
        return self._steps.pieces

    @property
    def complete(self) -> bool:
        """Whether all of it is shown: a long answer comes in portions."""
        return self._steps.is_complete

    def select(self, piece: Piece | None) -> None:
        self.selected = piece
        self.viewport().update()

    def show_tokens(self, shown: bool) -> None:
        """Show how sure each token was, or no longer."""
        if shown != self.shows_tokens:
            self.shows_tokens = shown
            self.viewport().setMouseTracking(shown)
            self._point_at(None)
            self.viewport().update()

    def point_next(self, placed: PlacedToken | None, by: int) -> None:
        """Point at the token so many after this one, as a key does; before it if negative."""
        self._point_at(self.tokens.next_to(placed, by), by_key=True)

    def mark(self, marks: Sequence[TextMark], chosen: TextMark | None) -> None:
        """Mark these places of the text, in its order, and tell under the mouse what is said about them."""
        self._text_marks, self._chosen_mark = marks, chosen
        self._lay_text_marks()

    def mark_place(self, mark: TextMark) -> QRectF:
        """Return where a mark stands in the widget; its first line."""
        end = self.selection_of(mark.start, mark.end)
        start = QTextCursor(end)
        start.setPosition(end.selectionStart())
        first, last = self.cursorRect(start), self.cursorRect(end)
        return QRectF(first.united(last) if first.top() == last.top() else first)

    def selection_of(self, start: int, end: int) -> QTextCursor:
        """Return what stands in the document for two places of the trace's text and what is between them."""
        cursor = QTextCursor(self.document())
        if rows := self.writer.rows:
            start, last = start - self._steps.start, max(start, end - 1) - self._steps.start
            cursor.setPosition(self.writer.position_of(row_at(rows, start), start))
            cursor.setPosition(self.writer.position_of(row_at(rows, last), last), QTextCursor.MoveMode.KeepAnchor)
            cursor.movePosition(QTextCursor.MoveOperation.NextCharacter, QTextCursor.MoveMode.KeepAnchor)
        return cursor

    def font_of(self, piece: Piece) -> QFont:
        """Return the font of a piece that is shown; the font of code if all of it is code."""
        start = piece.position - self._steps.start
        first, last = (row_at(self.writer.rows, each) for each in (start, start + len(piece.text.rstrip()) - 1))
        rows = self.writer.rows[first : last + 1]
        is_code = all(isinstance(row, Row) and row.kind in CODE_KINDS for row in rows)
        return self._style().code_font if is_code else self.document().defaultFont()

    def place_of(self, piece: Piece) -> QRectF | None:
        """Return where the piece stands in the widget; None while it is not shown."""
        if not any(each is piece for each in self.pieces) or not self.writer.rows:
            return None
        start = piece.position - self._steps.start
        last = start + max(0, len(piece.text.rstrip()) - 1)
        first, final = (row_at(self.writer.rows, place) for place in (start, last))
        place = QRectF()
        for line in self._lines(first, final):
            if any(share.piece is piece for share in line.shares):
                place = place.united(QRectF(0, line.top, self.viewport().width(), line.bottom - line.top))
        return None if place.isNull() else place.adjusted(0, 1, 0, -1)

    def piece_at(self, point: QPoint) -> Piece | None:
        """Return the piece at a point of the widget: in a line of several, the one below it or next to it."""
        for line in self._lines_in(QRectF(0, point.y(), 1, 1)):
            if line.top <= point.y() <= line.bottom and line.shares:
                here = (share.piece for share in line.shares if share.left <= point.x() < share.right)
                return next(here, line.shares[0 if point.x() < line.letters.center().x() else -1].piece)
        return None

    def _paint_below(self, painter: QPainter, area: QRectF) -> None:
        super()._paint_below(painter, area)
        colours, lines = current_theme().colours, list(self._lines_in(area))
        painter.setFont(self.document().defaultFont())
        for line in lines:
            self._paint_grounds(painter, line, colours)
        for line in lines:
            self._paint_margin(painter, line, colours)
        if self.shows_tokens:
            pieces = {id(share.piece): share.piece for line in lines for share in line.shares}.values()
            self.tokens.paint(painter, pieces, area, self.pointed, colours)
        self._paint_choice(painter, lines, colours)
        if self._is_live:
            end = self.textCursor()
            end.movePosition(end.MoveOperation.End)
            painter.fillRect(self.cursorRect(end).adjusted(3, 2, 6, -2), QColor(colours.muted))

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

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        if self.shows_tokens:
            here = event.position().toPoint()
            piece = self.piece_at(here)
            self._point_at(self.tokens.token_at(here, piece) if piece else None)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        if not self._pointed_by_key:  # else its card may have come below the mouse
            self._point_at(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        by = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()), 0)
        if self.shows_tokens and by and not event.modifiers():
            self.point_next(self.pointed, by)
        elif self.pointed and event.key() in (ENTERS_TOKEN if self._pointed_by_key else ENTERS_TOKEN[:2]):
            self.token_entered.emit()
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if piece := self.piece_at(event.pos()):
            self.select(piece)
            self.menu_wanted.emit(piece, event.globalPos())

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            piece = self.piece_at(event.pos())
            marks = self._marks_in(piece) if piece else ()
            here = (mark for mark in marks if self.mark_place(mark).contains(QPointF(event.pos())))
            if mark := next(here, None):
                QToolTip.showText(event.globalPos(), plain_tip(mark.tip), self)
                return True
        return super().viewportEvent(event)

    def _point_at(self, placed: PlacedToken | None, by_key: bool = False) -> None:
        if placed == self.pointed and not by_key:
            return
        for each in filter(None, (self.pointed, placed)):
            self.viewport().update(self.tokens.rect_of(each).toAlignedRect().adjusted(-1, -1, 1, 1))
        self.pointed, self._pointed_by_key = placed, by_key
        self.token_pointed.emit(placed, by_key)

    def _write(self) -> None:
        """Write a portion of what has changed; the rest follows when the window is idle."""
        first = self.writer.write(*self._steps.next_rows())
        if not self._steps.is_complete:
            self._idle.start()
        self._grown(first)

    def _marks_in(self, piece: Piece) -> Sequence[TextMark]:
        first = bisect_left(self._text_marks, piece.position, key=lambda mark: mark.start)
        end = bisect_left(self._text_marks, piece.end_position, key=lambda mark: mark.start)
        return self._text_marks[first:end]

    def _lay_text_marks(self) -> None:
        """Lay the marks over the text: each has a line below it, and strong ones a ground."""
        colours, laid = current_theme().colours, []
        start = self._steps.start
        for mark in self._text_marks:
            if not start <= mark.start < start + len(self._steps.text):
                continue
            each, style = QTextEdit.ExtraSelection(), QTextCharFormat.UnderlineStyle
            each.cursor = self.selection_of(mark.start, mark.end)
            each.format.setUnderlineStyle(style.SingleUnderline if mark.is_strong else style.DotLine)
            each.format.setUnderlineColor(QColor(colours.danger))
            if mark.is_strong or mark is self._chosen_mark:
                share = 0.35 if mark is self._chosen_mark else 0.12
                each.format.setBackground(QColor(blend(colours.surface, colours.danger, share)))
            laid.append(each)
        self.lay(Layer.OPINION, laid)

    def _mark_values(self, trace: Trace) -> None:
        """Note which pieces changed the value, if the values are other ones than before."""
        latest = next(reversed(trace.values.values()), None)
        if latest is self._valued:
            return
        from baton_reasoning.core.words.values import value_marks  # most answers have no values, and need none of this

        self._valued, self._marks = latest, value_marks(trace, self.pieces)
        self._set_margins()
        self.viewport().update()

    @property
    def _right_margin(self) -> float:
        """The pixels at the right of the text; more where values are to stand."""
        if not self._marks:
            return RIGHT_MARGIN
        return RIGHT_MARGIN + QFontMetricsF(self.document().defaultFont()).horizontalAdvance(WIDEST_VALUE)

    def _rerender(self) -> None:
        """Write again after a change of theme."""
        super()._rerender()
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
        area = self.viewport().rect()
        if (first := min(first_changed, len(self.writer.rows) - 1)) > 0:
            area.setTop(int(self._top_of(first) - GAP))
        self.viewport().update(area)
        if self._text_marks:
            self._lay_text_marks()
        self.grown.emit()

    # Lines ------------------------------------------------------------------------------------------------------------

    def _rect_of(self, block: QTextBlock) -> QRectF:
        return self.document().documentLayout().blockBoundingRect(block)

    def _lines_in(self, area: QRectF) -> Iterator[Line]:
        """Iterate over the lines that an area of the widget touches."""
        rows = self.writer.rows
        if not rows or not self.pieces:
            return
        first = bisect_right(range(len(rows)), area.top(), key=lambda each: self._top_of(each)) - 1
        last = bisect_right(range(len(rows)), area.bottom(), key=lambda each: self._top_of(each))
        yield from (
            line for line in self._lines(first, last) if line.bottom >= area.top() and line.top <= area.bottom()
        )

    def _top_of(self, index: int) -> float:
        return self._rect_of(self.writer.first_block(index)).top()

    def _lines(self, first: int, last: int) -> Iterator[Line]:
        """Iterate over the lines of some rows and of those beside them."""
        rows = self.writer.rows
        numbers = range(max(0, first - 1), min(len(rows), last + 2))
        found = [line for index in numbers for line in self._lines_of(index)]
        above: tuple[Piece, ...] = ()
        for number, line in enumerate(found):
            pieces = tuple(share.piece for share in line.shares)
            is_first, is_last = number == 0, number == len(found) - 1
            top = line.letters.top() - PAD if is_first else _between(found[number - 1], line) + _hairline(above, pieces)
            if is_last:
                end = self.document().size().height() - 1 if numbers.stop == len(rows) else 0
                bottom = max(line.letters.bottom() + PAD, end)
            else:
                below = found[number + 1]
                bottom = _between(line, below) - _hairline(pieces, tuple(share.piece for share in below.shares))
            is_known = not is_first or numbers.start == 0
            begins = tuple(piece for piece in pieces if is_known and piece not in above)
            yield line._replace(top=top, bottom=bottom, begins=begins)
            above = pieces

    def _lines_of(self, index: int) -> Iterator[Line]:
        """Iterate over the lines of a row, with no gaps yet."""
        row = self.writer.rows[index]
        if isinstance(row, Grid):
            yield from self._lines_of_table(index, row)
            return
        block = self.writer.first_block(index)
        place, layout = self._rect_of(block), block.layout()
        width = self.viewport().width()
        if not row.runs or layout.lineCount() == 0:
            owner = self._steps.piece_at(row.start)
            yield _line(place, (Share(owner, 0, width),) if owner else ())
            return
        for number in range(layout.lineCount()):
            line = layout.lineAt(number)
            places = self.writer.places(row.runs, line.textStart(), line.textStart() + line.textLength())
            parts = list(places) or [(row.start, row.start + 1)]
            pieces = self._steps.pieces_between(parts[0][0], parts[-1][1])
            letters = QRectF(place.left(), place.top() + line.y(), place.width(), line.height())
            if len(pieces) == 1:
                yield _line(letters, (Share(pieces[0], 0, width),))
                continue
            ends = [line.naturalTextRect().left(), line.naturalTextRect().right()]
            if block.textDirection() is Qt.LayoutDirection.RightToLeft:
                ends.reverse()
            inner = (self._x_in(row, index, line, block, piece) for piece in pieces[1:])
            edges = pairwise(place.left() + x for x in (ends[0], *inner, ends[1]))
            yield _line(
                letters, tuple(Share(piece, *sorted(sides)) for piece, sides in zip(pieces, edges, strict=True))
            )

    def _x_in(self, row: Row, index: int, line: QTextLine, block: QTextBlock, piece: Piece) -> float:
        """Return where in a line a piece begins; within a formula, as far as in its source."""
        place = piece.position - self._steps.start
        position = max(self.writer.position_of(index, place) - block.position(), line.textStart())
        x, _ = cast(tuple[float, int], line.cursorToX(position))
        run = next((run for run in row.runs if run.start < place < run.end and not run.is_exact), None)
        if run is None:
            return x
        end, _ = cast(tuple[float, int], line.cursorToX(position + self.writer.length_of(run)))
        return x + (end - x) * (place - run.start) / (run.end - run.start)

    def _lines_of_table(self, index: int, grid: Grid) -> Iterator[Line]:
        """Iterate over the rows of a table; each piece of a cell has an equal part of its width."""
        for number, cells in enumerate(grid.rows):
            begins, letters = list[tuple[Piece, float]](), QRectF()
            for column, cell in enumerate(cells):
                place = self._rect_of(self.writer.cell_block(index, number, column))
                letters = letters.united(place)
                pieces = self._steps.pieces_between(cell[0].start, cell[-1].end) if cell else []
                width = place.width() / max(1, len(pieces))
                begins += [(each, place.left() + at * width) for at, each in enumerate(pieces)]
            owners = [each for n, each in enumerate(begins) if n == 0 or each[0] is not begins[n - 1][0]]
            edges = [0.0, *(left for _, left in owners[1:]), float(self.viewport().width())]
            shares = (Share(piece, *ends) for (piece, _), ends in zip(owners, pairwise(edges), strict=False))
            yield _line(letters.adjusted(0, -CELL_PADDING, 0, CELL_PADDING), tuple(shares))

    # Painting ---------------------------------------------------------------------------------------------------------

    def _paint_grounds(self, painter: QPainter, line: Line, colours: Colours) -> None:
        """Paint the ground of what the large model or a person wrote, and of what is selected.

        In a line of several there is a line below it as well: a colour is never the only sign.
        """
        for share in line.shares:
            author, ground = share.piece.author, self._ground(line, share)
            is_set_off = author in (Author.LARGE, Author.PERSON)
            if is_set_off or share.piece is self.selected:
                painter.fillRect(ground, QColor(tint_of(author, colours)))
            if is_set_off and len(line.authors) > 1:
                style = Qt.PenStyle.SolidLine if author is Author.LARGE else Qt.PenStyle.DotLine
                painter.setPen(QPen(QColor(ink_of(author, colours)), 1, style))
                painter.drawLine(ground.bottomLeft(), ground.bottomRight())

    def _ground(self, line: Line, share: Share) -> QRectF:
        """Return the ground of a share: the whole of its line, or its part of a line of several."""
        if len(line.shares) > 1:
            return QRectF(share.left, line.letters.top(), share.right - share.left, line.letters.height())
        return QRectF(share.left, line.top, share.right - share.left, line.bottom - line.top)

    def _paint_margin(self, painter: QPainter, line: Line, colours: Colours) -> None:
        """Paint the bar of each author of a line, and where a piece begins or several wrote a line, their signs."""
        authors = line.authors
        height = (line.bottom - line.top) / max(1, len(authors))
        for number, author in enumerate(authors):
            ink = QColor(ink_of(author, colours))
            bar = QRectF(0, line.top + number * height, BAR, height)
            if author is Author.INSERTED:
                painter.setPen(QPen(ink, 2, Qt.PenStyle.DashLine))
                painter.drawLine(QPointF(BAR / 2, bar.top() + 1), QPointF(BAR / 2, bar.bottom()))
            else:
                painter.fillRect(bar, ink)
        left, step = 3.0 * BAR, 0.0
        if len(authors) > 1:
            left, step = BAR + 2.0, (left_margin() - BAR - 4.0) / len(authors)
            painter.save()
            font = painter.font()
            font.setPointSizeF(font.pointSizeF() * min(0.8, 2 * step / left_margin()))
            painter.setFont(font)
        for author in authors if line.begins else ():
            painter.setPen(QColor(ink_of(author, colours)))
            self._write_beside(painter, left, line, SIGN[author])
            left += step
        if len(authors) > 1:
            painter.restore()
        for piece in line.begins:
            if mark := self._marks.get(piece.position):
                painter.setPen(QColor(colours.success if mark.is_rise else colours.danger))
                self._write_beside(painter, self.viewport().width() - self._right_margin + VALUE_GAP, line, mark.text)

    def _paint_choice(self, painter: QPainter, lines: Sequence[Line], colours: Colours) -> None:
        """Paint a frame around the piece that is selected."""
        path = QPainterPath()
        for line in lines:
            for share in line.shares:
                if share.piece is self.selected:
                    path.addRect(self._ground(line, share).adjusted(0.6, 0, -1.6, 0))
        if not path.isEmpty() and self.selected:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(ink_of(self.selected.author, colours)), 1.2))
            painter.drawPath(path.simplified())

    def _write_beside(self, painter: QPainter, left: float, line: Line, text: str) -> None:
        """Write at the height of a line's letters."""
        height = painter.fontMetrics().height() * LINE_HEIGHT
        area = QRectF(left, line.letters.top(), self.viewport().width() - left, min(height, line.letters.height()))
        painter.drawText(area, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)


def _line(letters: QRectF, shares: tuple[Share, ...]) -> Line:
    return Line(letters.top(), letters.bottom(), letters, shares)


def _between(above: Line, below: Line) -> float:
    return (above.letters.bottom() + below.letters.top()) / 2


def _hairline(above: tuple[Piece, ...], below: tuple[Piece, ...]) -> int:
    """Return half of the pixels between lines of other pieces."""
    return 0 if above and below and above[-1] is below[0] else 1
