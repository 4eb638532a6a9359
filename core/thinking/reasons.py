"""Why a model other than the usual one writes, or why a text is inserted.

Each policy declares its own reasons; here are those that several policies, a person or the limits of a run share.
Events and traces store the id only; `core.thinking.registry` finds the label.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TakeoverReason:
    id: str
    """Stored in traces, so it never changes."""
    label: str
    """On screen."""
    capped: bool = True
    """Whether a limit on the large share refuses a takeover for this reason."""
    follows_text: bool = True
    """Whether the default writer has written something that the reason judges. Without it a replay cannot know what it
    would have written."""
    by_policy: bool = True
    """False if a person or a limit decides. A replay repeats what they did."""


OPENING = TakeoverReason("opening", "Opening by the large model", follows_text=False)
ANSWER = TakeoverReason("answer", "The answer", capped=False)
LARGE_ONLY = TakeoverReason("large only", "Large model only", capped=False)
SMALL_ONLY = TakeoverReason("small only", "Small model only")
UNCLOSED = TakeoverReason("thinking left open", "Reasoning was left open")
REPETITION = TakeoverReason("repetition", "Repetition detected", by_policy=False)
BUDGET = TakeoverReason("thinking budget", "Reasoning budget used up", by_policy=False)
PERSON = TakeoverReason("a person asked", "Manual takeover", capped=False, by_policy=False)

SHARED_REASONS = (OPENING, ANSWER, LARGE_ONLY, SMALL_ONLY, UNCLOSED, REPETITION, BUDGET, PERSON)
