"""Actions of the buttons of an answer; among them those that remedy how it ended, in one click."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.models.source import DemoModel
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.registry import POLICIES, advice_on
from baton_reasoning.core.thinking.requirements import unmet_need
from baton_reasoning.core.thinking.trace import Trace


class AnswerAction(Enum):
    CONTINUE = auto()
    AGAIN = auto()
    COMPARE = auto()
    COPY = auto()
    EXPORT = auto()
    ATTEMPTS = auto()
    """Show the attempts at this place side by side."""
    EDIT = auto()
    """Edit the problem, and ask it again."""
    MORE_TOKENS = auto()
    """Continue with twice as many tokens."""
    MORE_CONTEXT = auto()
    """Load the models with twice the context, and continue."""
    LARGE_CONTINUES = auto()
    """Continue, and let the large model write the next step."""
    LOAD_AGAIN = auto()
    """Load the models in use again."""
    STOP_ALONE = auto()
    """Stop the model that writes alone, for the scoreboard."""


class OtherPolicy(NamedTuple):
    """Another attempt under another policy."""

    name: str


class Remedy(NamedTuple):
    label: str
    action: AnswerAction | OtherPolicy
    tip: str


def remedies(trace: Trace) -> list[Remedy]:
    """Return what helps against how a run ended, the likeliest first; nothing if it ended well.

    An answer that one model brought to its end alone needs the other loaded again.
    """
    if trace.started is None:
        return []
    is_lost = trace.finish is Finish.END_OF_TEXT and any(notice.lost for notice in trace.notices)
    if trace.finish is Finish.FAILED or is_lost:
        return [Remedy("Load again", AnswerAction.LOAD_AGAIN, "Load the models in use again")]
    cards = trace.started.cards
    if advised := advice_on(trace).policies:
        return [
            Remedy(f"Answer again with “{POLICIES[name].title}”", OtherPolicy(name), POLICIES[name].summary)
            for name in advised
            if unmet_need(POLICIES[name], cards) is None
        ]
    match trace.finish:
        case Finish.MAX_TOKENS:
            most = 2 * int(trace.started.settings.get("max_tokens", 0))
            return [Remedy(f"Continue up to {most:,} tokens", AnswerAction.MORE_TOKENS, "Twice the length limit")]
        case Finish.CONTEXT_FULL if can_have_more_context(list(cards.values())):
            context = larger_context(trace)
            tip = "Load the models again with twice the context, and continue this answer"
            return [Remedy(f"Continue with a context of {context:,}", AnswerAction.MORE_CONTEXT, tip)]
        case Finish.REPETITION if Author.LARGE in cards:
            tip = "The large model writes the next step, and the policy decides from there"
            return [Remedy("Let the large model continue", AnswerAction.LARGE_CONTINUES, tip)]
    return []


def larger_context(trace: Trace) -> int:
    """Return twice the context of the models of a run."""
    assert trace.started
    return 2 * min(card.context for card in trace.started.cards.values())


def can_have_more_context(cards: list[ModelCard]) -> bool:
    """Whether the model that holds least is on this machine; the demo pair was trained for no more than it has."""
    least = min(cards, key=lambda card: card.context, default=None)
    return least is not None and least.location == "this machine" and not isinstance(least.source, DemoModel)
