"""Estimates the value of a text while a run writes it: for policies that need the expected answer.

The value is the share of continuations by one model alone that end in the expected answer, each within the tokens that
the run has left. They are written in a session of their own, and with random numbers of their own: the text of the run
stays as it would be without them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Self

from baton_reasoning.core.engines.base import (
    Attach,
    Branch,
    Continuation,
    Conversation,
    End,
    Engine,
    Session,
    Stop,
    Token,
    WritesBranches,
    ignore,
)
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.random_numbers import stream_of
from baton_reasoning.core.errors import Cancelled
from baton_reasoning.core.grading.given import ContinuedText
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import How, Outcome, Regex
from baton_reasoning.core.thinking.policy import Value
from baton_reasoning.core.thinking.run_settings import RunSettings

USUAL_TEMPERATURE = 0.6
"""Of the continuations, if the run took the likeliest token: they would all be the same."""


class LiveValues:
    """Estimates values for one run: a `core.thinking.loop.ValueOf`, and a context manager."""

    def __init__(
        self,
        engines: Mapping[Author, Engine],
        conversation: Conversation,
        settings: RunSettings,
        expected: str,
        grader: Grader,
        how: How | Regex = How.AUTO,
        attach: Attach = ignore,
    ) -> None:
        """`engines`: the models that may write continuations. `attach` gets a session when the first value opens it,
        so that it can be cancelled."""
        self._engines = engines
        self._conversation = conversation
        self._settings = settings
        self._expected = expected
        self._grader = grader
        self._how = how
        self._attach = attach
        self._sessions: dict[Author, Session] = {}
        self._outcomes: dict[str | None, Outcome] = {}
        """By what was given as the answer."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for session in self._sessions.values():
            session.close()

    def __call__(self, body: Sequence[Part], move: Value) -> tuple[int, int]:
        """Return how many continuations of the body were right, and how many could be graded; fewer, or none, if the
        session was cancelled. Raises ContextFull, EngineLost, EngineRefused.
        """
        try:
            session = self._session_of(move.author)
        except Cancelled:
            return 0, 0
        before = "".join(part.text for part in body)
        closed = next((part.closing_tag for part in body if part.closing_tag), "")
        tags = session.card.thinking
        answer_start = before.rindex(closed) + len(closed) if closed else (None if tags else 0)
        limit = max(1, self._settings.max_tokens - sum(part.tokens for part in body if part.author.is_model))
        streams = [stream_of(self._settings.seed, f"oracle {len(before)} {k}", 0) for k in range(move.continuations)]
        outcomes = [
            self._outcome(
                ContinuedText.of(
                    before,
                    each.text,
                    answer_start=answer_start,
                    closing_tag=tags.closing if tags else "",
                    ended=each.stop is Stop.END_OF_TEXT,
                ).given(self._expected, self._how)
            )
            for each in _continuations(session, [Branch(body, stream, limit) for stream in streams])
        ]
        return outcomes.count(Outcome.CORRECT), len(outcomes) - outcomes.count(Outcome.UNSCORED)

    def _session_of(self, author: Author) -> Session:
        if author in self._sessions:
            return self._sessions[author]
        engine = self._engines[author]
        temperature = self._settings.temperature or USUAL_TEMPERATURE
        sampling = self._settings.model_copy(update={"temperature": temperature}).sampling
        sampling = engine.card.overrides.sampling(sampling)
        session = engine.open(self._conversation, sampling, self._attach, thinks=self._settings.thinking)
        self._sessions[author] = session
        return session

    def _outcome(self, given: str | None) -> Outcome:
        if given not in self._outcomes:
            self._outcomes[given] = self._grader.grade(self._expected, given, self._how).outcome
        return self._outcomes[given]


def _continuations(session: Session, branches: Sequence[Branch]) -> Iterator[Continuation]:
    """Write the branches: side by side if the session can, else one after another."""
    if session.card.writes_branches and isinstance(session, WritesBranches):
        yield from (each for each in session.write_branches(branches) if isinstance(each, Continuation))
        return
    for number, branch in enumerate(branches):
        data, tokens, stop = b"", 0, Stop.CANCELLED
        with closing(session.write(branch.body, branch.limit, branch.seed)) as items:
            for item in items:
                if isinstance(item, Token):
                    data, tokens = data + item.data, tokens + 1
                elif isinstance(item, End):
                    stop = item.stop
        if stop is Stop.CANCELLED:
            return
        yield Continuation(number, data.decode(errors="replace"), tokens, stop)
