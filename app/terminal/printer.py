"""A run as it streams into a terminal: each piece in its author's colour, behind its author's sign."""

from __future__ import annotations

import shutil
import unicodedata
from typing import TextIO

from core.engines.body import Author
from core.thinking.advice import advice_on
from core.thinking.events import Event, Finish, Noticed, TextDiscarded, TextInserted, TokenWritten
from core.thinking.pieces import Piece
from core.thinking.trace import Trace

SIGNS = {Author.SMALL: "●", Author.LARGE: "◆", Author.INSERTED: "▣"}
_COLOURS = {Author.SMALL: "\033[38;5;33m", Author.LARGE: "\033[38;5;208m", Author.INSERTED: "\033[2m"}
_BOLD, _FAINT, _PLAIN = "\033[1m", "\033[2m", "\033[0m"


class Printer:
    """Feeds on events. In a terminal, text that is discarded is wiped off again; elsewhere a piece is printed
    when it is complete, so that what was discarded never appears."""

    def __init__(self, out: TextIO, live: bool, colour: bool) -> None:
        self.trace = Trace()
        self._out = out
        self._live = live
        self._colour = colour
        self._piece: Piece | None = None
        self._shown = ""

    def feed(self, event: Event) -> None:
        last = self._piece
        self.trace.apply(event)
        match event:
            case TokenWritten() | TextInserted():
                piece = self.trace.pieces[-1]
                if piece is not last:
                    self._end_piece()
                    self._piece = piece
                if self._live:
                    self._show(piece)
            case TextDiscarded():
                if self._live:
                    self._wipe()
                self._piece = None
            case Noticed(text=text):
                self._end_piece()
                self._print(self._faint(f"  {text}\n"))

    def finish(self) -> None:
        """Complete the last piece and print the summary."""
        self._end_piece()
        self._print("\n" + self._faint(summary(self.trace)) + "\n")

    def _show(self, piece: Piece) -> None:
        """Add what is new; white space at the end waits until something follows it."""
        text = self._without_tag(piece.text).strip()
        if not text:
            return
        if not self._shown:
            self._print(self._in_colour(piece.author, f"{SIGNS[piece.author]} "))
        self._print(self._in_colour(piece.author, text[len(self._shown) :].replace("\n", "\n  ")))
        self._shown = text

    def _without_tag(self, text: str) -> str:
        """The tag that closes the thinking is for models; people see the answer begin."""
        started = self.trace.started
        for card in (started.small, started.large) if started else ():
            if card and card.thinking:
                text = text.replace(card.thinking.closing, "")
        return text

    def _end_piece(self) -> None:
        if self._piece is not None:
            self._show(self._piece)
            if self._shown:
                self._print("\n")
        self._piece, self._shown = None, ""

    def _wipe(self) -> None:
        """Take the piece that is being shown off the screen again, all the rows that it takes."""
        if self._shown:
            columns = shutil.get_terminal_size().columns
            lines = f"● {self._shown}".replace("\n", "\n  ").split("\n")
            rows = sum(max(0, width(line) - 1) // columns + 1 for line in lines)
            self._print("\r" + (f"\033[{rows - 1}A" if rows > 1 else "") + "\033[J")
        self._shown = ""

    def _in_colour(self, author: Author, text: str) -> str:
        return f"{_COLOURS[author]}{text}{_PLAIN}" if self._colour else text

    def _faint(self, text: str) -> str:
        return f"{_FAINT}{text}{_PLAIN}" if self._colour else text

    def _print(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def width(text: str) -> int:
    """Columns that a text takes in a terminal: East Asian characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def summary(trace: Trace) -> str:
    """Steps, tokens by author, large share, handoffs, speed and time, a line each for the run and its authors."""
    small, large = trace.totals[Author.SMALL], trace.totals[Author.LARGE]
    counts = [f"{len(trace.steps)} steps", f"{trace.seconds:.1f} s", f"large share {trace.large_share:.0%}"]
    counts.append(f"{trace.handoffs} handoffs")
    if trace.finish not in (None, Finish.END_OF_TEXT):
        counts.append(f"ended by: {trace.finish.value}" if trace.finish else "")
    authors = [
        f"{SIGNS[author]} {author.value} {total.kept} tokens kept, {total.discarded} thrown away, "
        f"{total.tokens_per_second:.0f} tok/s, read {total.prefilled} in {total.handoff_seconds * 1000:.0f} ms"
        for author, total in ((Author.SMALL, small), (Author.LARGE, large))
        if total.decoded
    ]
    return "\n".join(filter(None, [" · ".join(counts), *authors, advice_on(trace)]))
