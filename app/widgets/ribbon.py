"""The ribbon: who wrote which part of a text, at a glance, by mouse and by keyboard."""

from dataclasses import replace

from PySide6.QtCore import QEvent, QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.theme import SIGN, current_theme
from app.widgets.ribbon_drawing import RibbonLayout, Segment, paint_ribbon
from core.thinking.events import Author

__all__ = ["Ribbon", "Segment"]

_MARGIN = 3  # pixels around the pieces, for the ring of the chosen one


class Ribbon(QWidget):
    """One piece for each segment, as wide as its tokens. It may grow while a text is written."""

    segment_clicked = Signal(int)  # its index; by mouse, or by Enter on the chosen one

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._segments: list[Segment] = []
        self._layout: RibbonLayout | None = None  # None: to be built anew when it is next needed
        self._selected = -1
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Who wrote it")
        self._describe()
        current_theme().changed.connect(self.update)

    @property
    def segments(self) -> tuple[Segment, ...]:
        return tuple(self._segments)

    def set_segments(self, segments: list[Segment]) -> None:
        """Shows other segments; the choice falls away if it no longer points at one."""
        self._segments = list(segments)
        if self._selected >= len(self._segments):
            self._selected = -1
        self._changed()

    def append(self, segment: Segment) -> None:
        self._segments.append(segment)
        self._changed()

    def grow(self, tokens: int) -> None:
        """Adds tokens to the last segment, which is being written."""
        last = self._segments[-1]
        self._segments[-1] = replace(last, tokens=last.tokens + tokens)
        self._changed()

    @property
    def selected(self) -> int:
        """The index of the chosen segment, -1 for none."""
        return self._selected

    def select(self, index: int) -> None:
        """Chooses a segment, or none with -1. Nothing is emitted: the caller knows."""
        self._selected = index if 0 <= index < len(self._segments) else -1
        self._describe()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(320, 14 + 2 * _MARGIN)

    def minimumSizeHint(self) -> QSize:
        return QSize(40, 14 + 2 * _MARGIN)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        colours = current_theme().colours
        area = self._area()
        paint_ribbon(painter, area, self._laid_out(), colours)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._selected >= 0:
            left, right = self._laid_out().place(self._selected, area.width())
            middle, half = (left + right) / 2, max(right - left, 5.0) / 2
            ring = QRectF(area.left() + middle - half, area.top(), 2 * half, area.height())
            painter.setPen(QPen(QColor(colours.text), 2.0))
            painter.drawRoundedRect(ring.adjusted(-1.5, -1.5, 0.5, 1.5), 3.5, 3.5)
        elif self.hasFocus():
            painter.setPen(QPen(QColor(colours.accent), 1.0))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            index = self.segment_at(event.pos())
            if index >= 0:
                QToolTip.showText(event.globalPos(), self._words(index), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)

    def segment_at(self, point: QPoint) -> int:
        """The segment under a point of the widget; -1 beside the pieces."""
        area = self._area()
        return self._laid_out().index_at(point.x() - area.left(), area.width())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        index = self.segment_at(event.position().toPoint())
        if event.button() is Qt.MouseButton.LeftButton and index >= 0:
            self.select(index)
            self.segment_clicked.emit(index)
        else:
            super().mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        last = len(self._segments) - 1
        match event.key():
            case Qt.Key.Key_Right:
                self.select(min(self._selected + 1, last))
            case Qt.Key.Key_Left:
                self.select(max(self._selected - 1, 0))
            case Qt.Key.Key_Home:
                self.select(0)
            case Qt.Key.Key_End:
                self.select(last)
            case Qt.Key.Key_Return | Qt.Key.Key_Enter | Qt.Key.Key_Space if self._selected >= 0:
                self.segment_clicked.emit(self._selected)
            case _:
                super().keyPressEvent(event)

    def _area(self) -> QRectF:
        return QRectF(self.rect()).adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)

    def _laid_out(self) -> RibbonLayout:
        if self._layout is None:
            self._layout = RibbonLayout(self._segments)
        return self._layout

    def _changed(self) -> None:
        self._layout = None
        self._describe()
        self.update()

    def _describe(self) -> None:
        """Tells those who hear the window instead of seeing it."""
        if not self._segments:
            self.setAccessibleDescription("Nothing written yet.")
            return
        share = self._laid_out().share(Author.LARGE)
        words = f"{len(self._segments):,} pieces; the large model wrote {share:.0%}."
        if self._selected >= 0:
            words += f" Piece {self._selected + 1}: {self._words(self._selected)}"
        self.setAccessibleDescription(words)

    def _words(self, index: int) -> str:
        segment = self._segments[index]
        who = {Author.SMALL: "small model", Author.LARGE: "large model", Author.INSERTED: "inserted"}
        unit = "token" if segment.tokens == 1 else "tokens"
        first = f"{SIGN[segment.author]} {who[segment.author]}, {segment.tokens:,} {unit}"
        return f"{first}\n{segment.tooltip}" if segment.tooltip else first
