"""Finds what loads the pair that a batch or an answer names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from baton_reasoning.app.session.loaded_models import LoadedModels
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.settings import DEMO_OF, ModelChoice

if TYPE_CHECKING:
    from baton_reasoning.core.batch.running.execution import WantedPair


def choice_of(wanted: WantedPair, chosen: ModelChoice, models: LoadedModels) -> ModelChoice:
    """Return how the window loads a pair: as the chat's `chosen` one, but for what is wanted. Reads files.

    A model that is not named is the chat's, if that has the other one too; else nothing is loaded for it. Raises
    SettingsError, ModelFileError.
    """
    from baton_reasoning.core.batch.running.batch import without_password
    from baton_reasoning.core.engines.sources import source_of

    named = {Author.SMALL: wanted.small, Author.LARGE: wanted.large}
    sources = {}
    for author, name in named.items():
        own = chosen.get(author)
        if name:  # an address without its password is that of the chat
            is_own = name == without_password(str(own))
            sources[author] = own if is_own else source_of(name, models.servers, DEMO_OF[author])
    if all(source == chosen.get(author) for author, source in sources.items()):
        both = {author.value: chosen.get(author) for author in named}
    else:
        both = {author.value: sources.get(author, next(iter(sources.values()))) for author in named}
    context = wanted.context or chosen.context
    return chosen.model_copy(update={**both, "parallel": wanted.parallel, "context": context})
