"""Runs of the driver over scripted engines, for the tests of the method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.driver import Driver
from baton_reasoning.core.thinking.events import Event, RunStarted, TakeoverStarted
from baton_reasoning.core.thinking.interruptions import Interruption, Wish
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policy import Policy
from baton_reasoning.core.thinking.reasons import TakeoverReason
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.requests import Program, Request, Step, Written
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.text import Text
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


class Programmed(Policy):
    """Decides by any program."""

    name, title = "programmed", "Programmed"

    def __init__(self, program: Callable[[Text], Program]) -> None:
        super().__init__()
        self._program = program

    def think(self, text: Text) -> Program:
        return self._program(text)


class AtBoundary(Policy):
    """Makes one of these requests at each boundary, then lets the default writer go on."""

    name = "at boundary"

    def __init__(self, *requests: Request[Any]) -> None:
        super().__init__()
        self.requests = list(requests)
        self.steps: list[Written] = []

    def think(self, text: Text) -> Program:
        while True:
            self.steps.append((yield from Step()))
            if self.requests:
                yield from self.requests.pop(0)


def run(
    policy: Policy,
    small: ScriptedEngine | Sequence[str | Sequence[str]] = (),
    large: ScriptedEngine | Sequence[str | Sequence[str]] = (),
    settings: RunSettings = RunSettings(),  # noqa: B008 - frozen
    interruptions: Sequence[Interruption] = (),
    before: Trace | None = None,
    wish: Wish | None = None,
) -> Run:
    """One whole run, which `before` begins. Texts make engines of one vocabulary; each write takes the next text."""
    small = small if isinstance(small, ScriptedEngine) else ScriptedEngine(*small)
    large = large if isinstance(large, ScriptedEngine) else ScriptedEngine(*large, name="large")
    sessions = {Author.SMALL: small.open(), Author.LARGE: large.open()}
    if before and before.counters:
        policy = type(policy)(policy.settings, replace(policy.context, counters=before.counters))
    driver = Driver(sessions, policy, settings, interruptions, before.parts() if before else ())
    tokens = sessions[Author.SMALL].prompt_tokens
    started = RunStarted(0.0, QUESTION, policy.name, {}, settings.seed, small.card, large.card, tokens, True)
    events: list[Event] = [*(before.events if before else ()), started, *driver.run(wish)]
    return Run(Trace.of(events), small, large)


def rules(done: Run) -> list[TakeoverReason]:
    """The reasons of its takeovers, in order."""
    return [POLICIES.reason(takeover.reason) for takeover in done.all(TakeoverStarted)]


def keywords(settings: Keywords.Settings | None = None) -> Keywords:
    return Keywords(settings)
