"""More runs than places in the cache, stopped, left and gone on with at random: none waits for ever, none is lost."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice

import pytest

from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, SMALL_MODEL, held_out_problems
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.models.options import LoadOptions, Sampling
from baton_reasoning.core.run import Pair, ask, run
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.interruptions import Control, Limits
from baton_reasoning.core.thinking.trace import Trace

pytestmark = pytest.mark.slow

PLACES, AT_ONCE, RUNS = 6, 8, 48
ARMS = arms_of(
    ("small", "large", "baton", "reference", "first-token-entropy", "step-score", "every-step"), DEMO_SETTINGS
)
PROBLEMS = list(islice(held_out_problems(seed=5), RUNS))


@pytest.fixture(scope="module")
def engines():
    options = LoadOptions(context=512, parallel=PLACES, threads=1)
    small, large = LocalEngine(SMALL_MODEL, options), LocalEngine(LARGE_MODEL, options)
    yield small, large
    small.close()
    large.close()


def test_every_run_ends_and_every_place_is_free_afterwards(engines):
    with ThreadPoolExecutor(AT_ONCE) as pool:
        finishes = list(pool.map(lambda number: restless(Pair(*engines), number), range(RUNS)))
    assert Finish.FAILED not in finishes
    assert {Finish.STOPPED, Finish.END_OF_TEXT} <= set(finishes)
    for engine in engines:
        sessions = [engine.open(ask("", DEMO_SETTINGS), Sampling()) for _ in range(PLACES)]
        body = [Part("word " * 60, Author.SMALL)]
        for session in sessions:
            session.read(body)
        assert not any(session.read(body).prefilled for session in sessions), "one took another's place"
        for session in sessions:
            session.close()


def restless(pair: Pair, number: int) -> Finish | None:
    """One problem in up to three goes: each may be stopped or left, and the next begins where any event was."""
    dice = random.Random(number)
    settings = ARMS[number % len(ARMS)].settings.model_copy(
        update={"seed": number, "limits": Limits(max_seconds=dice.choice((0, 0, 0.05)))}
    )
    trace = Trace()
    for _ in range(dice.choice((1, 2, 3))):
        trace = Trace.of(trace.events[: dice.randrange(len(trace.events) + 1)])
        control, stops_at, left_at = Control(), dice.choice((0, dice.randrange(150))), dice.randrange(400)
        question = ask(PROBLEMS[number].question, settings)
        with closing(run(pair, question, settings, control=control, before=trace)) as events:
            for happened, event in enumerate(events, 1):
                trace.apply(event)
                if happened == stops_at:
                    control.stop()
                if happened == left_at:
                    break
    return trace.finish
