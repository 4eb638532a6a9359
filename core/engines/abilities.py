"""What models can do besides writing a text, and what is said of one that cannot."""

from __future__ import annotations

from enum import Enum


class Ability(Enum):
    """What a model and its engine can do. A card lists what they have, a policy what it needs."""

    TOKEN_IDS = "token ids"
    """It takes and gives ids, so that models of one vocabulary hand those over."""
    ALTERNATIVES = "alternatives"
    """It gives the likeliest tokens, with log-probabilities, at each position that it writes."""
    JUDGEMENTS = "judgements"
    """`judge` answers a question with probabilities."""
    SCORES = "scores"
    """`score` gives the log-probability of each token of a text that it reads."""
    TRUNCATION = "truncation"
    """Its memory can be cut anywhere. One that is recurrent or hybrid is rolled back through snapshots."""
    PREFETCH = "prefetch"
    """`prefetch` reads the body, because the model sits on a device of its own."""
    BRANCHES = "branches"
    """Its sessions write many continuations side by side (`WritesBranches`)."""
    THINKING_SWITCH = "thinking switch"
    """Its chat template has a switch that turns the thinking off."""

    @property
    def lack(self) -> str:
        """Say what a model does without it, as the rest of a sentence that begins with the model."""
        return _LACKS[self]


_LACKS = {
    Ability.TOKEN_IDS: "gives no token ids, so each handoff passes text, which is tokenised again",
    Ability.ALTERNATIVES: "gives no log-probabilities of the tokens that it writes",
    Ability.JUDGEMENTS: "gives no log-probabilities of an answer, so it cannot judge",
    Ability.SCORES: "gives no log-probabilities of a text that it reads",
    Ability.TRUNCATION: "cannot undo tokens, so each handoff reads the last step again (slower)",
    Ability.PREFETCH: "does not read ahead",
    Ability.BRANCHES: "writes one continuation after the other",
    Ability.THINKING_SWITCH: "always thinks: its chat template has no switch for that",
}
USUAL = frozenset({Ability.TOKEN_IDS, Ability.ALTERNATIVES, Ability.JUDGEMENTS, Ability.TRUNCATION})
"""What most models can do, whether on this machine or on a llama-server."""
