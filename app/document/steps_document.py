"""The pieces of a trace as one text document: plain while they grow, rendered when they are complete.

One document for all steps of an answer, not a widget for each: one can select across steps, thousands of pieces cost
a few kilobytes each, and only what is on the screen is painted (docs/architecture.md).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QColor, QFont, QTextBlock, QTextBlockFormat, QTextCharFormat, QTextCursor, QTextDocument

from baton_reasoning.app.document.clipboard import NOTE
from baton_reasoning.app.document.markdown import append_plain, render_at
from baton_reasoning.app.document.style import TextStyle
from baton_reasoning.app.document.typeset import Typesetter
from baton_reasoning.app.toolkit.theme import current_theme
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.thinking.cues import Lexicon, english
from baton_reasoning.core.thinking.differences import correction_by
from baton_reasoning.core.thinking.events import RunStarted
from baton_reasoning.core.thinking.policy import PolicyContext
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.trace import Piece, Trace

GAP = 15.0
"""Pixels between two pieces: the padding of both, and a hairline of ground."""
BLOCK_MARK = re.compile(r"(\d*)([-+*.)](?=\s|$)|#(?=#*(?:\s|$))|>)")
"""The beginning of an item of a list, of a heading, or of a quotation."""
BEFORE_NOTE = "\u2003 "
"""White space between a step and what is noted beside it."""
LONGEST_SET = 5_000
"""Characters in one line beyond which a piece stays plain: a model that writes these has lost its way."""
AT_ONCE = 12
"""Pieces rendered in one go, about 4 ms; the rest of a long answer follows when the window is idle."""


@dataclass(slots=True, eq=False)
class ShownPiece:
    """A piece as it stands in the document, in the blocks from `first` up to the next piece's."""

    piece: Piece
    length: int
    """Characters of it that are shown."""
    first: int
    is_set: bool = False


def cues_of(trace: Trace) -> Lexicon:
    """Return the cues that the policy of this run looked for: its own list, or the policy's."""
    if trace.started is None:
        return english()
    settings = RunSettings.stored(trace.started.settings)
    try:
        policy = POLICIES.of(settings.policy)(settings.policy, PolicyContext(settings.seed, settings.lexicon))
    except SettingsError:  # a policy that is not installed, or a list that this version cannot read
        return english()
    return policy.lexicon


class StepsDocument(QObject):
    """Follows a trace. `sync` brings the document up to it, whatever has happened at its end."""

    grown = Signal(int)
    """The first piece from which on pieces were added, removed or rendered."""

    def __init__(self, document: QTextDocument, style: TextStyle, typesetter: Typesetter, parent: QObject) -> None:
        super().__init__(parent)
        self.shown: list[ShownPiece] = []
        self._document = document
        self._typesetter = typesetter
        self._style = style
        self._pieces: Sequence[Piece] = ()
        self._tag = ""
        self._started: RunStarted | None = None
        self._cues = english()
        self._live = False
        self._idle = QTimer(self, singleShot=True, interval=0)
        self._idle.timeout.connect(self._update)
        style.apply_to(document)

    def use_style(self, style: TextStyle) -> None:
        """Use other colours or another font; everything is rendered again."""
        self._style = style
        self._document.clear()
        style.apply_to(self._document)
        self.shown.clear()
        self._update()

    def sync(self, trace: Trace, pieces: Sequence[Piece], live: bool) -> None:
        """Show these pieces of the trace; `live`: the last one may still be growing."""
        self._pieces, self._live = pieces, live
        if trace.started is not self._started:
            self._started = trace.started
            self._cues = cues_of(trace)
        tag = trace.closed.tag if trace.closed else ""
        if tag != self._tag:
            self._tag = tag
            self._remove_last()  # it may end with what is a tag only now
        self._update()

    @property
    def complete(self) -> bool:
        return len(self.shown) == len(self._pieces)

    def _update(self) -> None:
        edit = QTextCursor(self._document)
        edit.beginEditBlock()  # Qt lays out once
        self._remove_outdated()
        first_changed = max(0, len(self.shown) - 1)
        for piece in self._pieces[len(self.shown) : len(self.shown) + AT_ONCE]:
            self._close_last()
            self._begin(piece)
        if not self.complete:
            self._idle.start()
        elif self.shown:
            self._grow_last()
            if not self._live:
                self._close_last()
        edit.endEditBlock()
        self.grown.emit(first_changed)

    def _remove_outdated(self) -> None:
        """Remove pieces from the end, where a trace changes, back to the last one that is as it was.

        A piece that was rendered as complete and may still grow is plain again: an answer was opened, or goes on, in
        the middle of a step.
        """
        while self.shown:
            index, last = len(self.shown) - 1, self.shown[-1]
            same = index < len(self._pieces) and self._pieces[index] is last.piece
            grows = last.length < last.piece.length or (self._live and self.complete)
            if same and last.length <= last.piece.length and not (last.is_set and grows):
                return
            self._remove_last()

    def _remove_last(self) -> None:
        if self.shown:
            self._emptied(len(self.shown) - 1)
            self.shown.pop()

    def _emptied(self, index: int) -> QTextCursor:
        """Remove a piece with its blocks; return a cursor at the end of the piece before."""
        cursor = QTextCursor(self._document)
        cursor.setPosition(self._start_of(index))
        if index + 1 < len(self.shown):
            cursor.setPosition(self._start_of(index + 1), QTextCursor.MoveMode.KeepAnchor)
        else:
            cursor.movePosition(QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor)
        cursor.removeSelectedText()
        if index:
            _end_piece(cursor)  # Qt forgets it if the block at the cursor is empty
        else:
            cursor.setBlockFormat(QTextBlockFormat())
        return cursor

    def _start_of(self, index: int) -> int:
        """Return the position at which the piece before ends."""
        return max(0, self._document.findBlockByNumber(self.shown[index].first).position() - 1)

    def end_of(self, index: int) -> QTextBlock:
        """Return the last block of a shown piece."""
        if index + 1 == len(self.shown):
            return self._document.lastBlock()
        return self._document.findBlockByNumber(self.shown[index + 1].first - 1)

    def _begin(self, piece: Piece) -> None:
        cursor = QTextCursor(self._document)
        cursor.movePosition(QTextCursor.MoveOperation.End)
        if self.shown:
            _end_piece(cursor)
            cursor.insertBlock(QTextBlockFormat(), QTextCharFormat())
        self.shown.append(ShownPiece(piece, 0, cursor.block().blockNumber()))
        self._grow_last()

    def _grow_last(self) -> None:
        """Write what the last piece has grown by, in plain letters."""
        last = self.shown[-1]
        text, shown = last.piece.text, last.length
        last.length = last.piece.length
        fresh = text[shown:] if text[:shown].strip() else text[shown:].lstrip()
        if fresh:
            append_plain(self._document, fresh, self._style_of(last.piece))

    def _close_last(self) -> None:
        """Render the last piece, which is complete, once its formulas are typeset."""
        if not self.shown or self.shown[-1].is_set:
            return
        self._grow_last()
        last = self.shown[-1]
        last.is_set = True
        self._typesetter.prepare(last.piece.text, self._style.formula_size, lambda: self._set(last), self)

    def _set(self, shown: ShownPiece) -> None:
        """Put the set text where the plain letters stand. Pieces after it may have come meanwhile."""
        # Looked for from the end, near which it is.
        index = next((i for i in range(len(self.shown) - 1, -1, -1) if self.shown[i] is shown), None)
        if index is None:
            return  # it was discarded, or the whole document was rendered again
        edit = QTextCursor(self._document)
        edit.beginEditBlock()
        if max(map(len, shown.piece.text.split("\n"))) <= LONGEST_SET:
            self._render(shown, index)
        self._mark_cues(shown, index)
        self._note_change(index)
        edit.endEditBlock()
        self.grown.emit(index)

    def _render(self, shown: ShownPiece, index: int) -> None:
        """Replace the plain letters of a piece by rendered text."""
        before = self._document.blockCount()
        cursor = self._emptied(index)
        render_at(cursor, self._rendered_text(shown, index), self._style_of(shown.piece))
        if index + 1 < len(self.shown):
            _end_piece(cursor)
        if moved := self._document.blockCount() - before:
            for later in self.shown[index + 1 :]:
                later.first += moved

    def _rendered_text(self, shown: ShownPiece, index: int) -> str:
        text = shown.piece.text
        if self._tag and text.rstrip().endswith(self._tag):
            text = text.rstrip().removesuffix(self._tag)
        if shown.piece.author is Author.INSERTED and not text.strip() and shown.piece.reason:
            return f"Reasoning closed: {shown.piece.reason}."
        text = text.strip()
        return _within_line(text) if self._goes_on(index) else text

    def _goes_on(self, index: int) -> bool:
        """Whether a piece goes on in the line of the one before."""
        if index == 0:
            return False
        earlier, piece = self.shown[index - 1].piece, self.shown[index].piece
        if piece.position != earlier.end_position:
            return False  # line breaks stand between them
        before, text = earlier.text, piece.text
        return "\n" not in before[len(before.rstrip()) :] + text[: len(text) - len(text.lstrip())]

    def _mark_cues(self, shown: ShownPiece, index: int) -> None:
        """Underline the cues of the run in what the large model wrote."""
        if shown.piece.author is not Author.LARGE or not shown.piece.cue:
            return
        mark = QTextCharFormat()
        mark.setFontUnderline(True)
        last, marked_until = self.end_of(index), 0
        at, end = self._document.findBlockByNumber(shown.first).position(), last.position() + last.length()
        for cue in self._cues.find(shown.piece.text):
            if cue.start < marked_until:  # a word that is in two categories, or in a longer cue
                continue
            found = self._document.find(cue.word, at, QTextDocument.FindFlag.FindWholeWords)
            if found.isNull() or found.position() > end:  # a list that matches parts of words
                found = self._document.find(cue.word, at)
            if not found.isNull() and found.position() <= end:  # else it is in a formula
                found.mergeCharFormat(mark)
                at, marked_until = found.position(), cue.end

    def _note_change(self, index: int) -> None:
        """Write beside a takeover that corrected a value what it made of it: “73298 → 73198”."""
        change = correction_by(self._pieces, index)
        if change is None:
            return
        note = QTextCharFormat()
        note.setFontWeight(QFont.Weight.Bold)
        note.setForeground(QColor(current_theme().colours.success))
        note.setProperty(NOTE, True)
        cursor = QTextCursor(self.end_of(index))
        cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock)
        cursor.insertText(f"{BEFORE_NOTE}{change.before}\u00a0→\u00a0{change.after}", note)

    def _style_of(self, piece: Piece) -> TextStyle:
        return self._style.in_ink(self._style.colours.muted) if piece.author is Author.INSERTED else self._style


def _within_line(text: str) -> str:
    """Escape the sign that would make a list, a heading or a quotation of a text that begins with it."""
    found = BLOCK_MARK.match(text)
    return f"{found[1]}\\{text[found.start(2) :]}" if found else text


def _end_piece(cursor: QTextCursor) -> None:
    form = QTextBlockFormat()
    form.setBottomMargin(GAP)
    cursor.mergeBlockFormat(form)
