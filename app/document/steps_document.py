"""The pieces of a trace as one text document: plain while they grow, rendered when they are complete.

One document for all steps of an answer, not a widget for each: one can select across steps, thousands of pieces cost
a few kilobytes each, and only what is on the screen is painted (docs/ui.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QColor, QTextBlock, QTextBlockFormat, QTextCharFormat, QTextCursor, QTextDocument

from baton_reasoning.app.document import TextStyle, append_plain, render_at
from baton_reasoning.app.document.blocks import BLOCK_KIND, CONTINUED, SPACED
from baton_reasoning.app.document.markdown import LONGEST_BLOCK
from baton_reasoning.app.document.typesetting import Typesetter
from baton_reasoning.app.toolkit.theme import Colours
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.thinking.cues import Lexicon, english
from baton_reasoning.core.thinking.differences import Change, Effect, change_of
from baton_reasoning.core.thinking.events import RunStarted
from baton_reasoning.core.thinking.policy import PolicyContext
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.trace import Piece, Trace

GAP = 15.0
"""Pixels between two pieces: the padding of both, and a hairline of ground."""
MOST_BLANK = 16
"""Characters up to which a piece is looked at: it may be nothing but blanks, or a closing tag."""
BLOCK_MARK = re.compile(r"(\d*)([-+*.)](?=\s|$)|#(?=#*(?:\s|$))|>)")
"""The beginning of an item of a list, of a heading, or of a quotation."""
LONGEST_SET = 10_000
"""Characters in one line beyond which a piece stays plain: a model that writes these has lost its way, and Qt takes a
tenth of a second and more to lay out such a block, each time that it is touched."""
AT_ONCE = 24
"""Pieces rendered in one go, about 8 ms; the rest of a long answer follows when the window is idle."""


@dataclass(slots=True, eq=False)
class ShownPiece:
    """A piece as it stands in the document, in the blocks from `first` up to the next piece's."""

    piece: Piece
    length: int
    """Characters of it that are shown."""
    first: int
    is_set: bool = False
    text: str = ""
    free: float = 0.0
    """Pixels kept free above it, beyond the gap that all have."""
    change: Change | None = None
    """What its takeover changed, once it is complete."""


def thinking_pieces(trace: Trace) -> list[Piece]:
    """Return what is shown as steps: all but the answer, white space, and a closing tag that stands alone."""
    tag = trace.closed.tag if trace.closed else ""
    return [piece for piece in trace.pieces if not piece.in_answer and _says_something(piece, tag)]


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


def _says_something(piece: Piece, tag: str) -> bool:
    if piece.length > MOST_BLANK:
        return True
    text = piece.text.strip()
    return bool(text) and (text != tag or piece.author is Author.INSERTED)


class StepsDocument(QObject):
    """Follows a trace. `sync` brings the document up to it, whatever has happened at its end."""

    grown = Signal(int)
    """The first piece from which on pieces were added, removed or rendered."""

    def __init__(
        self, document: QTextDocument, typesetter: Typesetter, at_once: int = AT_ONCE, parent: QObject | None = None
    ) -> None:
        """`at_once`: pieces rendered in one go; fewer where several documents are written side by side."""
        super().__init__(parent)
        self.shown: list[ShownPiece] = []
        self._at_once = at_once
        self._document = document
        self._typesetter = typesetter
        self._style: TextStyle | None = None
        self._colours: Colours | None = None
        self._pieces: Sequence[Piece] = ()
        self._tag = ""
        self._started: RunStarted | None = None
        self._cues = english()
        self._live = False
        self._idle = QTimer(self)
        self._idle.setSingleShot(True)
        self._idle.timeout.connect(self._update)

    def use_style(self, style: TextStyle, colours: Colours) -> None:
        """Use other colours or another font; everything is rendered again."""
        self._style, self._colours = style, colours
        self._document.clear()
        self._document.setDefaultFont(style.font)
        self.shown.clear()
        self._update()

    def sync(self, trace: Trace, pieces: Sequence[Piece], live: bool) -> None:
        """Show these pieces of the trace; `live`: the last one may still be growing."""
        self._pieces, self._live = pieces, live
        self._tag = trace.closed.tag if trace.closed else ""
        if trace.started is not self._started:
            self._started = trace.started
            self._cues = cues_of(trace)
        self._update()

    @property
    def complete(self) -> bool:
        return len(self.shown) == len(self._pieces)

    def keep_free(self, pixels: Mapping[int, float]) -> None:
        """Keep so much room above these pieces (indexes of `shown`). Above the first one it is the view's to keep."""
        cursor = QTextCursor(self._document)
        cursor.beginEditBlock()
        for index, free in pixels.items():
            self.shown[index].free = free
            if index:
                cursor.setPosition(self._document.findBlockByNumber(self.shown[index].first).position() - 1)
                _end_piece(cursor, free)
        cursor.endEditBlock()

    def _update(self) -> None:
        if self._style is None:
            return
        self._remove_outdated()
        with self._laid_out_once():
            first_changed = self._bring_up_to_date()
        self.grown.emit(first_changed)

    @contextmanager
    def _laid_out_once(self) -> Iterator[None]:
        """Make all edits one for Qt, which lays out once; not with a long line, which is continued in a block
        of its own by how it was laid out."""
        first = max(0, len(self.shown) - 1)
        coming = self._pieces[first : first + self._at_once + 1]
        if any(piece.length > LONGEST_BLOCK for piece in coming):
            yield
            return
        edit = QTextCursor(self._document)
        edit.beginEditBlock()
        try:
            yield
        finally:
            edit.endEditBlock()

    def _bring_up_to_date(self) -> int:
        """Returns the first piece that has changed."""
        first_changed = max(0, len(self.shown) - 1)
        for _ in range(self._at_once):
            if self.complete:
                break
            self._close_last()
            piece = self._pieces[len(self.shown)]
            self._begin(piece)
        else:
            self._idle.start(0)
        if self.complete and self.shown:
            self._grow_last()
            if not self._live:
                self._close_last()
        return first_changed

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
            self._remove_from(last.first)
            self.shown.pop()

    def _remove_from(self, block: int) -> None:
        cursor = QTextCursor(self._document.findBlockByNumber(block))
        if block:
            cursor.movePosition(QTextCursor.MoveOperation.PreviousCharacter)
        cursor.movePosition(QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor)
        cursor.removeSelectedText()
        if not block:
            cursor.setBlockFormat(QTextBlockFormat())

    def _begin(self, piece: Piece) -> None:
        cursor = QTextCursor(self._document)
        cursor.movePosition(QTextCursor.MoveOperation.End)
        if self.shown:
            _end_piece(cursor)
            cursor.insertBlock(QTextBlockFormat(), self._plain(piece))
        self.shown.append(ShownPiece(piece, 0, cursor.block().blockNumber()))
        self._grow_last()

    def _grow_last(self) -> None:
        last = self.shown[-1]
        if last.is_set or last.length == last.piece.length:
            return
        fresh = last.piece.text[last.length :]
        last.length = last.piece.length
        fresh = fresh if last.text.strip() else fresh.lstrip()
        last.text += fresh
        if fresh:
            append_plain(self._document, fresh, self._plain(last.piece))

    def _close_last(self) -> None:
        """Render the last piece, which is complete, once its formulas are typeset."""
        if not self.shown or self.shown[-1].is_set:
            return
        self._grow_last()
        last, style = self.shown[-1], self._style
        assert style is not None
        last.is_set = True
        self._typesetter.prepare(last.text, style.formula_size, lambda: self._set(last), self)

    def _set(self, shown: ShownPiece) -> None:
        """Put the set text where the plain letters stand. Pieces after it may have come meanwhile."""
        # Looked for from the end, near which it is.
        index = next((i for i in range(len(self.shown) - 1, -1, -1) if self.shown[i] is shown), None)
        if index is None:
            return  # it was discarded, or the whole document was rendered again
        if max(map(len, shown.text.split("\n"))) <= LONGEST_SET:
            self._replace(shown, index)
        self._mark_cues(shown, index)
        if index < len(self._pieces) and self._pieces[index] is shown.piece:
            shown.change = change_of(self._pieces, index)
            self._mark_correction(shown, index)
        self.grown.emit(index)

    def _replace(self, shown: ShownPiece, index: int) -> None:
        """Replace the plain letters of a piece by rendered text."""
        document, before = self._document, self._document.blockCount()
        cursor = QTextCursor(document.findBlockByNumber(shown.first))
        cursor.beginEditBlock()
        if index + 1 < len(self.shown):
            following = document.findBlockByNumber(self.shown[index + 1].first)
            cursor.setPosition(following.position() - 1, QTextCursor.MoveMode.KeepAnchor)
        else:
            cursor.movePosition(QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor)
        cursor.removeSelectedText()
        assert self._style is not None
        style = self._style
        if shown.piece.author is Author.INSERTED:
            style = style.in_ink(style.muted)
        render_at(cursor, self._rendered_text(shown, index), style)
        if index + 1 < len(self.shown):
            _end_piece(cursor, self.shown[index + 1].free)
        self._join(index)
        cursor.endEditBlock()
        if moved := document.blockCount() - before:
            for later in self.shown[index + 1 :]:
                later.first += moved

    def _rendered_text(self, shown: ShownPiece, index: int) -> str:
        text = shown.text
        if self._tag and text.rstrip().endswith(self._tag):
            text = text.rstrip().removesuffix(self._tag)
        if shown.piece.author is Author.INSERTED and not text.strip() and shown.piece.reason:
            return f"Reasoning closed: {shown.piece.reason}."
        text = text.strip()
        return text if self._gap_in_line(index) is None else _within_line(text)

    def _mark_cues(self, shown: ShownPiece, index: int) -> None:
        """Underline the cues of the run in what the large model wrote."""
        if shown.piece.author is not Author.LARGE or not shown.piece.cue:
            return
        assert self._colours is not None
        mark = QTextCharFormat()
        mark.setFontWeight(700)
        mark.setFontUnderline(True)
        mark.setUnderlineColor(QColor(self._colours.large))
        last, marked_until = self.end_of(index), 0
        at, end = self._document.findBlockByNumber(shown.first).position(), last.position() + last.length()
        for cue in self._cues.find(shown.text):
            if cue.start < marked_until:  # a word that is in two categories, or in a longer cue
                continue
            found = self._document.find(cue.word, at, QTextDocument.FindFlag.FindWholeWords)
            if found.isNull() or found.position() > end:  # a list that matches parts of words
                found = self._document.find(cue.word, at)
            if not found.isNull() and found.position() <= end:  # else it is in a formula
                found.mergeCharFormat(mark)
                at, marked_until = found.position(), cue.end

    def _join(self, index: int) -> None:
        """Note where a piece goes on in the line of the one before, so that a copy has no blank line there."""
        gap = self._gap_in_line(index)
        block = self._document.findBlockByNumber(self.shown[index].first)
        if gap is None or block.blockFormat().property(BLOCK_KIND) or block.textList():
            return
        form = QTextBlockFormat()
        form.setProperty(BLOCK_KIND, SPACED if gap else CONTINUED)
        QTextCursor(block).mergeBlockFormat(form)

    def _gap_in_line(self, index: int) -> str | None:
        """Return the blanks between a piece and the one before, in whose line it goes on; None if it begins a line."""
        if index == 0:
            return None
        earlier, piece = self.shown[index - 1].piece, self.shown[index].piece
        if piece.position != earlier.end_position:
            return None  # line breaks stand between them
        before, text = earlier.text, piece.text
        gap = before[len(before.rstrip()) :] + text[: len(text) - len(text.lstrip())]
        return gap if text.strip() and "\n" not in gap else None

    def end_of(self, index: int) -> QTextBlock:
        """Return the last block of a shown piece."""
        if index + 1 == len(self.shown):
            return self._document.lastBlock()
        return self._document.findBlockByNumber(self.shown[index + 1].first - 1)

    def _mark_correction(self, shown: ShownPiece, index: int) -> None:
        """Underline the value that the large model corrected. One inside a typeset formula is named beside the step."""
        if shown.change is None or shown.change.effect is not Effect.CORRECTED:
            return
        assert self._colours is not None
        mark = QTextCharFormat()
        mark.setFontWeight(700)
        mark.setForeground(QColor(self._colours.success))
        mark.setUnderlineStyle(QTextCharFormat.UnderlineStyle.WaveUnderline)
        mark.setUnderlineColor(QColor(self._colours.success))
        value = re.escape(shown.change.after)
        block, last = self._document.findBlockByNumber(shown.first), self.end_of(index)
        while block.isValid():
            text = block.text()
            found = re.search(rf"(?<==){value}(?!\w)", text) or re.search(rf"(?<==\s){value}(?!\w)", text)
            if found := found or re.search(rf"(?<!\w){value}(?!\w)", text):
                cursor = QTextCursor(block)
                cursor.setPosition(block.position() + utf16_length(text[: found.start()]))
                cursor.movePosition(QTextCursor.MoveOperation.Right, QTextCursor.MoveMode.KeepAnchor, len(found[0]))
                cursor.mergeCharFormat(mark)
                return
            if block == last:
                return
            block = block.next()

    def _plain(self, piece: Piece) -> QTextCharFormat:
        assert self._style is not None
        form = QTextCharFormat()
        form.setFont(self._style.font)
        form.setForeground(QColor(self._style.muted if piece.author is Author.INSERTED else self._style.ink))
        return form


def _within_line(text: str) -> str:
    """Escape the sign that would make a list, a heading or a quotation of a text that begins with it."""
    found = BLOCK_MARK.match(text)
    return f"{found[1]}\\{text[found.start(2) :]}" if found else text


def utf16_length(text: str) -> int:
    """Return how many of Qt's positions a text takes."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _end_piece(cursor: QTextCursor, free: float = 0.0) -> None:
    form = QTextBlockFormat()
    form.setBottomMargin(GAP + free)
    cursor.mergeBlockFormat(form)
