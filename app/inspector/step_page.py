"""One piece of the text: who wrote it and to what effect, instead of what, and which words it might have begun with."""

from __future__ import annotations

import math
from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from baton_reasoning.app.toolkit.controls import button, label
from baton_reasoning.app.toolkit.copying import copy_text
from baton_reasoning.app.toolkit.layout import Spacer, flowing, vbox
from baton_reasoning.app.toolkit.tables import Facts
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.engines.base import Passing
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.text import counted
from baton_reasoning.core.thinking.events import TokenWritten
from baton_reasoning.core.thinking.trace import Piece, Trace
from baton_reasoning.core.words.authors import SIGN, WHO
from baton_reasoning.core.words.labels import Fact, draft_text, step_sentence
from baton_reasoning.core.words.numbers import duration
from baton_reasoning.core.words.plain_text import step_text

RARE = "<1%"


def chance(logprob: float) -> str:
    """Format a log-probability as a percentage: 12%, <1%."""
    probability = math.exp(logprob)
    return f"{probability:.0%}" if probability >= 0.005 else RARE


def visible(text: str) -> str:
    """Return a token with visible blanks and line ends."""
    return _with_line_ends(text).replace(" ", "·").replace("\t", "→") or "∅"


def quoted(text: str) -> str:
    """Return a token as a reader knows it: “ to”, “.¶” with a line end, a blank."""
    if not text.strip(" "):
        return "a blank" if text else "nothing"
    return f"“{_with_line_ends(text)}”"


def _with_line_ends(text: str) -> str:
    """Return a text on one line; ↵ would be taken for the key."""
    return "¶".join(f"{text}.".splitlines())[:-1]


PASSING = {Passing.IDS: "token IDs", Passing.TEXT: "text"}


class StepPage(QWidget):
    def __init__(self, fork: Callable[[Author | None], object] | None = None) -> None:
        """`fork`: begins another answer that goes on from before this piece, by this author first or as the policy
        decides; None where answers are only read."""
        super().__init__()
        self._trace = Trace()
        self._piece: Piece | None = None
        self._shown = (0, 0)
        """Tokens and events that are shown."""
        self.number = label("", Role.MUTED, wrap=True)
        self.sentence = label("", Role.HEADING, wrap=True, selectable=True)
        self._replaced_title = label("", Role.MUTED, wrap=True)
        self._replaced = label("", Role.REPLACED, wrap=True, selectable=True)
        self._token = label("", Role.MUTED, wrap=True)
        self.alternatives = Facts()
        self.again = button("Continue", lambda: fork and self._piece and fork(_other(self._piece)))
        here = button("Fork here", lambda: fork and fork(None), tip="Another answer that goes on from before this step")
        self._copy = button("Copy", self.copy, tip="Copy the text of this step")
        row = flowing(self.again, here, self._copy)
        for press in (self.again, here):
            press.setVisible(fork is not None)
        self.details_button = button("", self._toggle_details, Role.FLAT)
        self.details = Facts()
        self.details.hide()
        self._toggle_text()
        parts = (self.number, self.sentence, self._replaced_title, self._replaced, self._token, self.alternatives)
        fold = vbox((self.details_button, 0, Qt.AlignmentFlag.AlignLeft), self.details, margins=0, spacing=6)
        self.setLayout(vbox(*parts, row, fold, Spacer(0), margins=(0, 8, 8, 8), spacing=9))

    def show_piece(self, trace: Trace, piece: Piece) -> None:
        """Show a piece, or what has come to it since."""
        state = (len(piece.tokens), id(piece.judged))
        if piece is self._piece and state == self._shown:
            return
        self._trace, self._piece, self._shown = trace, piece, state
        writer = piece.card.label if piece.card else WHO[piece.author]
        self.number.setText(f"Step {piece.step + 1}, by {SIGN[piece.author]} {writer}")
        self.sentence.setText(step_sentence(trace, piece))
        other = _other(piece)
        self.again.setText(f"Continue here {SIGN[other]}")
        self.again.setAccessibleName(f"Continue here with {WHO[other]}")
        self.again.setToolTip(f"Another answer, in which {WHO[other]} goes on from before this step")
        by_large = piece.author is Author.LARGE
        self._replaced_title.setText("What the small model was writing" if by_large else "What stood here before")
        self._replaced.setText(piece.replaced.strip())
        for widget in (self._replaced_title, self._replaced):
            widget.setVisible(bool(piece.replaced.strip()))
        self.details.show_facts(facts_of(piece))
        token = piece.tokens[0] if piece.tokens else None
        likeliest = alternatives_of(token) if token else []
        self.alternatives.show_facts(likeliest)
        self.alternatives.setVisible(bool(likeliest))
        self._token.setVisible(token is not None)
        if token:
            has_some = "" if likeliest else ": no alternatives were recorded"
            self._token.setText(f"First token, {token.author.value} model{has_some}")

    def copy(self) -> None:
        """Copy the step that is shown."""
        if self._piece:
            copy_text(step_text(self._trace, self._piece), self._copy)

    def _toggle_details(self) -> None:
        self.details.setVisible(self.details.isHidden())
        self._toggle_text()

    def _toggle_text(self) -> None:
        self.details_button.setText("▸ Details" if self.details.isHidden() else "▾ Details")
        self.details_button.setAccessibleName("Show details" if self.details.isHidden() else "Hide details")


def _other(piece: Piece) -> Author:
    """Return the model that may write it instead."""
    return Author.LARGE if piece.author is Author.SMALL else Author.SMALL


def alternatives_of(token: TokenWritten) -> list[Fact]:
    """Return the likeliest tokens at a place with their probabilities, and which of them was written; of the others
    only those of 1% and more."""

    def told(id: int | None, text: str, logprob: float) -> Fact:
        is_written = id == token.id if id is not None else text == token.text
        return visible(text), f"{chance(logprob)}, written" if is_written else chance(logprob)

    facts = (told(*each) for each in token.alternatives)
    return [fact for fact in facts if fact[1] != RARE]


def facts_of(piece: Piece) -> list[Fact]:
    """Return the details of a piece; "" for what does not apply to it."""
    handoff, takeover = piece.handoff, piece.takeover
    asked_for = f" (the policy asked for {takeover.tokens:,})" if takeover and takeover.tokens < 1 << 20 else ""
    has_alternatives, read = bool(piece.tokens and piece.tokens[0].alternatives), ""
    if handoff:
        tokens = f"{counted(handoff.prefilled, 'token')} read, {handoff.reused:,} cached"
        read = f"{duration(handoff.seconds)} · {tokens} · {PASSING[handoff.passing]}"
    return [
        ("Length", counted(len(piece.tokens), "token") + asked_for if piece.tokens else ""),
        ("Handoff" if piece.position else "Prompt", read),
        ("Drafted", draft_text(piece.drafts, piece.accepted_drafts)),
        ("Entropy", f"{piece.tokens[0].entropy_or_estimate:.2f} nats" if has_alternatives else ""),
        ("Began at", duration(piece.start)),
        ("Counters", " · ".join(f"{name} {number:g}" for name, number in piece.counters.items())),
        ("Score", score_text(piece)),
    ]


def score_text(piece: Piece) -> str:
    if not piece.judged:
        return ""
    chances = dict(zip(piece.judged.choices, piece.judged.probabilities, strict=True))
    likeliest = max(chances, key=lambda choice: chances[choice])
    return f"{likeliest} ({chances[likeliest]:.0%} sure), asked in {duration(piece.judged.handoff.seconds)}"
