"""Remedies against how an answer ended: a button for each, which takes one click."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from baton_reasoning.app.session.actions import WindowActions
from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.models.source import DemoModel
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.registry import POLICIES, advice_on
from baton_reasoning.core.thinking.requirements import unmet_need


class Remedy(NamedTuple):
    label: str
    act: Callable[[], object]
    tip: str


def remedies(exchange: Exchange, session: ChatSession, actions: WindowActions) -> list[Remedy]:
    """Return what helps against how an answer ended, the likeliest first; nothing if it ended well.

    An answer that one model brought to its end alone needs the other loaded again.
    """
    trace = exchange.trace
    if trace.started is None:
        return []
    is_lost = trace.finish is Finish.END_OF_TEXT and any(notice.lost for notice in trace.notices)
    if trace.finish is Finish.FAILED or is_lost:
        return [Remedy("Load again", actions.reload_models, "Load the models in use again")]
    cards = trace.started.cards
    if advised := advice_on(trace).policies:
        return [
            Remedy(f"Answer again with “{kind.title}”", partial(session.ask_again, exchange, policy=name), kind.summary)
            for name, kind in ((name, POLICIES[name]) for name in advised)
            if unmet_need(kind, cards) is None
        ]
    match trace.finish:
        case Finish.MAX_TOKENS:
            most = 2 * int(trace.started.settings.get("max_tokens", 0))
            go_on = partial(session.go_on, exchange, more_tokens=True)
            return [Remedy(f"Continue up to {most:,} tokens", go_on, "Twice the length limit")]
        case Finish.CONTEXT_FULL if can_have_more_context(list(cards.values())):
            context = 2 * min(card.context for card in cards.values())
            go_on = partial(session.go_on, exchange, prepare=partial(actions.use_context, context))
            tip = "Load the models again with twice the context, and continue this answer"
            return [Remedy(f"Continue with a context of {context:,}", go_on, tip)]
        case Finish.REPETITION if Author.LARGE in cards:
            go_on = partial(session.go_on, exchange, Author.LARGE)
            tip = "The large model writes the next step, and the policy decides from there"
            return [Remedy("Let the large model continue", go_on, tip)]
    return []


def can_have_more_context(cards: list[ModelCard]) -> bool:
    """Whether the model that holds least is on this machine; the demo pair was trained for no more than it has."""
    least = min(cards, key=lambda card: card.context, default=None)
    return least is not None and least.location == "this machine" and not isinstance(least.source, DemoModel)
