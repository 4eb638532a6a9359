"""Find in the conversation (Ctrl+F): all matches highlighted, one of them current, with the number of both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple, Protocol

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QColor, QKeyEvent, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QScrollArea, QTextEdit, QWidget
from shiboken6 import isValid

from baton_reasoning.app.document.rich_text import Layer, RichText
from baton_reasoning.app.toolkit.controls import IconButton, label, line_edit, with_key
from baton_reasoning.app.toolkit.layout import STRETCH, hbox
from baton_reasoning.app.toolkit.theme import Role, current_theme, set_role

MOST = 1_000
"""Matches that are found and highlighted; a person who has more types another letter."""
POLL_MS = 250
"""How often an open bar looks whether the texts have changed."""
PARAGRAPH = "\u2029"
"""Qt's separator of the blocks of a selection."""


class SearchedPage(Protocol):
    """A page with texts that can be searched."""

    def texts(self) -> list[RichText]:
        """Return the texts from top to bottom, those of folded reasoning as well."""

    def unfold(self, text: RichText) -> None:
        """Show a text that may be folded."""


class FoundWords(NamedTuple):
    text: RichText
    cursor: QTextCursor
    """The words, selected. Qt moves it along when the document changes above it."""


class FindBar(QWidget):
    """The field above the composer. Return and Shift+Return go to the next and the previous match.

    It searches a page while it is open, and again whenever the texts there have changed. It looks whether they have: no
    signal of a text is connected, so nothing is left behind by texts that go.
    """

    def __init__(self, page: SearchedPage, close: Callable[[], object]) -> None:
        """`close`: closes the bar, and puts the focus elsewhere."""
        super().__init__()
        self._page = page
        self._searched: list[tuple[RichText, int]] = []
        """The texts that were searched, each with the revision of its document."""
        self._matches: list[FoundWords] = []
        self._current = 0
        set_role(self, Role.BAR)
        self.edit = line_edit("Find in this conversation", "Find in this conversation")
        self.edit.setMaximumWidth(360)
        self.edit.textChanged.connect(lambda: self._search(jumps=True))
        self.edit.installEventFilter(self)
        self.count = label("", Role.MUTED)
        self.count.setAccessibleName("Matches")
        self.setLayout(
            hbox(
                (self.edit, 1),
                IconButton("chevron-left", with_key("Previous match", "Shift+F3"), lambda: self.step(-1)),
                IconButton("chevron-right", "Next match (F3)", lambda: self.step(1)),
                self.count,
                STRETCH,
                IconButton("close", "Close the find bar (Esc)", close),
                margins=(26, 6, 20, 6),
            )
        )
        self.hide()
        self._poll = QTimer(self)
        self._poll.setInterval(POLL_MS)
        self._poll.timeout.connect(self._follow)
        current_theme().changed.connect(self._highlight)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        returns = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if isinstance(event, QKeyEvent) and event.type() is QEvent.Type.KeyPress and event.key() in returns:
            self.step(-1 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1)
            return True
        return super().eventFilter(watched, event)

    def look_at(self, page: SearchedPage) -> None:
        """Search this page from now on."""
        if page is not self._page:
            self._forget()
            self._page = page
        if not self.isHidden():
            self._follow()

    def open(self) -> None:
        """Show the bar; what is selected in the page is what is looked for."""
        selected = [text.textCursor().selectedText() for text in self._page.texts()]
        self.show()
        self.edit.setFocus()
        if words := next((words for words in selected if words and PARAGRAPH not in words), ""):
            self.edit.setText(words)
        self.edit.selectAll()
        self._follow()
        self._poll.start()

    def leave(self) -> None:
        """Hide the bar, and mark nothing."""
        self._poll.stop()
        self.hide()
        self._forget()

    def step(self, by: int) -> None:
        """Go to the next (1) or previous (-1) match, around the end; opens the bar if it is closed."""
        if self.isHidden():
            self.open()
        elif self._matches:
            self._current = (self._current + by) % len(self._matches)
            self._go()

    # -----------------------------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Search again if the texts have changed; scroll only if nothing was found before."""
        if self._searched != _revisions(self._page.texts()):
            self._search(jumps=not self._matches)

    def _search(self, jumps: bool) -> None:
        """Find the words from the current match on, or else from what is in view on; `jumps`: scroll there."""
        start = self._start()
        texts, words = self._page.texts(), self.edit.text()
        self._searched = _revisions(texts)
        self._matches = list(islice(_matches(texts, words), MOST)) if words.strip() else []
        order = {text: number for number, text in enumerate(texts)}
        places = [(order[match.text], match.cursor.selectionStart()) for match in self._matches]
        begins = (order[start[0]], start[1]) if start and start[0] in order else (0, 0)
        self._current = next((number for number, place in enumerate(places) if place >= begins), 0)
        if self._matches and jumps:
            self._go()
        else:
            self._show()

    def _start(self) -> tuple[RichText, int] | None:
        """Return the text and the position in it from which on a match is looked for."""
        if self._matches:
            current = self._matches[self._current]
            return current.text, current.cursor.selectionStart()
        for text in self._page.texts():
            if not (visible := text.visibleRegion()).isEmpty():
                return text, text.cursorForPosition(visible.boundingRect().topLeft()).position()
        return None

    def _forget(self) -> None:
        self._searched, self._matches, self._current = [], [], 0
        self._highlight()

    def _go(self) -> None:
        text, cursor = self._matches[self._current]
        self._page.unfold(text)
        QTimer.singleShot(0, self, lambda: _scroll_to(text, cursor))  # once everything has its place
        self._show()

    def _show(self) -> None:
        """Show “3 of 12”, and the matches in the texts."""
        matches = len(self._matches)
        more = "+" if matches >= MOST else ""
        found = f"{self._current + 1:,} of {matches:,}{more}" if matches else "No matches"
        self.count.setText(found if self.edit.text().strip() else "")
        set_role(self.count, Role.MUTED if matches else Role.DANGER)
        self._highlight()

    def _highlight(self) -> None:
        """Mark the matches; the current one stands out by its ground and is underlined."""
        colours = current_theme().colours
        marks: dict[RichText, list[QTextEdit.ExtraSelection]] = {text: [] for text in self._page.texts()}
        usual, current = QTextCharFormat(), QTextCharFormat()
        for form, ground in ((usual, colours.match), (current, colours.current_match)):
            form.setBackground(QColor(ground))
            form.setForeground(QColor(colours.text))
        current.setFontUnderline(True)
        for number, (text, cursor) in enumerate(self._matches):
            mark = QTextEdit.ExtraSelection()
            mark.cursor, mark.format = cursor, current if number == self._current else usual
            marks.setdefault(text, []).append(mark)
        for text, each in marks.items():
            if isValid(text):
                text.lay(Layer.MATCHES, each)


def _revisions(texts: Iterable[RichText]) -> list[tuple[RichText, int]]:
    return [(text, text.document().revision()) for text in texts]


def _matches(texts: Iterable[RichText], words: str) -> Iterator[FoundWords]:
    """Find the words in either case, from the first text to the last."""
    for text in texts:
        cursor = text.document().find(words)
        while not cursor.isNull():
            yield FoundWords(text, cursor)
            cursor = text.document().find(words, cursor)


def _scroll_to(text: RichText, cursor: QTextCursor) -> None:
    """Scroll until a selection is a third of the view away from the edges.

    Formulas that are set a moment later may move it by some lines.
    """
    if not isValid(text):
        return
    place = text.cursorRect(cursor)
    around = text.parentWidget()
    while around and not isinstance(around, QScrollArea):
        around = around.parentWidget()
    if not isinstance(around, QScrollArea) or (content := around.widget()) is None:
        return
    if not 0 <= place.left() < text.viewport().width():  # in a wide table
        sideways = text.horizontalScrollBar()
        sideways.setValue(sideways.value() + place.left() - text.viewport().width() // 2)
    point = text.mapTo(content, place.topLeft())
    around.ensureVisible(point.x(), point.y(), place.height(), around.viewport().height() // 3)
