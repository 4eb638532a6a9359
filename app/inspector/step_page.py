"""One piece of the text: who wrote it, why, instead of what, at what cost, and which tokens it might have been."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QLabel, QWidget

from baton_reasoning.app.inspector.token_strip import TokenStrip
from baton_reasoning.app.toolkit.controls import Hairline, button, label
from baton_reasoning.app.toolkit.facts import Facts
from baton_reasoning.app.toolkit.flow import FlowLayout
from baton_reasoning.app.toolkit.layout import Spacer, vbox
from baton_reasoning.app.toolkit.theme import Role, current_theme, ink_of, tint_of
from baton_reasoning.core.engines.base import Passing
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.differences import Effect, change_of
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Piece, Trace
from baton_reasoning.core.words.authors import SIGN, WHO
from baton_reasoning.core.words.labels import Fact, draft_text
from baton_reasoning.core.words.numbers import count, duration

PASSING = {Passing.IDS: "token IDs", Passing.TEXT: "text"}


class StepPage(QWidget):
    rerun_wanted = Signal(object)  # the Author who is to write it
    fork_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._trace: Trace | None = None
        self._piece: Piece | None = None
        self._shown = (0, 0, 0)
        """Tokens and events that are shown."""
        self._nothing = label("Choose a step in the text or in the ribbon.", Role.MUTED, wrap=True)
        self._head = QLabel()
        self._head.setTextFormat(Qt.TextFormat.RichText)
        self._facts = Facts(MEANINGS)
        self._replaced_title = label("What the small model was writing", Role.HEADING)
        self._replaced = QLabel()
        self._replaced.setTextFormat(Qt.TextFormat.PlainText)
        self._replaced.setWordWrap(True)
        self._replaced.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._replaced.setContentsMargins(10, 8, 10, 8)
        font = self._replaced.font()
        font.setStrikeOut(True)
        self._replaced.setFont(font)
        self._replaced_line = Hairline()
        self._tokens_line = Hairline()
        self.tokens = TokenStrip()
        self._again = button("Re-run from here", self._ask_again)
        fork = button("Fork", self.fork_wanted.emit, tip="Another answer that goes on from before this step")
        copy = button("Copy", self._copy, tip="Copy the text of this step")
        self._buttons = QFrame()
        row = FlowLayout(6, Qt.AlignmentFlag.AlignLeft)
        self._buttons.setLayout(row)
        row.setContentsMargins(0, 4, 0, 0)
        for press in (self._again, fork, copy):
            row.addWidget(press)
        self.setLayout(
            vbox(
                self._nothing,
                self._head,
                self._facts,
                self._replaced_line,
                self._replaced_title,
                self._replaced,
                self._tokens_line,
                self.tokens,
                self._buttons,
                Spacer(0),
                margins=(0, 8, 8, 8),
                spacing=9,
            )
        )
        current_theme().changed.connect(self._draw)
        self.show_nothing()

    def show_nothing(self) -> None:
        self._trace = self._piece = None
        self._show_parts()

    def show_piece(self, trace: Trace, piece: Piece) -> None:
        state = (len(piece.tokens), id(piece.judged), id(piece.tried))
        if piece is self._piece and state == self._shown:
            return
        fresh = piece is not self._piece
        self._trace, self._piece, self._shown = trace, piece, state
        self._facts.show_facts(facts_of(trace, piece))
        self._replaced.setText(piece.replaced.strip())
        self._replaced_title.setText(
            "What the small model was writing" if piece.author is Author.LARGE else "What stood here before"
        )
        self.tokens.show_piece(piece, keep_choice=not fresh)
        self._again.setText(f"Re-run from here with {SIGN[_other(piece)]}")
        self._again.setAccessibleName(f"Re-run from here with {WHO[_other(piece)]}")
        self._show_parts()
        if fresh:
            self._draw()

    def _show_parts(self) -> None:
        piece = self._piece
        self._nothing.setVisible(piece is None)
        replaced, has_tokens = bool(piece and piece.replaced.strip()), bool(piece and piece.tokens)
        shown: dict[QWidget, bool] = {
            self._head: piece is not None,
            self._facts: piece is not None,
            self._buttons: piece is not None,
            self._replaced_line: replaced,
            self._replaced_title: replaced,
            self._replaced: replaced,
            self._tokens_line: has_tokens,
            self.tokens: has_tokens,
        }
        for widget, is_shown in shown.items():
            widget.setVisible(is_shown)

    def _draw(self) -> None:
        if self._piece is None:
            return
        colours, author = current_theme().colours, self._piece.author
        ink = ink_of(author, colours)
        text = "Inserted by Baton" if author is Author.INSERTED else f"Written by {WHO[author]}"
        self._head.setText(f'<span style="color:{ink}">{SIGN[author]}</span>&nbsp; <b>{text}</b>')
        self._head.setAccessibleName(text)
        palette = self._replaced.palette()
        palette.setColor(palette.ColorRole.WindowText, colours.small)
        palette.setColor(palette.ColorRole.Window, tint_of(Author.SMALL, colours))
        self._replaced.setPalette(palette)
        self._replaced.setAutoFillBackground(True)

    def _ask_again(self) -> None:
        if self._piece:
            self.rerun_wanted.emit(_other(self._piece))

    def _copy(self) -> None:
        if self._piece:
            QGuiApplication.clipboard().setText(self._piece.text.strip())


def _other(piece: Piece) -> Author:
    """Return the model that may write it instead."""
    return Author.LARGE if piece.author is Author.SMALL else Author.SMALL


MEANINGS = {
    "Reason": "Why it was written by this model",
    "Cue": "The word at which the policy decided",
    "Effect": "What the large model changed in what stood before",
    "Handoff": "What this model had to read before it could write: time, tokens read, and tokens that it knew already",
    "Drafted": "Tokens that the small model proposed, and that the large one accepted",
    "Counters": "What the policy has counted so far",
    "Score": "What the large model answered about the step",
    "Tried": "What a model tried to write after it",
}
"""Tool tips of the facts."""


def facts_of(trace: Trace, piece: Piece) -> list[Fact]:
    """Return what is known of a piece, as a person reads it."""
    handoff, takeover, speed = piece.handoff, piece.takeover, piece.tokens_per_second
    planned = f" (planned {takeover.tokens:,})" if takeover and takeover.tokens < 1 << 20 else ""
    return [
        ("Reason", POLICIES.reason(piece.reason).label if piece.reason else ""),
        ("Cue", cue_text(piece)),
        ("Effect", effect_text(trace, piece)),
        ("Length", count(len(piece.tokens), "token") + planned if piece.tokens else ""),
        (
            "Handoff",
            f"{duration(handoff.seconds)} · {count(handoff.prefilled, 'token')} read, {handoff.reused:,} cached · "
            f"{PASSING[handoff.passing]}"
            if handoff
            else "",
        ),
        ("Drafted", draft_text(piece.drafts, piece.accepted_drafts)),
        ("Speed", f"{speed:,.0f} tok/s" if speed else ""),
        ("Began at", duration(piece.start)),
        ("Counters", " · ".join(f"{name} {number:g}" for name, number in piece.counters.items())),
        ("Score", score_text(piece)),
        ("Tried", tried_text(piece)),
    ]


def cue_text(piece: Piece) -> str:
    """“Wait”, word 1 of what the small model was writing."""
    cue = piece.cue
    if cue is None or not piece.author.is_model:
        return ""
    before = piece.replaced[: cue.start] if piece.replaced else ""
    place = f", word {len(before.split()) + 1}" if piece.replaced else ""
    return f"“{cue.word}”{place} ({cue.category.value})"


def effect_text(trace: Trace, piece: Piece) -> str:
    """Return what a takeover changed: “≠ corrected 087 to 987”; nothing for new text."""
    pieces = trace.pieces
    index = next((i for i in range(len(pieces) - 1, -1, -1) if pieces[i] is piece), None)
    changed = None if index is None else change_of(pieces, index)
    if changed is None:
        return ""
    if changed.effect is Effect.CORRECTED:
        return f"≠ corrected {changed.before} to {changed.after}"
    return "= no change: repeated the previous step"


def score_text(piece: Piece) -> str:
    if not piece.judged:
        return ""
    chances = dict(zip(piece.judged.choices, piece.judged.probabilities, strict=True))
    likeliest = max(chances, key=lambda choice: chances[choice])
    said = f"{likeliest} ({chances[likeliest]:.0%} sure), asked in {duration(piece.judged.handoff.seconds)}"
    mass = piece.judged.mass
    return said if mass is None else f"{said}; all answers together had {mass:.1%} of the probability"


def tried_text(piece: Piece) -> str:
    """“{42}” by the small model, in 0.2 s."""
    if not piece.tried:
        return ""
    tried = piece.tried
    written = " ".join(tried.text.split())
    return f"“{written}” by {WHO[tried.author]}, in {duration(tried.handoff.seconds)}"
