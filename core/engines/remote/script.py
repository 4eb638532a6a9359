"""A conversation and its body in a server's terms: as token ids, or as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.engines.base import ModelCard, ThinkingTags
from core.engines.body import Part, rendered_runs
from core.engines.remote.dialect import Ask, Prompt

_KNOWN_TAGS = (ThinkingTags("<think>", "</think>"), ThinkingTags("[THINK]", "[/THINK]"))
_BYTES_PER_TOKEN = 4


def size_of(prompt: Prompt) -> int:
    """In tokens; of a text a rough estimate, where a server counts none."""
    return len(prompt.encode()) // _BYTES_PER_TOKEN if isinstance(prompt, str) else len(prompt)


def tags_in(template: str) -> ThinkingTags | None:
    """The thinking tags that a chat template, or a rendered prompt, speaks of."""
    return next((tags for tags in _KNOWN_TAGS if tags.opening in template or tags.closing in template), None)


class IdScript:
    """Text runs of the body are tokenised once, as long as they stay the same."""

    def __init__(
        self, card: ModelCard, prompt: tuple[int, ...], tokenize: Callable[[Ask, str], tuple[int, ...]]
    ) -> None:
        self.prompt_tokens = len(prompt)
        self._card = card
        self._prompt = prompt
        self._tokenize = tokenize
        self._known: dict[str, tuple[int, ...]] = {}

    def with_body(self, body: Sequence[Part], ask: Ask, extra: str = "") -> Prompt:
        runs = rendered_runs(body, self._card.vocabulary, _closing(self._card))
        if extra:
            runs.append(extra)
        texts = [run for run in runs if isinstance(run, str)]
        self._known = {text: self._known.get(text) or self._tokenize(ask, text) for text in texts}
        ids = list(self._prompt)
        for run in runs:
            ids += self._known[run] if isinstance(run, str) else run
        return tuple(ids)


class TextScript:
    def __init__(self, card: ModelCard, prompt: str) -> None:
        self.prompt_tokens = size_of(prompt)
        self._card = card
        self._prompt = prompt

    def with_body(self, body: Sequence[Part], ask: Ask, extra: str = "") -> Prompt:  # noqa: ARG002  the protocol's
        runs = rendered_runs(body, "", _closing(self._card))
        return self._prompt + "".join(run for run in runs if isinstance(run, str)) + extra


def _closing(card: ModelCard) -> str:
    return card.thinking.closing if card.thinking else ""
