"""Decides which policy *Automatic* is for a pair of models, and says why.

A small model that was trained to reason writes cues, so that `keywords` finds where to hand over. Any other writes
none: the large model never wrote in its answers. There the first policy that can run takes the place of the cues.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.policy import PolicySettings
from baton_reasoning.core.thinking.registry import AUTOMATIC_POLICY, DEFAULT_POLICY, POLICIES
from baton_reasoning.core.thinking.requirements import unmet_need
from baton_reasoning.core.thinking.run_settings import RunSettings

WITHOUT_CUES = {
    "token-entropy": "Baton hands over where it is unsure.",
    "first-token-entropy": "Baton hands over each step that it is unsure how to begin.",
    "every-step": "the large model begins each step.",
}
"""The policies for a small model that writes no cues, the best first, and what each does."""


class AutomaticChoice(NamedTuple):
    policy: PolicySettings
    reason: str = ""
    """Why it is not the usual policy, for a person; empty if it is."""


def is_automatic(settings: RunSettings) -> bool:
    return settings.policy.policy == AUTOMATIC_POLICY


def with_policy(settings: RunSettings, cards: Mapping[Author, ModelCard]) -> RunSettings:
    """Return the settings with the policy for these models where it is automatic; without models as they are."""
    if not cards or not is_automatic(settings):
        return settings
    return settings.model_copy(update={"policy": automatic_choice(cards, settings.thinking).policy})


def automatic_choice(cards: Mapping[Author, ModelCard], thinks: bool = True) -> AutomaticChoice:
    """Return the policy for these models. `thinks`: whether the thinking is on."""
    small = cards.get(Author.SMALL)
    if small is None or (small.thinking and thinks):
        return AutomaticChoice(POLICIES[DEFAULT_POLICY].Settings())
    name = policy_without_cues(cards)
    why = "answers without thinking" if small.thinking else "was not trained to reason"
    refused = unmet_need(POLICIES[next(iter(WITHOUT_CUES))], cards)
    instead = f" {refused.message}" if refused else ""
    return AutomaticChoice(POLICIES[name].Settings(), f"{small.name} {why}: {WITHOUT_CUES[name]}{instead}")


def policy_without_cues(cards: Mapping[Author, ModelCard]) -> str:
    """Return the name of the best policy that these models can run though the small one writes no cues."""
    *others, last = WITHOUT_CUES
    return next((name for name in others if unmet_need(POLICIES[name], cards) is None), last)
