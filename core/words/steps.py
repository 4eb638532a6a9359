"""Says in a sentence who wrote a step of an answer and, of a takeover, at which word and to what effect."""

from __future__ import annotations

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking import reasons
from baton_reasoning.core.thinking.differences import correction_by
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Piece, Trace

NO_TAKEOVER = {reasons.LARGE_ONLY.id, reasons.ANSWER.id, reasons.OPENING.id}
"""Reasons for which the large model writes without taking anything over."""


def step_sentence(trace: Trace, piece: Piece) -> str:
    """Return “The large model took over at “Hold on” and corrected 73298 to 73198.”"""
    part = "this part of the answer" if piece.in_answer else "this step"
    match piece.author:
        case Author.PERSON:
            return f"You edited {part}."
        case Author.INSERTED:
            because = f": {POLICIES.reason(piece.reason).label.lower()}" if piece.reason else ""
            return f"Baton inserted this text{because}."
        case Author.SMALL:
            return f"The small model wrote {part}."
    if piece.takeover is None or piece.reason in NO_TAKEOVER:
        return f"The large model wrote {part}."
    index = next(number for number, each in enumerate(trace.pieces) if each is piece)
    goes_on = index > 0 and trace.pieces[index - 1].takeover is piece.takeover
    change = correction_by(trace.pieces, index)
    effect = f" and corrected {change.before} to {change.after}" if change else ""
    return f"The large model {'went on' if goes_on else _took_over(piece)}{effect}."


def _took_over(piece: Piece) -> str:
    if piece.cue:
        return f"took over at “{piece.cue.word}”"
    return "took over because you asked for it" if piece.reason == reasons.PERSON.id else "took over"
