"""Stream a run into a terminal, each piece of text with the sign and colour of its author."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rich.cells import cell_len
from rich.console import Console
from rich.control import Control
from rich.segment import ControlType

from baton_reasoning.app.terminal.output import console, write
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.text import counted, safe_text
from baton_reasoning.core.thinking.events import Event, Finish, Noticed, TextDiscarded, TextInserted, TokenWritten
from baton_reasoning.core.thinking.registry import advice_on
from baton_reasoning.core.thinking.trace import Piece, Trace
from baton_reasoning.core.words.authors import SIGN, own_names
from baton_reasoning.core.words.numbers import duration

_STYLES = {Author.SMALL: "color(33)", Author.LARGE: "color(208)", Author.INSERTED: "dim", Author.PERSON: "color(176)"}


class Printer:
    """Prints the events of a run.

    A terminal shows text as it comes and erases what is discarded; elsewhere a piece is printed when it is complete.
    """

    def __init__(self, out: Console, live: bool, name: Callable[[Piece], str] = lambda _: "") -> None:
        """`name`: names the model of a piece, where its sign does not say enough."""
        self.trace = Trace()
        self._out = out
        self._live = live
        self._name = name
        self._piece: Piece | None = None
        self._shown = ""

    def feed(self, event: Event) -> None:
        last = self._piece
        self.trace.apply(event)
        match event:
            case TokenWritten() | TextInserted():
                piece = self.trace.pieces[-1]
                if piece is not last:
                    self.end_piece()
                    self._piece = piece
                if self._live:
                    self._show(piece)
            case TextDiscarded():
                if self._live:
                    self._erase()
                self._piece = None
            case Noticed(text=text):
                self.end_piece()
                self._print(f"  {text}\n", "dim")

    def _show(self, piece: Piece) -> None:
        """Print what is new. White space at the end waits until something follows it."""
        text = safe_text(self._without_tag(piece).strip())
        if not text:
            return
        style = _STYLES[piece.author]
        if not self._shown:
            name = self._name(piece)
            self._print(f"{SIGN[piece.author]} {name}{': ' if name else ''}", style)
        self._print(text[len(self._shown) :].replace("\n", "\n  "), style)
        self._shown = text

    def _without_tag(self, piece: Piece) -> str:
        """Return the text of a piece without the tag that closes the thinking."""
        text, run = piece.text, piece.run or self.trace.started
        for card in run.cards.values() if run else ():
            if card.thinking:
                text = text.replace(card.thinking.closing, "")
        return text

    def end_piece(self) -> None:
        """Print the rest of the piece, and a line break."""
        if self._piece is not None:
            self._show(self._piece)
            if self._shown:
                self._print("\n")
        self._piece, self._shown = None, ""

    def _erase(self) -> None:
        """Erase all rows of the piece that is being shown."""
        if self._shown:
            columns = self._out.width
            lines = f"● {self._shown}".replace("\n", "\n  ").split("\n")
            rows = sum(max(0, cell_len(line) - 1) // columns + 1 for line in lines)
            erase = (ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2))
            up = ((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2))
            self._out.control(Control(*erase, *(up * (rows - 1))))
        self._shown = ""

    def _print(self, text: str, style: str | None = None) -> None:
        self._out.out(safe_text(text), style=style, end="")


def print_run(
    events: Iterable[Event], out: Console, live: bool = False, name: Callable[[Piece], str] = lambda _: ""
) -> Trace:
    """Print the events of a run, as `Printer` does."""
    printer = Printer(out, live, name)
    for event in events:
        printer.feed(event)
    printer.end_piece()
    return printer.trace


def print_stored_answer(trace: Trace) -> None:
    """Print a stored answer with its steps by author, then its figures, to standard output."""
    write(f"\n{summary(print_run(trace.events, console(), name=own_names(trace)))}\n", "dim")


def summary(trace: Trace) -> str:
    """Return the totals of a run and of each author, one line each."""
    small, large = trace.totals[Author.SMALL], trace.totals[Author.LARGE]
    counts = [counted(len(trace.steps), "step"), duration(trace.seconds), f"large share {trace.large_share:.0%}"]
    counts.append(counted(trace.takeovers, "takeover"))
    if trace.finish not in (None, Finish.END_OF_TEXT):
        counts.append(f"ended by: {trace.finish.value}" if trace.finish else "")
    authors = [
        f"{SIGN[author]} {author.value} {total.kept} tokens kept{_by_model(trace, author)}, "
        f"{total.discarded} discarded, "
        f"{f'{total.tokens_per_second:,.0f} tok/s, ' if total.tokens_per_second else ''}"
        f"read {total.prefilled} in {total.handoff_seconds * 1000:.0f} ms"
        f"{f', {total.accepted_drafts} of {total.drafts} drafts accepted' if total.drafts else ''}"
        for author, total in ((Author.SMALL, small), (Author.LARGE, large))
        if total.decoded
    ]
    return "\n".join(filter(None, [" · ".join(counts), *authors, advice_on(trace).text]))


def _by_model(trace: Trace, author: Author) -> str:
    """Return “ (SmolLM2-135M 120, gemma-3-270m 154)” where several models wrote as this author; else ""."""
    models = [model for model in trace.writers if model.author is author]
    shares = ", ".join(f"{model.card.label if model.card else 'unknown'} {model.tokens}" for model in models)
    return f" ({shares})" if len(models) > 1 else ""
