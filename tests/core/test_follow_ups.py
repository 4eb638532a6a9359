"""What a run reuses of the KV cache: a first answer repeats, and a follow-up reads only what is new."""

from __future__ import annotations

from contextlib import closing

import pytest

from baton_reasoning.core.demo_pair import DEMO_SETTINGS, SMALL_MODEL, held_out_problems
from baton_reasoning.core.engines.base import Conversation, Message
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.models.options import LoadOptions
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.trace import Trace

SETTINGS = DEMO_SETTINGS.model_copy(update={"policy": Never.Settings(), "max_tokens": 60})
FIRST = ask(next(held_out_problems(seed=3)).question, SETTINGS)
FOLLOW_UP = (*FIRST, Message("assistant", "7"), Message("user", "And again?"))


@pytest.fixture
def pair():
    with closing(LocalEngine(SMALL_MODEL, LoadOptions(context=512, threads=1))) as small:
        yield Pair(small)


def reused(pair: Pair, conversation: Conversation, settings: RunSettings, before: Trace | None = None) -> int:
    """Tokens that the KV cache held of the text that the run began with."""
    trace = Trace.of(run(pair, conversation, settings, before=before))
    return next(piece.handoff.reused for piece in trace.pieces[::-1] if piece.handoff)


def test_a_first_answer_reuses_only_what_repeats_and_a_follow_up_all(pair):
    exact = SETTINGS.model_copy(update={"exact": True})
    assert reused(pair, FIRST, SETTINGS) == 0
    assert reused(pair, FIRST, SETTINGS) == 0, "less than a chunk is read again, so that a seed repeats"
    assert reused(pair, FOLLOW_UP, SETTINGS) > 0
    assert reused(pair, FOLLOW_UP, exact) == 0


def test_an_answer_that_goes_on_reads_nothing_again(pair):
    stopped = Trace.of(run(pair, FIRST, SETTINGS.model_copy(update={"max_tokens": 30})))
    prompt = stopped.started.prompt_tokens if stopped.started else 0
    assert reused(pair, FIRST, SETTINGS, stopped) >= prompt + 28
