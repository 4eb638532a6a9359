"""Two lanes in real time: when each model wrote."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QAccessible, QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from baton_reasoning.app.toolkit.accessible import set_accessible_role
from baton_reasoning.app.toolkit.controls import Hairline
from baton_reasoning.app.toolkit.facts import Facts
from baton_reasoning.app.toolkit.layout import Spacer, vbox
from baton_reasoning.app.toolkit.theme import current_theme, ink_of
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.trace import Piece, Trace
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.numbers import duration

LANE = 20
AUTHORS = (Author.SMALL, Author.LARGE)


class Timeline(QWidget):
    piece_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._trace = Trace()
        self._selected: Piece | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Timeline")
        set_accessible_role(self, QAccessible.Role.Chart)
        current_theme().changed.connect(self.update)

    def follow(self, trace: Trace) -> None:
        self._trace = trace
        small, large = (trace.totals[author].decode_seconds for author in AUTHORS)
        self.setAccessibleDescription(
            f"{duration(trace.seconds)}: the small model wrote for {duration(small)}, "
            f"the large model for {duration(large)}."
        )
        self.update()

    def select(self, piece: Piece | None) -> None:
        self._selected = piece
        self.update()

    def sizeHint(self) -> QSize:
        line = self._line_height
        return QSize(300, 2 * (LANE + line) + line + 4)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        colours, line = current_theme().colours, self._line_height
        for author in AUTHORS:
            lane, ink = self._lane(author), QColor(ink_of(author, colours))
            painter.setPen(ink)
            text = QRectF(lane.left(), lane.top() - line, lane.width(), line)
            painter.drawText(text, Qt.AlignmentFlag.AlignVCenter, f"{SIGN[author]} {author.value}")
            painter.fillRect(lane, QColor(colours.panel))
            for piece in self._pieces_of(author):
                painter.fillRect(self._place(piece), ink)
        if self._selected and self._selected.author in AUTHORS:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(colours.text), 1.6))
            painter.drawRoundedRect(self._place(self._selected).adjusted(-1, -1, 1, 1), 2, 2)
        painter.setPen(QColor(colours.muted))
        axis = QRectF(0, 2 * (LANE + line) + 2, self.width(), line)
        painter.drawText(axis, Qt.AlignmentFlag.AlignLeft, duration(0))
        painter.drawText(axis, Qt.AlignmentFlag.AlignRight, duration(self._trace.seconds))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if piece := self._piece_at(event.position()):
            self.piece_chosen.emit(piece)

    @property
    def _line_height(self) -> int:
        """The pixels of a line of text."""
        return max(20, self.fontMetrics().height() + 4)

    def _lane(self, author: Author) -> QRectF:
        line = self._line_height
        return QRectF(0, line + AUTHORS.index(author) * (LANE + line), self.width(), LANE)

    def _pieces_of(self, author: Author) -> list[Piece]:
        return [piece for piece in self._trace.pieces if piece.author is author]

    def _place(self, piece: Piece) -> QRectF:
        """Return where a piece is drawn: at least a pixel wide."""
        lane = self._lane(piece.author)
        scale = lane.width() / max(self._trace.seconds, 1e-3)
        return QRectF(piece.start * scale, lane.top(), max(piece.seconds * scale, 1.0), LANE)

    def _piece_at(self, point: QPointF) -> Piece | None:
        """Return the piece in the lane under the point that is nearest to it."""
        author = next((author for author in AUTHORS if self._lane(author).contains(point)), None)

        def distance(piece: Piece) -> float:
            place = self._place(piece)
            return max(place.left() - point.x(), point.x() - place.right())

        return min(self._pieces_of(author), key=distance, default=None) if author else None


class TimelinePage(QWidget):
    piece_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.timeline = Timeline()
        self.timeline.piece_chosen.connect(self.piece_chosen)
        self._facts = Facts()
        self.setLayout(vbox(self.timeline, Hairline(), self._facts, Spacer(0), margins=(0, 8, 8, 8), spacing=9))

    def follow(self, trace: Trace) -> None:
        self.timeline.follow(trace)
        small, large = trace.totals[Author.SMALL], trace.totals[Author.LARGE]
        busy = sum(total.decode_seconds + total.handoff_seconds for total in (small, large))
        self._facts.show_facts(
            [
                ("● writing", duration(small.decode_seconds)),
                ("● reading", duration(small.handoff_seconds)),
                ("◆ writing", duration(large.decode_seconds)),
                ("◆ reading", duration(large.handoff_seconds)),
                ("◆ reading along", duration(along) if (along := sum(r.seconds for r in trace.prefetches)) else ""),
                ("Neither", duration(max(0.0, trace.seconds - busy))),
                ("Whole run", duration(trace.seconds)),
            ]
        )

    def select(self, piece: Piece | None) -> None:
        self.timeline.select(piece)
