"""A widget for text with mathematics, as tall as its content; copies yield the source."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from PySide6.QtCore import QMimeData, QRectF, QSize, Qt, QUrl
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFontMetrics,
    QGuiApplication,
    QImage,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QTextBlock,
)
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextBrowser, QTextEdit

from baton_reasoning.app.document.clipboard import selected_text
from baton_reasoning.app.document.row_writer import COPY_SCHEME, RowWriter
from baton_reasoning.app.document.style import CODE_KINDS, CODE_PADDING, GAP, KIND, TextStyle
from baton_reasoning.app.document.typeset import Typesetter
from baton_reasoning.app.toolkit.controls import paint_focus
from baton_reasoning.app.toolkit.copying import copy_text
from baton_reasoning.app.toolkit.theme import current_theme
from baton_reasoning.core.markdown.blocks import Kind, read
from baton_reasoning.core.markdown.parser import clean


class Layer(Enum):
    """What marks are laid over a text, from the lowest to the uppermost."""

    OPINION = "opinion"
    MATCHES = "matches"


class RichText(QTextBrowser):
    """Shows one Markdown text, and follows the theme.

    Links are not opened, they can be copied. "Copy" over code copies it.
    """

    def __init__(self, gap: float = GAP, typesetter: Typesetter | None = None) -> None:
        """`gap`: pixels between paragraphs. `typesetter`: sets formulas in the background."""
        super().__init__()
        self.markdown = ""
        """The text as it was given."""
        self._gap = gap
        self.writer = RowWriter(self.document(), self._style(), typesetter)
        self._layers: dict[Layer, list[QTextEdit.ExtraSelection]] = {}
        self._is_tabbed_to = False
        self.setAccessibleName("Text")
        self.setOpenLinks(False)
        self.setUndoRedoEnabled(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.document().setDocumentMargin(0)
        for each in (self, self.viewport()):
            each.setAttribute(Qt.WidgetAttribute.WA_StaticContents)  # growing paints only what is new
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        self.anchorClicked.connect(self._follow)
        current_theme().changed.connect(self._rerender)

    def set_markdown(self, markdown: str) -> None:
        """Show a text."""
        self.markdown = markdown
        self.writer.write(0, [row for block in read(clean(markdown)).blocks for row in block.rows])
        self.setAccessibleDescription(markdown)  # a screen reader cannot read drawn formulas, but their source

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_below(painter, QRectF(event.rect()))
        painter.end()
        super().paintEvent(event)
        if self._is_tabbed_to:
            painter = QPainter(self.viewport())
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            paint_focus(painter, self.viewport().rect())
            painter.end()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self._show_focus(event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason))

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._show_focus(False)

    def createMimeDataFromSelection(self) -> QMimeData:
        mime = QMimeData()
        mime.setText(selected_text(self.textCursor()))
        return mime

    def lay(self, layer: Layer, marks: Sequence[QTextEdit.ExtraSelection]) -> None:
        """Lay these marks over the text, in place of those that this layer had."""
        if marks or self._layers.get(layer):
            self._layers[layer] = list(marks)
            self.setExtraSelections([each for one in Layer for each in self._layers.get(one, ())])

    def loadResource(self, kind: int, name: QUrl | str) -> QImage:  # noqa: ARG002 - Qt's
        """Load no resource: a text cannot make Baton fetch or read anything. For None, Qt would read a local file."""
        return QImage()

    def fit_width(self, widest: int) -> None:
        """Make the widget as wide as its text, and no wider than so many pixels."""
        document = self.document()
        document.setTextWidth(-1)
        self.setFixedWidth(min(widest, int(document.idealWidth()) + 4))
        document.setTextWidth(self.width())

    def sizeHint(self) -> QSize:
        line, size = QFontMetrics(self.font()).height(), self.document().size()
        bar = self.horizontalScrollBar().sizeHint().height() if size.width() > self.width() else 0
        return QSize(480, max(line, round(size.height())) + bar)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._is_tabbed_to or event.size().width() != event.oldSize().width():
            self.viewport().update()

    def _show_focus(self, is_tabbed_to: bool) -> None:
        """Draw a ring if Tab has led here; a click selects text, and the selection shows where."""
        self._is_tabbed_to = is_tabbed_to
        self.viewport().update()

    def _style(self) -> TextStyle:
        return TextStyle.of(current_theme().colours, QGuiApplication.font(), self._gap)

    def _rerender(self) -> None:
        self.writer.use_style(self._style())

    def _paint_below(self, painter: QPainter, area: QRectF) -> None:
        """Paint what is below the letters in an area: the ground of code."""
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(current_theme().colours.panel))
        block, ground = self._block_at(area.top()), QRectF()
        if block.previous().blockFormat().property(KIND) in CODE_KINDS:  # its upper edge is out of view
            block = block.previous()
        while block.isValid():
            place = self.document().documentLayout().blockBoundingRect(block)
            kind = block.blockFormat().property(KIND)
            if kind is not Kind.CODE and not ground.isNull():  # also where other code begins right below it
                self._paint_panel(painter, ground)
                ground = QRectF()
            if kind in CODE_KINDS:
                ground = ground.united(place)
            if place.top() > area.bottom():
                break
            block = block.next()
        self._paint_panel(painter, ground)

    def _paint_panel(self, painter: QPainter, ground: QRectF) -> None:
        if not ground.isNull():
            painter.drawRoundedRect(ground.adjusted(-CODE_PADDING, -2, CODE_PADDING, 3), 5, 5)

    def _block_at(self, y: float) -> QTextBlock:
        """Return a block that begins above a place of the document."""
        document = self.document()
        low, high = 0, document.blockCount() - 1
        while low < high:
            middle = (low + high + 1) // 2
            place = document.documentLayout().blockBoundingRect(document.findBlockByNumber(middle))
            low, high = (middle, high) if place.top() <= y else (low, middle - 1)
        return document.findBlockByNumber(low)

    def _fit(self) -> None:
        height = self.sizeHint().height()
        if height != self.height():
            self.setFixedHeight(height)

    def _follow(self, address: QUrl) -> None:
        if address.scheme() == COPY_SCHEME:
            copy_text(self.writer.code_at(int(address.path())), self.viewport(), self.cursorRect())
