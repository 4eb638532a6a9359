"""An engine that repeats the question, one word per token: the minimum that a policy can run on."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from baton_reasoning.core.engines.base import (
    Attach,
    End,
    Handoff,
    Judgement,
    Messages,
    ModelCard,
    Scores,
    Stop,
    Token,
    WriteItem,
    ignore,
)
from baton_reasoning.core.engines.body import Part
from baton_reasoning.core.models.sampling import Sampling


class EchoSession:
    def __init__(self, card: ModelCard, words: list[str]) -> None:
        self.card = card
        self.prompt_tokens = len(words)
        self._words = words
        self._read = 0
        self._cancelled = False

    def read(self, body: Sequence[Part]) -> Handoff:
        reused, self._read = self._read, len(body)
        return Handoff(reused, len(body) - reused, 0.0)

    def prefetch(self, body: Sequence[Part]) -> None:
        """The card says that it does nothing."""

    def write(
        self, body: Sequence[Part], limit: int, seed: int, alternatives: int = 0, position: int = 0, entropy: int = 0
    ) -> Generator[WriteItem, None, None]:
        yield self.read(body)
        for number, word in enumerate(self._words[len(body) :]):
            if number == limit or self._cancelled:
                yield End(Stop.CANCELLED if self._cancelled else Stop.LIMIT)
                return
            self._read += 1
            yield Token(None, f"{word} ".encode())
        yield End(Stop.END_OF_TEXT)

    def judge(self, body: Sequence[Part], question: str, choices: tuple[str, ...]) -> Judgement:
        return Judgement.none(len(choices))

    def score(self, body: Sequence[Part], start: int, alternatives: int = 0) -> Scores:
        return Scores()

    def cancel(self) -> None:
        self._cancelled = True

    def close(self) -> None:
        """It holds nothing."""


class EchoEngine:
    card = ModelCard("echo", vocabulary="", context=4096, abilities=frozenset())

    def open(
        self, conversation: Messages, sampling: Sampling, attach: Attach = ignore, *, thinks: bool = True
    ) -> EchoSession:
        session = EchoSession(self.card, conversation[-1].content.split())
        attach(session)  # from now on Stop reaches it
        return session

    def close(self) -> None:
        """It holds nothing."""
