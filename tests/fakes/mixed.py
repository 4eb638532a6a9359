"""An answer that two small models wrote one after the other, and a person; and the cards of these models."""

from collections.abc import Iterator
from pathlib import Path

from baton_reasoning.core.engines.base import Message, ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.models.source import LocalFile
from baton_reasoning.core.thinking.events import Event, Finish, RunEnded, RunStarted, TextInserted, TokenWritten
from baton_reasoning.core.thinking.reasons import EDITED
from baton_reasoning.core.thinking.trace import Trace


def card(name: str, vocabulary: str = "", context: int = 4096) -> ModelCard:
    return ModelCard(name, vocabulary, context, LocalFile(Path(f"{name}.gguf")), quantisation="Q8_0")


SMOL, GEMMA, QWEN = card("SmolLM2-135M", "smol"), card("gemma-3-270m", "gemma", 2048), card("Qwen2.5-0.5B", "qwen")


def begun(small: ModelCard = SMOL, large: ModelCard = QWEN, *, policy: str = "keywords", seed: int = 7) -> RunStarted:
    """A run of models that do not think."""
    settings = {"policy": {"policy": policy}, "seed": seed}
    return RunStarted(0.0, (Message("user", "What is 2 + 2?"),), policy, settings, seed, small, large, 5, False)


def by(author: Author, *texts: str) -> Iterator[Event]:
    for number, text in enumerate(texts):
        yield TokenWritten(number / 10, author, number, text, ends_step=text.endswith("\n\n"))


def by_one_pair() -> list[Event]:
    return [
        *(begun(), *by(Author.SMALL, "Two", " and", " two.\n\n"), *by(Author.LARGE, "Wait,", " they")),
        *(*by(Author.SMALL, " make"), RunEnded(1.0, Finish.STOPPED)),
    ]


def by_two_pairs() -> list[Event]:
    """Six tokens of the first pair, then three of another small model under another policy."""
    return [
        *(*by_one_pair(), begun(GEMMA, policy="every-step", seed=8), *by(Author.SMALL, " four", ".\n\n", "Done.")),
        RunEnded(1.0, Finish.END_OF_TEXT),
    ]


def with_a_person() -> Trace:
    """What two pairs wrote, with a sentence of a person between."""
    (*first,) = by_one_pair()
    edit = TextInserted(0.0, " I say 22. ", EDITED.id, Author.PERSON)
    return Trace.of([*first, edit, begun(GEMMA), *by(Author.SMALL, "So", " be it."), RunEnded(1.0, Finish.END_OF_TEXT)])
