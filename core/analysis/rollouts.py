"""Writes rollouts, continuations of a finished text from places in it, and extracts the answer of each.

A local model writes them side by side, as branches of one session. On a server, and with the policy of a run as the
writer, each is a run of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import NamedTuple

from baton_reasoning.core.analysis.values import TextPlace, takeover_spans
from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.base import Branch, Notice, Session, Stop, WritesBranches, number_at, stream_of
from baton_reasoning.core.engines.body import Author, Part, parts_before
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.grading.extract import answer_of_run, answer_of_text
from baton_reasoning.core.grading.verdict import Grading
from baton_reasoning.core.run import Pair, run
from baton_reasoning.core.thinking.events import Finish, TextInserted
from baton_reasoning.core.thinking.interruptions import Control
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.waiting import completed

_POLICY_OF = {"small": "never", "large": "always"}
RUNS_AT_ONCE = 4
"""Continuations that are written at the same time as runs."""
ALIKE = 4
"""A notice appears if so many continuations from the beginning, and all of them, are equal."""


class RolloutNumber(NamedTuple):
    """Continuation `number` of a place, which decides its random numbers."""

    place: TextPlace
    number: int


class Rollout(NamedTuple):
    """A continuation that has ended."""

    which: RolloutNumber
    given: str | None
    """The text to grade (`core.grading.extract`); None without an answer."""
    tokens: int


class Rollouts:
    """Writes continuations of one text. Used as a context manager; `stop` from any thread."""

    def __init__(
        self,
        pair: Pair,
        trace: Trace,
        settings: RunSettings,
        writer: str,
        *,
        limit: int,
        expected: str,
        how: Grading,
    ) -> None:
        """`writer`: “small”, “large” or “policy”, the run's own. `limit`: tokens of a continuation, at most.
        `expected` helps to find the answer; it may be empty."""
        self._pair, self._trace, self._settings, self._writer = pair, trace, settings, writer
        self._limit, self._expected, self._how = limit, expected or None, how
        self._parts = trace.parts()
        self._replaced = {span.start: span.piece.replaced for span in takeover_spans(trace)}
        self._notices: list[str] = []
        self._from_beginning: list[str] = []
        """Texts of runs from the beginning."""
        self._control = Control()
        """Of the session that writes branches."""
        self._session: Session | None = None
        self._runs: set[Control] = set()
        self._lock = threading.RLock()  # a signal may interrupt `stop`, and call it again

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know about the continuations, a sentence each."""
        alike = len(self._from_beginning) if len(set(self._from_beginning)) == 1 else 0
        same = (
            f"All {alike} continuations from the beginning are the same: if the server draws by a seed of its own, "
            "the values rest on one of them."
        )
        return tuple(dict.fromkeys([*self._notices, *([same] if alike >= ALIKE else [])]))

    @property
    def stopped(self) -> bool:
        return self._control.stopped

    def stop(self) -> None:
        """Stop writing; unfinished continuations are lost."""
        self._control.stop()
        with self._lock:
            runs = list(self._runs)
        for control in runs:
            control.stop()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Keep a session of the writer open if its engine writes branches, which share the prefill.

        Raises Cancelled, EngineError.
        """
        assert self._trace.started
        engine = self._pair.get(Author(self._writer)) if self._writer != "policy" else None
        if engine is None or Ability.BRANCHES not in engine.card.abilities:
            yield
            return
        sampling = engine.card.overrides.sampling(self._settings.sampling)
        started = self._trace.started
        opened = engine.open(started.conversation, sampling, self._control.attach, thinks=started.thinks)
        with closing(opened) as self._session:
            yield

    def write(self, wanted: Sequence[RolloutNumber]) -> Iterator[Rollout]:
        """Yield each of these continuations as it ends; fewer after `stop`. Raises EngineError."""
        if isinstance(self._session, WritesBranches):
            yield from self._by_branches(self._session, wanted)
        else:
            yield from self._by_runs(wanted)

    def _stream(self, which: RolloutNumber) -> int:
        place = which.place
        return stream_of(self._settings.seed, f"value of {place.position} {place.replaced} {which.number}", 0)

    # As branches -----------------------------------------------------------------------------------------------------

    def _by_branches(self, session: WritesBranches, wanted: Sequence[RolloutNumber]) -> Iterator[Rollout]:
        assert self._session
        bodies = {place: self._body(place) for place, _ in wanted}
        branches = [Branch(bodies[which.place], self._stream(which), self._limit) for which in wanted]
        closed, tags = self._trace.closed, self._session.card.thinking
        for item in session.write_branches(branches):
            if isinstance(item, Notice):
                self._notices.append(item.text)
                continue
            which = wanted[item.branch]
            before = "".join(part.text for part in bodies[which.place])
            answer_start = None if self._trace.thinks else 0
            if closed and closed.position <= which.place.position:
                answer_start = closed.position
            elif answer_start is None and tags and (found := item.text.find(tags.closing)) >= 0:
                answer_start = len(before) + found + len(tags.closing)
            has_ended = item.stop is Stop.END_OF_TEXT
            given = answer_of_text(before + item.text, answer_start, has_ended, self._expected, self._how)
            yield Rollout(which, given, item.tokens)

    def _body(self, place: TextPlace) -> Sequence[Part]:
        parts = parts_before(self._parts, place.position)
        if place.replaced:
            parts.append(Part(self._replaced[place.position], Author.SMALL))
        return parts

    # As runs ---------------------------------------------------------------------------------------------------------

    def _by_runs(self, wanted: Sequence[RolloutNumber]) -> Iterator[Rollout]:
        """Run each continuation by itself; the server's slots share the prefix."""
        before = {place: self._trace_until(place) for place, _ in wanted}
        with ThreadPoolExecutor(RUNS_AT_ONCE, thread_name_prefix="value") as pool:
            futures = [pool.submit(self._run, before[which.place], which) for which in wanted]
            try:
                for future in completed(futures):
                    if written := future.result():
                        yield written
            except BaseException:  # GeneratorExit, too
                self.stop()  # those that run, and those that would begin
                raise

    def _run(self, before: Trace, which: RolloutNumber) -> Rollout | None:
        """Return None if it was stopped. Raises EngineLost if a model failed."""
        trace, control, settings = Trace.of(before.events), Control(), self._settings
        policy = _POLICY_OF.get(self._writer)
        changed = settings.model_copy(
            update={
                "policy": POLICIES.named(policy).Settings() if policy else settings.policy,
                "seed": number_at(self._stream(which), 0),
                "max_tokens": before.tokens + self._limit,
                "small_alone": False,
            }
        )
        with self._lock:
            if self.stopped:
                return None
            self._runs.add(control)
        try:
            assert self._trace.started
            conversation = self._trace.started.conversation
            for event in run(self._pair, conversation, changed, control=control, before=before):
                trace.apply(event)
        finally:
            with self._lock:
                self._runs.discard(control)
        if trace.finish is Finish.FAILED:
            raise EngineLost(trace.ended.reason if trace.ended else "A model failed.")
        if trace.finish is Finish.STOPPED:
            return None
        if which.place.position == 0:
            self._from_beginning.append(trace.text)
        return Rollout(which, answer_of_run(trace, self._expected, self._how), trace.tokens - before.tokens)

    def _trace_until(self, place: TextPlace) -> Trace:
        before = self._trace.until(place.position)
        text = self._trace.text[before.length : place.position]
        text += self._replaced[place.position] if place.replaced else ""
        if text:
            before.apply(TextInserted(before.seconds, text, ""))
        return before
