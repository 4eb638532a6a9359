"""Runs over scripted engines and in random worlds, for the tests of the method."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.run import Pair, ask
from baton_reasoning.core.run import run as solve
from baton_reasoning.core.thinking.driver import Driver
from baton_reasoning.core.thinking.events import Event, RunStarted, TakeoverStarted
from baton_reasoning.core.thinking.interruptions import Control, Interruption, Wish
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policy import Policy, PolicySettings
from baton_reasoning.core.thinking.reasons import TakeoverReason
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.requests import Program, Request, Step, Written
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.text import Text
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.oracles.worlds import World
from tests.fakes.scripted import QUESTION, ScriptedEngine

E = TypeVar("E")
SMALL, LARGE = Author.SMALL, Author.LARGE
MOST = 160
"""Tokens of a text in a random world."""
PRESETS: dict[str, PolicySettings] = {
    f"{name} {preset}".strip(): settings
    for name, policy in POLICIES.items()
    for preset, settings in (policy.presets or {"": policy.Settings()}).items()
}


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
    sessions = {SMALL: small.open(), LARGE: large.open()}
    if before and before.counters:
        policy = type(policy)(policy.settings, replace(policy.context, counters=before.counters))
    driver = Driver(sessions, policy, settings, interruptions, before.parts() if before else ())
    tokens = sessions[SMALL].prompt_tokens
    started = RunStarted(0.0, QUESTION, policy.name, {}, settings.seed, small.card, large.card, tokens, True)
    events: list[Event] = [*(before.events if before else ()), started, *driver.run(wish)]
    return Run(Trace.of(events), small, large)


def rules(done: Run) -> list[TakeoverReason]:
    """The reasons of its takeovers, in order."""
    return [POLICIES.reason(takeover.reason) for takeover in done.all(TakeoverStarted)]


def keywords(settings: Keywords.Settings | None = None) -> Keywords:
    return Keywords(settings)


# In random worlds


def settings_of(policy: PolicySettings, seed: int) -> RunSettings:
    """With short steps, so that caps are met, and small numbers, so that each rule fires."""
    dice = random.Random(seed)
    changes = {"step_cap": dice.choice((6, 512)), "n1": dice.choice((4, 20)), "n2": 12, "n3": 12, "n3_step": 3}
    changes |= {"n3_most": 18, "c": 2, "c_step": 1, "c_most": 3, "opening": dice.choice((0, 9)), "sentence_cap": 9}
    fitting = {name: value for name, value in changes.items() if name in type(policy).model_fields}
    return RunSettings(policy=policy.model_copy(update=fitting), seed=seed, max_tokens=MOST, alternatives=4)


def written(
    world: World,
    settings: RunSettings,
    before: Trace | None = None,
    control: Control | None = None,
    may_rewrite: bool = False,
) -> Trace:
    """The text to its end, from where `before` was interrupted. What is settled stands, unless a person rewrites it."""
    trace, asked, settled = before or Trace(), ask("Add.", settings), [before.text if before else ""]

    def settle(position: int) -> None:
        assert position > len(settled[-1])
        settled.append(trace.text[:position])

    pair = Pair(*world.engines)
    for event in solve(pair, asked, settings, control=control, before=trace, on_settled=settle):
        trace.apply(event)
        assert may_rewrite or trace.text.startswith(settled[-1])
    assert may_rewrite or trace.text == settled[-1]
    assert trace.ended
    return trace
