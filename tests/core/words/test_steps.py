"""What is said of a step, for each kind of author and of takeover."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking import reasons
from baton_reasoning.core.thinking.cues import Category, Cue
from baton_reasoning.core.thinking.events import (
    Event,
    TakeoverStarted,
    TextDiscarded,
    TextInserted,
    TokenWritten,
    WriteStarted,
)
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words.steps import step_sentence

SMALL, LARGE = Author.SMALL, Author.LARGE
HOLD_ON = Cue("Hold on", Category.REFLECTION, 0, 7)


def small(text: str) -> list[Event]:
    return [WriteStarted(0.0, SMALL, None, 0), TokenWritten(0.0, SMALL, 1, text, ends_step=True)]


def takeover(texts: Sequence[str], reason: str, cue: Cue | None = None, replaced: str = "") -> list[Event]:
    """A takeover of these steps, after a first step of the small model."""
    first = "So 284 + 27 = 211.\n\n"
    discarded = [TextDiscarded(0.0, len(first), replaced, 1)] if replaced else []
    written = [TokenWritten(0.0, LARGE, 1, text, ends_step=True) for text in texts]
    begun = [TakeoverStarted(0.0, reason, cue, 40, len(first)), WriteStarted(0.0, LARGE, reason, len(first))]
    return [*small(first), *discarded, *begun, *written]


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        (small("So it is."), "The small model wrote this step."),
        ([TextInserted(0.0, "99999.", "edited", Author.PERSON)], "You edited this step."),
        (
            [TextInserted(0.0, "</think>", reasons.BUDGET.id)],
            "Baton inserted this text: reasoning budget used up.",
        ),
        ([TokenWritten(0.0, LARGE, 1, "So it is.")], "The large model wrote this step."),
        (takeover(["All of it."], reasons.LARGE_ONLY.id), "The large model wrote this step."),
        (
            takeover(["Hold on, 284 + 27 = 311."], "reflection", HOLD_ON, "Hold on, so"),
            "The large model took over at “Hold on” and corrected 211 to 311.",
        ),
        (
            takeover(["Hold on, 284 + 27 = 211."], "reflection", HOLD_ON, "Hold on, so"),
            "The large model took over at “Hold on” and repeated what stood there.",
        ),
        (takeover(["Something else."], "reflection", HOLD_ON), "The large model took over at “Hold on”."),
        (takeover(["Something else."], "random"), "The large model took over."),
        (
            takeover(["Something else."], reasons.PERSON.id),
            "The large model took over because you asked for it.",
        ),
        (takeover(["Hold on.\n\n", "Something else."], "reflection", HOLD_ON), "The large model went on."),
    ],
)
def test_a_sentence_says_who_wrote_it_and_to_what_effect(events, sentence):
    trace = Trace.of(events)
    assert step_sentence(trace, trace.pieces[-1]) == sentence


def test_the_answer_is_not_called_a_step():
    trace = Trace.of(small("It is 4."))
    trace.pieces[0].in_answer = True
    assert step_sentence(trace, trace.pieces[0]) == "The small model wrote this part of the answer."
