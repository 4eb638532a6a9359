"""Tells whether a policy can work with a pair of models."""

from __future__ import annotations

from collections.abc import Mapping

from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.thinking.policy import Policy


def unmet_need(policy: type[Policy], cards: Mapping[Author, ModelCard]) -> SettingsError | None:
    """Return why a policy cannot work with these models: one is missing, or lacks an ability."""
    needs = policy.needs
    for author in needs.writers:
        if author not in cards:
            return SettingsError(f"The policy “{policy.title}” needs a {author.value} model.", "Choose one first.")
    if needs.drafts and (error := _obstacle_to_drafts(policy, cards)):
        return error
    for author, needed in needs.abilities(policy.default_writer).items():
        if (card := cards.get(author)) and (lacking := card.lacking(needed)):
            undrafted = ", or start its server without speculative decoding" if card.drafting else ""
            return SettingsError(
                f"{card.name} {lacking.lack}; the policy “{policy.title}” needs that.",
                f"Choose another policy, or a {author.value} model on this machine{undrafted}.",
            )
    return None


def _obstacle_to_drafts(policy: type[Policy], cards: Mapping[Author, ModelCard]) -> SettingsError | None:
    small, large = cards.get(Author.SMALL), cards[Author.LARGE]
    if large.drafting:
        return None
    if not small:
        return SettingsError(f"The policy “{policy.title}” needs a small model that drafts.", "Choose one first.")
    if why := large.obstacle_to_drafts_of(small):
        return SettingsError(
            f"{small.name} cannot draft for {large.name}, since {why}.",
            "Choose “Large only”, two models of one family on this machine that take one request at a time, "
            "or a llama-server with a draft model (-md DRAFT.gguf --spec-type draft-simple).",
        )
    return None
