"""One text on a server: what every dialect has in common when it reads, writes, judges and breaks off."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from core.engines.base import Conversation, End, Handoff, Judgement, Notice, Passing, Scores, Stop, Token, WriteItem
from core.engines.body import Part
from core.engines.model_card import ModelCard
from core.engines.remote.prefetch import Prefetch
from core.engines.remote.protocol import (
    CompletionRequest,
    Prompt,
    PromptProgress,
    StreamEnd,
    choice_probabilities,
    extended,
    passing,
)
from core.engines.remote.response_reader import ResponseReader, RestartDetector
from core.engines.remote.retry import RetryState
from core.engines.remote.state import ServerState
from core.engines.remote.transport import AnswerStream
from core.engines.usage import PrefetchedText, Usage
from core.errors import ContextFull, EngineError, EngineLost, EngineRefused
from core.models.overrides import Sampling

if TYPE_CHECKING:
    from core.engines.remote.engine import RemoteEngine


JUDGED_ALTERNATIVES = 50
"""Likeliest tokens among which the choices of a judgement are looked for."""
_numbers = itertools.count(1)


class RemoteSession:
    """A session of a RemoteEngine. The server keeps the KV cache, and finds again by itself what it has read."""

    def __init__(self, engine: RemoteEngine, conversation: Conversation, sampling: Sampling) -> None:
        self._engine = engine
        self._dialect = engine.dialect
        self._sampling = sampling
        self._number = next(_numbers)
        self._line = engine.new_line()
        self._meter = engine.new_meter()
        self._memory = RestartDetector(engine)
        self._cancelled = threading.Event()
        self._stream: AnswerStream | None = None
        self._closed = False
        try:
            self._script = engine.patiently(lambda: self._dialect.begin(conversation, self._line.ask))
            self._refuse_beyond_context(self._script.prompt_tokens)
        except EngineError:
            self._line.close()
            raise
        self._reading_along = (
            Prefetch(engine, self._script, self._meter, self._memory, self._number)
            if self.card.supports_prefetch
            else None
        )

    @property
    def card(self) -> ModelCard:
        return self._engine.card

    @property
    def prompt_tokens(self) -> int:
        return self._script.prompt_tokens

    @property
    def bill(self) -> Usage:
        """What this session has cost so far."""
        return self._meter.bill

    def read(self, body: Sequence[Part]) -> Handoff:
        handoff = Handoff(0, 0, 0.0)
        with self._turn():
            for item in self._write(body, CompletionRequest(0, 0, self._sampling)):
                if isinstance(item, Handoff):
                    handoff = item
        return handoff

    def prefetch(self, body: Sequence[Part]) -> None:
        if self._reading_along:
            self._reading_along.offer(body)

    def take_readings(self) -> tuple[PrefetchedText, ...]:
        """The background readings that have ended since the last call."""
        return self._reading_along.take_readings() if self._reading_along else ()

    def settle(self) -> None:
        """Wait until what was offered to read along has been read (for measurements and tests)."""
        if self._reading_along:
            self._reading_along.settle()

    def write(
        self, body: Sequence[Part], limit: int, seed: int, alternatives: int = 0
    ) -> Generator[WriteItem, None, None]:
        with self._turn():
            yield from self._write(body, CompletionRequest(limit, seed, self._sampling, alternatives))

    def judge(self, body: Sequence[Part], question: str, choices: tuple[str, ...]) -> Judgement:
        if not self.card.returns_alternatives:
            raise EngineRefused(
                f"{self.card.name} on {self.card.place} gives no log-probabilities, so it cannot judge.",
                "Choose a policy that needs none, or serve the model with llama-server or vLLM.",
            )
        wish = CompletionRequest(1, 0, replace(self._sampling, temperature=0.0), JUDGED_ALTERNATIVES, choices)
        judgement = Judgement.none(len(choices))
        with self._turn(), closing(self._write(body, wish, question)) as items:
            for item in items:
                if isinstance(item, Handoff):
                    judgement = judgement._replace(handoff=item)
                elif isinstance(item, Token):
                    return judgement._replace(probabilities=choice_probabilities(item.alternatives, choices))
        return judgement

    def score(self, body: Sequence[Part], start: int, alternatives: int = 0) -> Scores:  # noqa: ARG002
        raise EngineRefused(
            f"{self.card.name} on {self.card.place} gives no log-probabilities of a text that it reads.",
            "Choose a policy that needs none, or a model on this machine.",
        )

    def cancel(self) -> None:
        self._cancelled.set()
        if stream := self._stream:
            stream.wake()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.cancel()
        if self._reading_along:
            self._reading_along.close()
        self._line.cut()
        self._line.close()
        self._engine.board.leave(self._number)
        self._engine.forget(self)

    # One call after another -----------------------------------------------------------------------------------------

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """A call of this session: nothing else is asked of the server for it meanwhile."""
        if self._closed:
            raise EngineLost("This session was closed.", "Open a new one.")
        if self._reading_along:
            self._line = self._reading_along.stand_aside(self._line)
        self._cancelled.clear()
        try:
            yield
        except EngineRefused:
            self._show(ServerState.REFUSED)
            raise
        except EngineLost:
            self._show(ServerState.RECONNECTING)
            raise
        except (EngineError, GeneratorExit):
            self._show(ServerState.CONNECTED)
            raise
        else:
            self._show(ServerState.CONNECTED)

    def _write(
        self, body: Sequence[Part], wish: CompletionRequest, question: str = ""
    ) -> Generator[WriteItem, None, None]:
        """Read and write, however often the connection breaks: it goes on from the last token that arrived."""
        how = passing(body, self.card.vocabulary)
        prompt: Prompt | None = None
        kept: list[Token] = []
        retrying = RetryState(self._engine.patience)
        end = End(Stop.CANCELLED)
        while True:
            try:
                if retrying.failures:
                    self._dialect.check_model(self._line.ask)
                if prompt is None:
                    prompt = self._script.with_body(body, self._line.ask, question)
                if kept and len(kept) >= wish.limit:
                    yield End(Stop.LIMIT)
                    return
                # Another seed after a break: the same random numbers would otherwise be drawn again.
                rest = replace(wish, limit=wish.limit - len(kept), seed=(wish.seed + len(kept)) % 2**31)
                with closing(self._answer(extended(prompt, kept), rest, how)) as items:
                    for item in items:
                        if isinstance(item, End):
                            end = item
                            break
                        if isinstance(item, Token):
                            kept.append(item)
                            retrying.progressed()
                        yield item
                if end.stop is Stop.LIMIT and len(kept) < wish.limit and (reached := self._meter.reached()):
                    yield Notice(reached)
                yield end
                return
            except EngineLost as error:
                pause = retrying.pause_after(error)
                self._show(ServerState.RECONNECTING)
                yield Notice(f"{error.message} Trying again in {pause:.1f} s, from the last token that arrived.")
                if self._cancelled.wait(pause):
                    yield End(Stop.CANCELLED)
                    return

    def _answer(self, prompt: Prompt, wish: CompletionRequest, how: Passing) -> Generator[WriteItem, None, None]:
        """One request: a handoff, tokens, an end. Leaving it early closes the socket."""
        if wish.limit:
            wish = replace(wish, limit=self._meter.room(wish.limit))
        payload = self._dialect.payload(prompt, wish, self._line.ask)
        reader = self._dialect.answer(self._line.ask)
        listening = ResponseReader(self._engine, self._number, self._memory, self._cancelled, prompt)
        with (
            listening.billed(self._line, self._meter),
            AnswerStream(self._line, self._dialect.path, payload, listening.most_events(wish.limit)) as self._stream,
        ):
            written = 0
            for heard in listening.to(self._stream, reader):
                if isinstance(heard, Notice):
                    yield heard
                    continue
                if isinstance(heard, PromptProgress):
                    continue
                if handoff := listening.handoff(how):
                    yield handoff
                if isinstance(heard, StreamEnd):
                    yield End(heard.stop)
                    return
                if written >= wish.limit > 0:
                    yield End(Stop.LIMIT)  # the server did not stop there
                    return
                for token in heard.tokens[: wish.limit - written]:
                    written += 1
                    yield token
            yield End(Stop.CANCELLED)

    def _show(self, state: ServerState) -> None:
        self._engine.board.set(self._number, state)

    def _refuse_beyond_context(self, tokens: int) -> None:
        if tokens >= self.card.context > 0:
            raise ContextFull(
                f"The question alone takes {tokens:,} tokens; {self.card.name} holds {self.card.context:,}.",
                "Shorten it, or start the server with a larger context (-c).",
            )
