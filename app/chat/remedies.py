"""Actions of the buttons below an answer; among them those that remedy how it ended, in one click."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from core.engines.model_card import ModelCard
from core.models.source import DemoModel
from core.thinking.advice import advice_on
from core.thinking.events import Finish
from core.thinking.registry import POLICIES
from core.thinking.trace import Trace


class AnswerAction(Enum):
    CONTINUE = auto()
    AGAIN = auto()
    COMPARE = auto()
    COPY = auto()
    EXPORT = auto()
    EVERY_STEP = auto()
    """Another attempt, with the policy “Every step”."""
    ENTROPY = auto()
    """Another attempt, with the policy “First-token entropy”."""
    MORE_TOKENS = auto()
    """Continue with twice as many tokens."""
    MORE_CONTEXT = auto()
    """Load the models with twice the context, and continue."""
    LARGE_CONTINUES = auto()
    """Continue, and let the large model write the next step."""


POLICY_OF = {AnswerAction.EVERY_STEP: "every-step", AnswerAction.ENTROPY: "first-token-entropy"}


class Remedy(NamedTuple):
    label: str
    action: AnswerAction
    tip: str


def remedies(trace: Trace) -> list[Remedy]:
    """Return what helps against how a run ended, the likeliest first; nothing if it ended well."""
    if trace.started is None:
        return []
    small, large = trace.started.small, trace.started.large
    if advice_on(trace):
        return [
            Remedy(f"Try “{POLICIES[POLICY_OF[action]].title}”", action, POLICIES[POLICY_OF[action]].summary)
            for action in POLICY_OF
            if action is AnswerAction.EVERY_STEP or (small and small.returns_all_alternatives)
        ]
    match trace.finish:
        case Finish.MAX_TOKENS:
            most = 2 * int(trace.started.settings.get("max_tokens", 0))
            return [Remedy(f"Continue up to {most:,} tokens", AnswerAction.MORE_TOKENS, "Twice the length limit")]
        case Finish.CONTEXT_FULL if can_have_more_context([card for card in (small, large) if card]):
            context = larger_context(trace)
            tip = "Load the models again with twice the context, and continue this answer"
            return [Remedy(f"Continue with a context of {context:,}", AnswerAction.MORE_CONTEXT, tip)]
        case Finish.REPETITION if large:
            tip = "The large model writes the next step, and the policy decides from there"
            return [Remedy("Let the large model continue", AnswerAction.LARGE_CONTINUES, tip)]
    return []


def larger_context(trace: Trace) -> int:
    """Return twice the context of the models of a run."""
    assert trace.started
    cards = [card for card in (trace.started.small, trace.started.large) if card]
    return 2 * min(card.context for card in cards)


def can_have_more_context(cards: list[ModelCard]) -> bool:
    """Whether the model that holds least is on this machine; the demo pair was trained for no more than it has."""
    least = min(cards, key=lambda card: card.context, default=None)
    return least is not None and least.location == "this machine" and not isinstance(least.source, DemoModel)
