"""The one fake of the tests: engines that write given texts instead of running a model.

    small = ScriptedEngine("First step.\n\nWait, that is", " so.\n\nDone.</think>\n\n4")
    large = ScriptedEngine("Let me see. It is 4.", name="large")

Each write of a session takes the next text and ends with the end of text, unless its limit, or whoever closes it,
ends it earlier. `continue_with` computes the texts instead. A text is split into tokens by `split`; a list of
pieces is taken as tokens just as it stands. The KV cache is kept as an honest ledger: what a call reuses and
prefills follows from what the session has read before, and `calls` logs it.
"""

from __future__ import annotations

import math
import re
import threading
import time
import zlib
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import count, takewhile
from typing import Any, NamedTuple

from baton_reasoning.core.engines.abilities import USUAL, Ability
from baton_reasoning.core.engines.base import (
    Alternative,
    Attach,
    Branch,
    Continuation,
    End,
    Handoff,
    Judgement,
    Message,
    Messages,
    ModelCard,
    Notice,
    Passing,
    PrefillProgress,
    ScoredToken,
    Scores,
    Stop,
    Token,
    WriteItem,
    ignore,
    number_at,
)
from baton_reasoning.core.engines.body import Part, rendered_runs
from baton_reasoning.core.engines.usage import PrefetchedText, RequestUsage, Usage
from baton_reasoning.core.errors import BatonError, ContextFull, EngineLost
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.models.thinking_tags import ThinkingTags
from baton_reasoning.core.thinking.text import Utf8Decoder

Text = str | Sequence[str | bytes]
"""A text to be split into tokens, or its tokens."""
Split = Callable[[str], list[bytes]]

ABLE = USUAL | {Ability.SCORES}
THINK = ThinkingTags("<think>", "</think>")
QUESTION: Messages = (Message("user", "What is 2 + 2?"),)
DEFAULTS = Sampling()
CERTAIN = (1.0,)
TORN = (0.1, 0.1, 0.1, 0.1)
"""Chances of the likeliest tokens. Scaled to a sum of 1, their entropy is ln 4 = 1.39 nats; else it would be 0.92."""


def words(text: str) -> list[bytes]:
    """Words with the blank before them, tags, marks and runs of white space: much like a real vocabulary."""
    return [piece.encode() for piece in re.findall(r"</?\w+>| ?\w+| ?[^\w\s<]+|<|\s+", text)]


def characters(text: str) -> list[bytes]:
    return [character.encode() for character in text]


def single_bytes(text: str) -> list[bytes]:
    """Each byte a token, so that most characters beyond ASCII are split."""
    return [bytes([byte]) for byte in text.encode()]


def token_id(data: bytes) -> int:
    """Equal in every scripted vocabulary, as for models of one family."""
    return zlib.crc32(data) & 0x7FFFFFFF


@dataclass(frozen=True)
class Fault:
    """An error after so many tokens of the engine (all sessions together); `for_good`: at every later call too."""

    after: int
    error: BatonError = field(default_factory=lambda: EngineLost("The model's process ended.", "Open it again."))
    for_good: bool = False


class Call(NamedTuple):
    """One call of a session: the body it named, and what that cost in tokens."""

    body: str
    reused: int
    prefilled: int
    limit: int = 0
    seed: int = 0
    alternatives: int = 0
    position: int = 0
    along: bool = False
    """Whether it was read while the other model wrote."""


class ScriptedSession:
    """One text on a scripted engine."""

    def __init__(self, engine: ScriptedEngine, conversation: Messages, sampling: Sampling, thinks: bool) -> None:
        self.engine = engine
        self.thinks = thinks
        self.conversation = conversation
        self.sampling = sampling
        self.calls: list[Call] = []
        self.written = 0
        self.closed = False
        self._texts = iter(engine.texts)
        self._cancelled = threading.Event()
        opening = self.card.thinking.opening if self.card.thinking else ""
        prompt = "".join(f"{each.role}: {each.content}\n" for each in conversation) + opening
        self._prompt = [token_id(piece) for piece in engine.split(prompt)]
        self._cache: list[int] = []
        self._refuse_beyond(len(self._prompt))

    @property
    def card(self) -> ModelCard:
        return self.engine.card if self.thinks else self.engine.card.without_thinking()

    @property
    def prompt_tokens(self) -> int:
        return len(self._prompt)

    @property
    def kept(self) -> int:
        """Tokens in the KV cache."""
        return len(self._cache)

    def read(self, body: Sequence[Part]) -> Handoff:
        return self._read(body)

    def prefetch(self, body: Sequence[Part]) -> None:
        if Ability.PREFETCH in self.card.abilities:
            self._read(body, along=True)

    def write(
        self, body: Sequence[Part], limit: int, seed: int, alternatives: int = 0, position: int = 0, entropy: int = 0
    ) -> Generator[WriteItem, None, None]:
        alternatives = max(alternatives, entropy)  # as a server, which does not see all probabilities
        handoff = self._read(body, limit=limit, seed=seed, alternatives=alternatives, position=position)
        for progress in self.engine.prefill():
            yield progress
            if self._cancelled.is_set():
                yield End(Stop.CANCELLED)
                return
        yield handoff
        text, decoder = "".join(part.text for part in body), Utf8Decoder()
        for index, data in enumerate(self._tokens(text, seed, position)):
            if index == limit:
                yield End(Stop.LIMIT)
                return
            if len(self._cache) >= self.card.context:
                yield End(Stop.CONTEXT_FULL)
                return
            self.engine.before_token(text)
            if self._cancelled.is_set():
                yield End(Stop.CANCELLED)
                return
            self.engine.fail_if_due()
            if sentence := self.engine.notices.get(self.engine.written):
                yield Notice(sentence)
            token = self._token(data, text, alternatives)
            self._cache.append(token_id(data))
            self.written += 1
            self.engine.count_token()
            text += decoder.decode(data)
            yield token
        yield End(Stop.LIMIT if limit == 0 else Stop.END_OF_TEXT)

    def write_branches(self, branches: Sequence[Branch]) -> Generator[Continuation | Notice, None, None]:
        """One after the other; only an engine with `Ability.BRANCHES` says that it can."""
        for index, branch in enumerate(branches):
            written, stop = [], Stop.CANCELLED
            for item in self.write(branch.body, branch.limit, branch.seed):
                if isinstance(item, Token):
                    written.append(item.data)
                elif isinstance(item, End):
                    stop = item.stop
                elif isinstance(item, Notice):
                    yield item
            if stop is Stop.CANCELLED:
                return
            yield Continuation(index, b"".join(written).decode(errors="replace"), len(written), stop)

    def judge(self, body: Sequence[Part], question: str, choices: tuple[str, ...]) -> Judgement:
        handoff = self._read(body)
        chances = self.engine.judged("".join(part.text for part in body), choices)
        mass = sum(chances)
        return Judgement(tuple(chance / mass for chance in chances), handoff)

    def score(self, body: Sequence[Part], start: int, alternatives: int = 0) -> Scores:
        """Tokens as this engine splits the text after `start`, each with the log-probability of `engine.scored`."""
        handoff = self._read(body, alternatives=alternatives)
        text, tokens = "".join(part.text for part in body), []
        before, scored_text = text[:start], text[start:]
        for data in self.engine.split(scored_text):
            if self._cancelled.is_set():
                break
            tokens.append(self.engine.score_token(before, data, alternatives))
            before += data.decode(errors="replace")
        return Scores(tuple(tokens), handoff)

    def cancel(self) -> None:
        self._cancelled.set()

    def close(self) -> None:
        self.closed = True

    def _tokens(self, text: str, seed: int, position: int) -> Iterable[bytes]:
        if self.engine.draw:
            return self._drawn(self.engine.draw, text, seed, position)
        if self.engine.continue_with:
            continuation = self.engine.continue_with(self.conversation, text)
        else:
            continuation = next(self._texts, "")
        if isinstance(continuation, str):
            return self.engine.split(continuation)
        return [piece.encode() if isinstance(piece, str) else piece for piece in continuation]

    def _drawn(
        self, draw: Callable[[str, int], bytes | None], text: str, seed: int, position: int
    ) -> Generator[bytes, None, None]:
        decoder = Utf8Decoder()
        for place in count(position):
            if (data := draw(text, number_at(seed, place))) is None:
                return
            yield data
            text += decoder.decode(data)

    def _token(self, data: bytes, text: str, alternatives: int) -> Token:
        id = token_id(data) if Ability.TOKEN_IDS in self.card.abilities else None
        held = self.engine.tells_late and not data
        if not (alternatives and Ability.ALTERNATIVES in self.card.abilities):
            return Token(id, data, held=held)
        logprobs = [math.log(chance) for chance in self.engine.chances(text)][:alternatives]
        written = Alternative(id, data.decode(errors="replace"), logprobs[0])
        others = (Alternative(n, f"other {n}", logprob) for n, logprob in enumerate(logprobs[1:], 1))
        return Token(id, data, logprobs[0], (written, *others), held=held)

    def _read(self, body: Sequence[Part], **asked: Any) -> Handoff:
        """`asked`: what else the log of calls says of this one."""
        if self.closed:
            raise AssertionError("a closed session was asked to read")
        self.engine.fail_if_gone()
        ids = list(self._prompt)
        own_tag = self.card.thinking.closing if self.card.thinking else ""
        runs = rendered_runs(body, self.card.vocabulary, own_tag)
        for run in runs:
            ids += map(token_id, self.engine.split(run)) if isinstance(run, str) else run
        self._refuse_beyond(len(ids))
        reused = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(ids, self._cache, strict=False)))
        self._cache = ids
        passing = Passing.TEXT if any(isinstance(run, str) for run in runs) else Passing.IDS
        handoff = Handoff(reused, len(ids) - reused, 0.0, passing)
        text = "".join(part.text for part in body)
        self.calls.append(Call(text, reused, len(ids) - reused, **asked))
        return handoff

    def _refuse_beyond(self, tokens: int) -> None:
        if tokens > self.card.context:
            raise ContextFull(
                f"The text has {tokens} tokens, and {self.card.name} holds {self.card.context}.",
                "Choose a larger context.",
            )


class ScriptedEngine:
    """A model that writes what the test says. Every argument has a harmless default.

    `texts`: of each session, one a write; then nothing but the end of text. `continue_with`: conversation and body
    so far → what the model writes next. `draw`: body so far and the random number of the next token → that token, or
    None for the end of text. `chances`: body so far → probabilities of the likeliest tokens there, the
    written one first. `marks`: the large model's answers as a judge, one after the other, then the last choice.
    `scored`: body so far and a token → the log-probability that `score` gives the token there. `expects`: body so far
    and a token → what the model would have written there; if that is another token, the one that stands there has a
    chance of 1%, unless `scored` says less.
    `notices`: told before the token with that number. `before_token`: called with the body before each token (to
    wait for another thread, or to press a button). `prefill`: the progress that each write reports before its handoff.
    `tells_late`: the text of a token without one comes with the next token that has one.
    `card`: fields of its card, such as `context=1000`.
    """

    session_kind: type[ScriptedSession] = ScriptedSession

    def __init__(  # noqa: PLR0913
        self,
        *texts: Text,
        continue_with: Callable[[Messages, str], Text] | None = None,
        draw: Callable[[str, int], bytes | None] | None = None,
        name: str = "small",
        split: Split = words,
        chances: Callable[[str], Sequence[float]] = lambda _: CERTAIN,
        marks: Iterable[str] = (),
        scored: Callable[[str, str], float] = lambda _before, _token: 0.0,
        expects: Callable[[str, str], str] = lambda _before, token: token,
        faults: Sequence[Fault] = (),
        notices: dict[int, str] | None = None,
        before_token: Callable[[str], None] = lambda _: None,
        prefill: Callable[[], Iterable[PrefillProgress]] = tuple,
        tells_late: bool = False,
        **card: Any,
    ) -> None:
        self.texts = texts
        self.continue_with = continue_with
        self.draw = draw
        self.split = split
        self.chances = chances
        self.scored = scored
        self.expects = expects
        self.notices = notices or {}
        self.before_token = before_token
        self.prefill = prefill
        self.tells_late = tells_late
        self.sessions: list[ScriptedSession] = []
        self.written = 0
        """Tokens written by all sessions."""
        self.card = replace(ModelCard(name, "scripted", 100_000, thinking=THINK, abilities=ABLE), **card)
        self._marks = iter(marks)
        self._faults = list(faults)
        self._gone: BatonError | None = None
        self._lock = threading.Lock()

    def with_card(self, **fields: Any) -> ScriptedEngine:
        """The same engine, its card changed: `with_card(context=90)`."""
        self.card = replace(self.card, **fields)
        return self

    def with_ability(self, ability: Ability, has: bool = True) -> ScriptedEngine:
        """The same engine with this ability, or without it."""
        self.card = self.card.with_abilities({ability: has})
        return self

    @property
    def calls(self) -> list[Call]:
        """The log of all sessions, session by session."""
        return [call for session in self.sessions for call in session.calls]

    def open(
        self,
        conversation: Messages = QUESTION,
        sampling: Sampling = DEFAULTS,
        attach: Attach = ignore,
        *,
        thinks: bool = True,
    ) -> ScriptedSession:
        self.fail_if_gone()
        session = self.session_kind(self, conversation, sampling, thinks)
        attach(session)
        self.sessions.append(session)
        return session

    def close(self) -> None:
        for session in self.sessions:
            session.close()

    def score_token(self, before: str, data: bytes, alternatives: int) -> ScoredToken:
        self.before_token(before)
        self.fail_if_due()
        token = data.decode(errors="replace")
        logprob, expected = self.scored(before, token), self.expects(before, token)
        likeliest: tuple[Alternative, ...] = ()
        if expected != token:
            logprob = min(logprob, math.log(0.01))
            likeliest = (Alternative(token_id(expected.encode()), expected, math.log(0.9)),)
        found = (*likeliest, Alternative(token_id(data), token, logprob))
        return ScoredToken(token_id(data), token, logprob, found[:alternatives])

    def judged(self, body: str, choices: tuple[str, ...]) -> list[float]:
        mark = next(self._marks, choices[-1])
        return [float(choice == mark) for choice in choices]

    def count_token(self) -> None:
        with self._lock:
            self.written += 1

    def fail_if_due(self) -> None:
        """Raise the next fault if its token has come."""
        self.fail_if_gone()
        if self._faults and self.written >= self._faults[0].after:
            fault = self._faults.pop(0)
            self._gone = fault.error if fault.for_good else None
            raise fault.error

    def fail_if_gone(self) -> None:
        if self._gone:
            raise self._gone


class ChargingSession(ScriptedSession):
    """As if on somebody's server: its account follows from the calls that it logs.

    A token read or written costs a millionth of a euro. Reading along takes no time and is never cut.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._readings: list[PrefetchedText] = []

    @property
    def usage(self) -> Usage:
        reused = sum(call.reused for call in self.calls)
        read = sum(call.prefilled for call in self.calls)
        cost = RequestUsage(len(self.calls), sent=reused + read, reused=reused, read=read, written=self.written)
        return Usage(cost, (read + self.written) / 1_000_000, "EUR")

    def prefetch(self, body: Sequence[Part]) -> None:
        began = time.perf_counter()
        super().prefetch(body)
        if self.calls and self.calls[-1].along:
            self._readings.append(PrefetchedText(began, 0.0, self.calls[-1].prefilled))

    def take_prefetched(self) -> tuple[PrefetchedText, ...]:
        taken, self._readings = tuple(self._readings), []
        return taken


class ChargingEngine(ScriptedEngine):
    session_kind: type[ScriptedSession] = ChargingSession

    @property
    def usage(self) -> Usage:
        """Of all sessions together."""
        charging = [session for session in self.sessions if isinstance(session, ChargingSession)]
        return reduce(Usage.plus, (session.usage for session in charging), Usage())
