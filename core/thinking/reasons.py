"""Names the reasons for which a model takes over, or a text is inserted.

Each policy declares its own reasons; those here are shared by several policies, a person and the limits of a run.
Events and traces store only the id; `core.thinking.registry` finds the label.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TakeoverReason:
    id: str
    """Stored in traces, so it never changes."""
    label: str
    """Shown to people: alone, and after “Handed over:”."""
    capped: bool = True
    """Whether a limit on the large share refuses a takeover for this reason."""


OPENING = TakeoverReason("opening", "Opening by the large model")
ANSWER = TakeoverReason("answer", "The reasoning is over", capped=False)
LARGE_ONLY = TakeoverReason("large only", "Large model only", capped=False)
SMALL_ONLY = TakeoverReason("small only", "Small model only")
UNCLOSED = TakeoverReason("thinking left open", "Reasoning was left open")
REPETITION = TakeoverReason("repetition", "Repetition detected")
BUDGET = TakeoverReason("thinking budget", "Reasoning budget used up")
PERSON = TakeoverReason("a person asked", "You asked for it", capped=False)
ANSWER_NOW = TakeoverReason("a person wanted the answer", "A person wanted the answer")
EDITED = TakeoverReason("edited", "Edited by a person")

ALONE = frozenset({LARGE_ONLY.id, SMALL_ONLY.id})
"""For these a model writes all the rest, as the only one there is: they count as no takeovers."""
SHARED_REASONS = (OPENING, ANSWER, LARGE_ONLY, SMALL_ONLY, UNCLOSED, REPETITION, BUDGET, PERSON, ANSWER_NOW, EDITED)
