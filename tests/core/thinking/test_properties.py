"""What holds of every policy and preset, in worlds whose tokens are drawn by random numbers."""

from __future__ import annotations

import random

import pytest

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.run import Pair, ask, run
from baton_reasoning.core.store.event_chunks import pack, unpack
from baton_reasoning.core.thinking.events import PrefillProgressed, RunStarted, TokenWritten
from baton_reasoning.core.thinking.policy import PolicySettings
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.write_stream import DECODED_AT_MOST
from tests.core.thinking.drawn import MOST, every_policy, outcome, settings_of, written
from tests.core.thinking.oracles.worlds import World
from tests.tiers import size

pytestmark = pytest.mark.scaled

in_worlds = pytest.mark.parametrize("seed", range(size(2, long=30)))


@every_policy
@in_worlds
def test_a_text_killed_after_any_event_and_resumed_is_the_undisturbed_text(policy: PolicySettings, seed: int) -> None:
    world, settings = World(seed, tagged=True, drawn=True), settings_of(policy, seed)
    undisturbed = written(world, settings)
    ends = range(1, len(undisturbed.events))
    for end in random.Random(seed).sample(ends, min(len(ends), size(4, long=30))):
        once = Trace.of(undisturbed.events[:end])
        written(world, settings, once)
        assert outcome(once) == outcome(undisturbed), f"killed after {undisturbed.events[end - 1]}"
        again = Trace.of(once.events[: random.Random(end).randrange(end, len(once.events))])
        written(world, settings, again)
        assert outcome(again) == outcome(undisturbed), "killed again"


@every_policy
@in_worlds
def test_a_stored_trace_equals_the_live_one_in_every_count(policy: PolicySettings, seed: int) -> None:
    live = written(World(seed, tagged=True, drawn=True), settings_of(policy, seed))
    stored = Trace.of(unpack(pack(live.events)))
    assert stored.events == live.events
    assert (stored.totals, stored.handoffs, stored.seconds) == (live.totals, live.handoffs, live.seconds)
    assert stored.pieces == live.pieces


@every_policy
@in_worlds
def test_every_run_ends_within_its_bound_of_decoded_tokens(policy: PolicySettings, seed: int) -> None:
    trace = written(World(seed, tagged=True, drawn=True, cue_rate=0.5), settings_of(policy, seed))
    assert trace.ended
    assert sum(total.decoded for total in trace.totals.values()) <= DECODED_AT_MOST * MOST


@every_policy
@in_worlds
def test_settled_text_is_never_discarded(policy: PolicySettings, seed: int) -> None:
    settings, trace, settled = settings_of(policy, seed), Trace(), [""]

    def settle(position: int) -> None:
        assert position > len(settled[-1])
        settled.append(trace.text[:position])

    world = World(seed, tagged=True, drawn=True)
    asked = ask("Add.", settings)
    for event in run(Pair(*world.engines), asked, settings, on_settled=settle):
        trace.apply(event)
        assert trace.text.startswith(settled[-1])
    assert settled[-1] == trace.text


def test_the_progress_of_a_prefill_is_in_no_trace() -> None:
    trace = written(World(1, tagged=True, drawn=True), settings_of(POLICIES["keywords"].Settings(), 1))
    trace.apply(PrefillProgressed(1.0, Author.SMALL, 512, 1024))
    assert not any(isinstance(event, PrefillProgressed) for event in trace.events)
    assert isinstance(trace.events[0], RunStarted)
    assert any(isinstance(event, TokenWritten) for event in trace.events)
