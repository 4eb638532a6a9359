"""What the window says of a piece and of a run, in words."""

from __future__ import annotations

from core.engines.body import Author
from core.thinking.advice import advice_on
from core.thinking.cues import Cue
from core.thinking.events import Finish, Rule
from core.thinking.pieces import Piece
from core.thinking.trace import Trace

WHO = {Author.SMALL: "the small model", Author.LARGE: "the large model", Author.INSERTED: "Baton"}

RULES = {
    Rule.OPENING: "Opening by the large model",
    Rule.AFFIRMATION: "Affirmation takeover",
    Rule.REFLECTION: "Reflection takeover",
    Rule.VERIFICATION: "Verification takeover",
    Rule.EXCESSIVE_REFLECTION: "Excessive reflection takeover",
    Rule.EVERY_STEP: "Every step",
    Rule.RANDOM: "Random takeover",
    Rule.ENTROPY: "First-token entropy",
    Rule.SCORE: "Low step score",
    Rule.REPETITION: "The text went round",
    Rule.ANSWER: "The answer",
    Rule.LARGE_ONLY: "Large model only",
    Rule.PERSON: "You asked for it",
    Rule.BUDGET: "Thinking budget used up",
    Rule.UNCLOSED: "Thinking was left open",
}

ENDINGS = {
    Finish.END_OF_TEXT: "",
    Finish.MAX_TOKENS: "The longest answer allowed was reached.",
    Finish.TIME: "The time limit was reached.",
    Finish.CONTEXT_FULL: "The context is full.",
    Finish.REPETITION: "The text went round in circles.",
    Finish.STOPPED: "Stopped.",
    Finish.FAILED: "The run failed.",
}


def why(piece: Piece) -> str:
    """Why its author wrote it, in a line: "Reflection takeover: Wait"."""
    if piece.rule is None:
        return ""
    return rule_and_cue(piece.rule, piece.cue if piece.author is Author.LARGE else None)


def rule_and_cue(rule: Rule, cue: Cue | None) -> str:
    return f"{RULES[rule]}: {cue.word}" if cue else RULES[rule]


def seconds(value: float) -> str:
    """41 ms, 9.2 s, 3 min 20 s."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 100:
        return f"{value:.1f} s"
    return f"{value // 60:.0f} min {value % 60:.0f} s"


def count(number: int, one: str, many: str = "") -> str:
    """1 token, 1,204 tokens."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def run_in_brief(trace: Trace) -> str:
    """14 steps · 9.2 s · 41 tok/s"""
    parts = [count(len(trace.steps), "step")]
    if trace.seconds > 0:
        parts += [seconds(trace.seconds), f"{trace.tokens / trace.seconds:.0f} tok/s"]
    return " · ".join(parts)


def ending(trace: Trace, live: bool) -> str:
    """How the run ended, if that needs a word, and what to make of it."""
    if live or not trace.started:
        return ""
    if trace.ended is None:
        return "Interrupted: Baton was closed while this was written."
    return trace.ended.reason or ENDINGS[trace.ended.finish] or advice_on(trace)


def last_words(trace: Trace, live: bool) -> str:
    """What happened without stopping the answer, and how it ended, a line each."""
    told = [notice.text for notice in trace.notices]
    return "\n".join(filter(None, (*told, ending(trace, live))))
