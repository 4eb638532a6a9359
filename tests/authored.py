"""Traces of texts whose parts were written by given authors, for tests of what is shown."""

from collections.abc import Iterable, Iterator

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.events import (
    Event,
    Finish,
    RunEnded,
    RunStarted,
    TextInserted,
    ThinkingClosed,
    TokenWritten,
    WriteStarted,
)
from baton_reasoning.core.thinking.reasons import PERSON
from baton_reasoning.core.thinking.trace import Trace
from tests.fakes.scripted import QUESTION, ScriptedEngine

MODELS = (Author.SMALL, Author.LARGE)


def authored(parts: Iterable[tuple[Author, str]], answer: Iterable[tuple[Author, str]] | None = None) -> Trace:
    """The trace of a text in parts by their authors; each token is a character, and a step ends at a blank line.

    `answer`: what follows the thinking; without it, the model has no thinking tags.
    """
    return Trace.of(_events(list(parts), answer))


def _events(parts: list[tuple[Author, str]], answer: Iterable[tuple[Author, str]] | None) -> Iterator[Event]:
    small, large = ScriptedEngine("").card, ScriptedEngine("", name="large").card
    yield RunStarted(0.0, QUESTION, "never", {}, 0, small, large, 1, answer is not None)
    text = ""
    if answer is not None:
        parts = [*parts, (Author.SMALL, "</think>")]
    for author, part in parts:
        yield from _written(author, part, text)
        text += part
    if answer is not None:
        yield ThinkingClosed(0.0, Author.SMALL, len(text), "</think>")
        for author, part in answer:
            yield from _written(author, part, text)
            text += part
    yield RunEnded(0.0, Finish.END_OF_TEXT)


def _written(author: Author, part: str, before: str) -> Iterator[Event]:
    if author not in MODELS:
        yield TextInserted(0.0, part, PERSON.id, author)
        return
    yield WriteStarted(0.0, author, None, len(before))
    for letter in part:
        before += letter
        yield TokenWritten(0.0, author, 1, letter, ends_step=before.endswith("\n\n"))
