"""Says what a person is asked before other models go on with an answer than those that wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.models.source import ModelSource
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.labels import method_title, source_name

Models = Mapping[Author, ModelCard | ModelSource]
"""The loaded models, or those that are to be loaded."""


class ChangedModels(NamedTuple):
    """What a person is asked."""

    question: str
    """Who wrote the answer, who would go on, and under which policy."""
    sources: tuple[ModelSource | None, ...]
    """Of the models that would go on: what the person agrees to."""


def changed_models(trace: Trace, settings: RunSettings, models: Models) -> ChangedModels | None:
    """Return what to ask before these models go on with an answer; None if each goes on with what it wrote.

    `settings`: of the answer, whose policy says which models it needs.
    """
    needed = {author: models[author] for author in POLICIES.of(settings.policy).needs.writers if author in models}
    last = {piece.author: piece.card for piece in trace.pieces if piece.tokens}
    if all(_is_same(last.get(author), model) for author, model in needed.items()):
        return None
    before = [f"{SIGN[author]} {card.label}" for author, card, _ in trace.writers if card]
    after = [f"{SIGN[author]} {_name(model)}" for author, model in needed.items()]
    question = (
        f"{_listed(before)} wrote this answer. {_listed(after)} would go on with it under the policy "
        f"“{method_title(settings)}”."
    )
    return ChangedModels(question, tuple(_source(model) for model in needed.values()))


def _is_same(card: ModelCard | None, model: ModelCard | ModelSource) -> bool:
    """Tell whether this is the model that wrote, as far as that is known."""
    if card is None:
        return True
    return model.identity == card.identity if isinstance(model, ModelCard) else card.source in (None, model)


def _source(model: ModelCard | ModelSource) -> ModelSource | None:
    return model.source if isinstance(model, ModelCard) else model


def _name(model: ModelCard | ModelSource) -> str:
    return model.label if isinstance(model, ModelCard) else source_name(model)


def _listed(names: list[str]) -> str:
    """Return “one, two and three”."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
