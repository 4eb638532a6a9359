"""Find in the conversation (Ctrl+F): all matches highlighted, one of them current, with the number of both."""

from __future__ import annotations

from bisect import bisect_left

from PySide6.QtCore import QEvent, QMetaObject, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QKeyEvent, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QTextEdit, QWidget
from shiboken6 import isValid

from baton_reasoning.app.document import DocumentMatches, RichText, TextRange, pattern_of
from baton_reasoning.app.document.formula_object import OBJECT_CHARACTER
from baton_reasoning.app.document.searched_texts import SearchedTexts
from baton_reasoning.app.toolkit.controls import IconButton, label, line_edit
from baton_reasoning.app.toolkit.layout import STRETCH, hbox
from baton_reasoning.app.toolkit.theme import Role, current_theme, set_role

AT_ONCE = 200
"""Blocks searched in one go: at most 6 ms where each has a formula."""
AROUND = 200
"""Pixels above and below the viewport in which matches are highlighted already."""


class FindBar(QWidget):
    """The field above the composer. Return and Shift+Return go to the next and the previous match."""

    words_changed = Signal(str)
    step_wanted = Signal(int)
    """1: the next match; -1: the previous one."""
    close_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, Role.BAR)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.edit = line_edit("Find in this conversation", "Find in this conversation")
        self.edit.setMaximumWidth(360)
        self.edit.textChanged.connect(self.words_changed)
        self.edit.installEventFilter(self)
        self.count = label("", Role.MUTED)
        self.count.setAccessibleName("Matches")
        self.setLayout(
            hbox(
                (self.edit, 1),
                IconButton("chevron-left", "Previous match (Shift+F3)", lambda: self.step_wanted.emit(-1)),
                IconButton("chevron-right", "Next match (F3)", lambda: self.step_wanted.emit(1)),
                self.count,
                STRETCH,
                IconButton("close", "Close the find bar (Esc)", self.close_wanted.emit),
                margins=(26, 6, 20, 6),
            )
        )
        self.hide()

    def show_count(self, current: int, matches: int, searching: bool) -> None:
        """Show “3 of 12”; `current` is 0 while there is no current match."""
        if not self.edit.text().strip():
            text = ""
        elif not matches:
            text = "Searching…" if searching else "No matches"
        else:
            text = f"{current:,} of {matches:,}" + ("…" if searching else "")
        self.count.setText(text)
        set_role(self.count, Role.DANGER if text == "No matches" else Role.MUTED)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        is_key = isinstance(event, QKeyEvent) and event.type() is QEvent.Type.KeyPress
        if is_key and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):  # type: ignore[attr-defined]
            shifted = event.modifiers() & Qt.KeyboardModifier.ShiftModifier  # type: ignore[attr-defined]
            self.step_wanted.emit(-1 if shifted else 1)
            return True
        return super().eventFilter(watched, event)


class ConversationFinder(QObject):
    """Searches the conversation, or the comparison in its place, and follows it while more is written."""

    def __init__(self, searched: SearchedTexts, bar: FindBar, parent: QObject) -> None:
        super().__init__(parent)
        self._searched = searched
        self._bar = bar
        self._matches: dict[RichText, DocumentMatches] = {}
        """The matches of each text, from top to bottom."""
        self._current: tuple[RichText, TextRange] | None = None
        self._start: tuple[RichText, int] | None = None
        """Where the first match is looked for; None once there is a current one."""
        self._jumps = True
        """Whether to scroll to the match that is found first."""
        self._highlighted: set[RichText] = set()
        self._work = QTimer(self)
        self._work.setSingleShot(True)
        self._work.timeout.connect(self._search_more)
        bar.words_changed.connect(self._search)
        bar.step_wanted.connect(self.step)
        self._scrolling = self._follow_scrolling()
        current_theme().changed.connect(self._highlight_visible)

    def look_at(self, searched: SearchedTexts) -> None:
        """Search these texts from now on."""
        if searched.area is not self._searched.area:
            for connection in self._scrolling:
                QObject.disconnect(connection)
            self._searched = searched
            self._scrolling = self._follow_scrolling()
        self.follow_path()

    @property
    def is_open(self) -> bool:
        return not self._bar.isHidden()

    def open(self) -> None:
        """Show the bar; what is selected in the conversation is what is looked for."""
        selected = next((text.textCursor().selectedText() for text in self._searched.texts() if _selects(text)), "")
        self._bar.show()
        self._bar.edit.setFocus()
        if selected and selected != self._bar.edit.text():
            self._bar.edit.setText(selected)
        elif not self._matches:
            self._search(self._bar.edit.text())
        self._bar.edit.selectAll()

    def close(self) -> None:
        self._bar.hide()
        self._forget()

    def step(self, by: int) -> None:
        """Go to the next (1) or previous (-1) match, around the end; opens the bar if it is closed."""
        if not self.is_open:
            self.open()
            return
        total = self._total
        if total:
            at = self._index(self._current) if self._current else (-1 if by > 0 else 0)
            self._go_to((at + by) % total)

    # -----------------------------------------------------------------------------------------------------------------

    @property
    def _total(self) -> int:
        return sum(len(matches.ranges) for matches in self._matches.values())

    @property
    def _searching(self) -> bool:
        return not all(matches.complete for matches in self._matches.values()) or not self._searched.complete()

    def _search(self, words: str) -> None:
        start = self._start or self._current_start() or self._searched.first_visible()
        self._forget()
        if pattern := pattern_of(words):
            self._searched.build_folded(True)
            for text in self._searched.texts():
                matches = DocumentMatches(text.document(), pattern, text)
                matches.changed.connect(self._schedule)
                self._matches[text] = matches
            self._start, self._jumps = start, True
            self._search_more()
        self._show_count()

    def _current_start(self) -> tuple[RichText, int] | None:
        return (self._current[0], self._current[1].start) if self._current else None

    def _forget(self) -> None:
        for matches in self._matches.values():
            matches.deleteLater()
        self._matches.clear()
        self._current = self._start = None
        self._work.stop()
        self._searched.build_folded(False)
        self._highlight_visible()

    def follow_path(self) -> None:
        """Search the exchanges that are shown now."""
        if self.is_open:
            here = {text: matches for text, matches in self._matches.items() if text in self._searched.texts()}
            if len(here) == len(self._matches) == len(self._searched.texts()):
                return
            self._matches = here  # the others went with their texts
            self._highlighted &= here.keys()
            self._current = self._start = None
            self._search(self._bar.edit.text())

    def _follow_scrolling(self) -> list[QMetaObject.Connection]:
        bar = self._searched.area.verticalScrollBar()
        return [each.connect(self._highlight_visible) for each in (bar.valueChanged, bar.rangeChanged)]

    def _schedule(self) -> None:
        if not self._work.isActive():
            self._work.start(0)

    def _search_more(self) -> None:
        unfinished = next((matches for matches in self._matches.values() if not matches.complete), None)
        if unfinished:
            unfinished.search(AT_ONCE)
        if self._current and not self._has(self._current):
            self._start, self._jumps = self._current_start(), False
            self._current = None
        if self._start:
            self._look_for_first()
        if not all(matches.complete for matches in self._matches.values()):
            self._schedule()
        self._show_count()
        self._highlight_visible()

    def _has(self, current: tuple[RichText, TextRange]) -> bool:
        text, place = current
        if text not in self._matches:
            return False
        matches = self._matches[text]
        at = bisect_left(matches.ranges, place)
        return not matches.complete or (at < len(matches.ranges) and matches.ranges[at] == place)

    def _look_for_first(self) -> None:
        """Make the first match at or after `_start` the current one; if there is none, the first of all."""
        assert self._start
        index, after = 0, False
        for text, matches in self._matches.items():
            at = 0
            if text is self._start[0]:
                after = True
                at = bisect_left(matches.ranges, (self._start[1], 0))
            if after and at < len(matches.ranges):
                self._choose(index + at)
                return
            if after and not matches.complete:
                return
            index += len(matches.ranges)
        if index and not self._searching:
            self._choose(0)

    def _choose(self, index: int) -> None:
        if self._jumps:
            self._go_to(index)
        else:
            self._current = self._at(index)
        self._start = None

    def _go_to(self, index: int) -> None:
        self._current = self._at(index)
        self._start = None
        text, place = self._current
        self._searched.reveal(text, place.start)
        self._show_count()
        self._highlight_visible()

    def _at(self, index: int) -> tuple[RichText, TextRange]:
        for text, matches in self._matches.items():
            if index < len(matches.ranges):
                return text, matches.ranges[index]
            index -= len(matches.ranges)
        raise IndexError(index)

    def _index(self, current: tuple[RichText, TextRange]) -> int:
        index = 0
        for text, matches in self._matches.items():
            if text is current[0]:
                return index + bisect_left(matches.ranges, current[1])
            index += len(matches.ranges)
        return -1

    def _show_count(self) -> None:
        number = self._index(self._current) + 1 if self._current else 0
        self._bar.show_count(number, self._total, bool(self._matches) and self._searching)

    def _highlight_visible(self) -> None:
        """Highlight the matches in and near the viewport: a long answer may have thousands."""
        for text in self._highlighted - self._matches.keys():
            if isValid(text):
                _highlight(text, [], None)
        highlighted = set()
        for text, matches in self._matches.items():
            visible = self._searched.visible_range(text, AROUND)
            if visible is None:
                if text in self._highlighted:
                    _highlight(text, [], None)
                continue
            first = max(0, bisect_left(matches.ranges, (visible.start, 0)) - 1)
            last = bisect_left(matches.ranges, (visible.end + 1, 0))
            current = self._current[1] if self._current and self._current[0] is text else None
            _highlight(text, matches.ranges[first:last], current)
            highlighted.add(text)
        self._highlighted = highlighted


def _selects(text: RichText) -> bool:
    return text.textCursor().hasSelection() and "\u2029" not in text.textCursor().selectedText()


def _highlight(text: RichText, places: list[TextRange], current: TextRange | None) -> None:
    """Show these matches and no others; the current one stands out by its ground and is underlined."""
    colours, document = current_theme().colours, text.document()
    selections: list[QTextEdit.ExtraSelection] = []
    formulas: list[tuple[int, QColor]] = []
    for place in places:
        ground = QColor(colours.current_match if place == current else colours.match)
        form = QTextCharFormat()
        form.setBackground(ground)
        form.setForeground(QColor(colours.text))
        form.setFontUnderline(place == current)
        start = place.start
        for position in range(place.start, place.end + 1):
            is_formula = position < place.end and document.characterAt(position) == OBJECT_CHARACTER
            if (is_formula or position == place.end) and position > start:
                selection = QTextEdit.ExtraSelection()
                cursor = QTextCursor(document)
                cursor.setPosition(start)
                cursor.setPosition(position, QTextCursor.MoveMode.KeepAnchor)
                selection.cursor, selection.format = cursor, form
                selections.append(selection)
            if is_formula:
                formulas.append((position, ground))
                start = position + 1
    text.setExtraSelections(selections)
    text.mark_formulas(formulas)
