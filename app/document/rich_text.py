"""A widget for text with mathematics, as tall as its content; copies yield the source."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from PySide6.QtCore import QMimeData, QSize, Qt, QUrl
from PySide6.QtGui import QFontMetrics, QGuiApplication, QImage, QResizeEvent
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextBrowser, QTextEdit

from baton_reasoning.app.document.clipboard import selected_text
from baton_reasoning.app.document.markdown import COPY_SCHEME, append_plain, code_of, render_into
from baton_reasoning.app.document.style import TextStyle
from baton_reasoning.app.toolkit.theme import current_theme


class Layer(Enum):
    """What marks are laid over a text, from the lowest to the uppermost."""

    OPINION = "opinion"
    MATCHES = "matches"


class RichText(QTextBrowser):
    """Shows one Markdown text, or one that is still growing; follows the theme.

    Links are not opened, they can be copied. "Copy" over code copies it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.markdown = ""
        """The text as it was given, finished or growing."""
        self._grows = False
        self._layers: dict[Layer, list[QTextEdit.ExtraSelection]] = {}
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
        """Show a finished text."""
        self.markdown, self._grows = markdown, False
        render_into(self.document(), markdown, self._style())
        self.setAccessibleDescription(markdown)  # a screen reader cannot read drawn formulas, but their source

    def append_live(self, text: str) -> None:
        """Add to a text that is being written, as plain letters; `set_markdown` renders it when it is finished."""
        self.markdown = self.markdown + text if self._grows else text
        self._grows = True
        append_plain(self.document(), text, self._style())

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

    @property
    def formula_size(self) -> float:
        """The size of its formulas in pixels."""
        return self._style().formula_size

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
        if event.size().width() != event.oldSize().width():
            self.viewport().update()

    def _style(self) -> TextStyle:
        return TextStyle.of(current_theme().colours, QGuiApplication.font())

    def _rerender(self) -> None:
        if not self._grows:
            self.set_markdown(self.markdown)
        else:
            self.document().clear()
            append_plain(self.document(), self.markdown, self._style())

    def _fit(self) -> None:
        height = self.sizeHint().height()
        if height != self.height():
            self.setFixedHeight(height)

    def _follow(self, address: QUrl) -> None:
        if address.scheme() == COPY_SCHEME:
            QGuiApplication.clipboard().setText(code_of(address.toString()))
