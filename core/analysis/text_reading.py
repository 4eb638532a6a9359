"""Lets a model read a finished text once, and tells how likely each of its tokens was to that model."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from typing import NamedTuple

from baton_reasoning.core.engines.base import Engine, Handoff, ScoredToken, Session
from baton_reasoning.core.engines.body import parts_before
from baton_reasoning.core.errors import Cancelled
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.thinking.interruptions import Control
from baton_reasoning.core.thinking.trace import Trace

TOKENS_A_READ = 256
"""Tokens after which, at the end of a step, progress is reported and a stop takes effect."""


class ReadStretch(NamedTuple):
    """A part of the text that was read at once."""

    tokens: tuple[ScoredToken, ...]
    end: int
    """Where it ends in the body, in characters."""
    handoff: Handoff


class TextReading:
    """Reads the text of a trace with a model. Both stay as they are."""

    def __init__(self, reader: Engine, trace: Trace) -> None:
        """`trace`: has text."""
        assert trace.started is not None
        self._reader, self._trace, self._started = reader, trace, trace.started
        self._control = Control()

    def stop(self) -> None:
        """End the reading, from any thread."""
        self._control.stop()

    def stretches(self, alternatives: int) -> Generator[ReadStretch, None, None]:
        """Read, and yield each stretch with that many alternatives of every token; fewer stretches if it is stopped.

        Raises ContextFull, EngineLost, EngineRefused.
        """
        parts = self._trace.parts()
        with suppress(Cancelled), closing(self._open()) as session:
            for start, end in self._portions(session):
                scores = session.score(parts_before(parts, end), start, alternatives)
                if self._control.stopped:
                    return
                yield ReadStretch(scores.tokens, end, scores.handoff)

    def _open(self) -> Session:
        asked = self._started
        return self._reader.open(asked.conversation, Sampling(), self._control.attach, thinks=asked.thinks)

    def _portions(self, session: Session) -> Iterator[tuple[int, int]]:
        """Divide the body into stretches, in characters. A local model reads some steps at a time; a server, which
        begins again from the prompt with every request, reads all at once."""
        is_local = session.card.placement is not None or session.card.location == "this machine"
        begin = read = 0
        for step in self._trace.steps:
            start = step.pieces[0].position
            if is_local and read >= TOKENS_A_READ:
                yield begin, start
                begin, read = start, 0
            read += step.tokens
        yield begin, self._trace.length


def spans(text: str, tokens: Sequence[ScoredToken]) -> Iterator[tuple[int, int]]:
    """Yield where each scored token is in the text: start and end in characters.

    A model reads its own closing tag, and a token may contain half a character: what does not match literally is passed
    over, and the next token that matches is found a few characters later.
    """
    at = lost = 0
    for token in tokens:
        start = at if text.startswith(token.text, at) else text.find(token.text, at, at + 12 + lost + len(token.text))
        if start < 0 or not token.text:
            yield at, at
            lost += len(token.text)
            continue
        at, lost = start + len(token.text), 0
        yield start, at
