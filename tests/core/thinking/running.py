"""Runs of the loop over scripted engines, for the tests of the method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.events import Event, RunStarted
from baton_reasoning.core.thinking.loop import Loop
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policy import Interruption, Move, Policy
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.trace import Trace
from tests.fakes.scripted import QUESTION, ScriptedEngine

E = TypeVar("E")


class Run(NamedTuple):
    """What came of a run: its events, the trace of them, and the engines with their logs."""

    trace: Trace
    small: ScriptedEngine
    large: ScriptedEngine

    def all(self, kind: type[E]) -> list[E]:
        return [event for event in self.trace.events if isinstance(event, kind)]

    @property
    def told(self) -> list[tuple[str, str]]:
        """Author and text of each piece, in order."""
        return [(piece.author.value, piece.text) for piece in self.trace.pieces]


def run(
    policy: Policy,
    small: ScriptedEngine | Sequence[str] = (),
    large: ScriptedEngine | Sequence[str] = (),
    settings: RunSettings = RunSettings(),  # noqa: B008 - frozen
    interruptions: Sequence[Interruption] = (),
    resume_trace: Trace | None = None,
    first_move: Move | None = None,
) -> Run:
    """One whole run. Texts make engines of one vocabulary; each write takes the next text."""
    small = small if isinstance(small, ScriptedEngine) else ScriptedEngine(*small)
    large = large if isinstance(large, ScriptedEngine) else ScriptedEngine(*large, name="large")
    sessions = {Author.SMALL: small.open(), Author.LARGE: large.open()}
    if resume_trace:
        policy = type(policy)(policy.settings, replace(policy.context, counters=resume_trace.counters))
    loop = Loop(sessions, policy, settings, interruptions, resume_trace.parts() if resume_trace else ())
    started = RunStarted(
        0.0,
        QUESTION,
        policy.name,
        {},
        settings.seed,
        small.card,
        large.card,
        sessions[Author.SMALL].prompt_tokens,
        True,
    )
    events: list[Event] = [started, *loop.run(first_move)]
    return Run(Trace.of(events), small, large)


def keywords(settings: Keywords.Settings | None = None) -> Keywords:
    return Keywords(settings)
