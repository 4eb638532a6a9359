"""The claim of the demo pair, on the shipped files: where the large model writes matters, not only how much.

Held-out problems in each arm, through the program's own engines and loop, at the temperature of use: 32, and 200 in the
long tier. The margins are so wide that chance cannot close them; a worse pair, loop or policy can.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple

import pytest

from baton_reasoning.core.batch.reading.problems import read_problems
from baton_reasoning.core.demo_pair import (
    DEMO_SETTINGS,
    LARGE_MODEL,
    READY_PROBLEMS,
    SMALL_MODEL,
    DemoProblem,
    held_out_problems,
)
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.local.client import LocalEngine
from baton_reasoning.core.intervals import Interval, wilson
from baton_reasoning.core.models.loading import LoadOptions
from baton_reasoning.core.run import Pair, ask, run
from baton_reasoning.core.thinking.registry import settings_for
from baton_reasoning.core.thinking.trace import Trace
from tests.tiers import size

pytestmark = [pytest.mark.slow, pytest.mark.scaled]

PROBLEMS = list(islice(held_out_problems(seed=40_417), size(32, long=200)))
AT_ONCE = 16
CHANCE = 0.36
"""Of a takeover at a boundary, for the random arm: enough to give it no smaller a large share than the method."""


class Outcome(NamedTuple):
    """How one arm did: its accuracy with Wilson's 95% interval, and the large model's part of all kept tokens."""

    accuracy: float
    interval: Interval
    large_share: float


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    options = LoadOptions(context=1024, parallel=AT_ONCE, threads=1)
    small, large = LocalEngine(SMALL_MODEL, options), LocalEngine(LARGE_MODEL, options)
    yield Pair(small, large)
    small.close()
    large.close()


def outcome(pair: Pair, policy: str, chance: float = 0.0, problems: Sequence[DemoProblem] = PROBLEMS) -> Outcome:
    chosen = settings_for(policy, DEMO_SETTINGS.policy)
    chosen = chosen.model_copy(update={"p": chance}) if policy == "random" else chosen

    def solve(numbered: tuple[int, DemoProblem]) -> Trace:
        seed, problem = numbered
        changes = {"policy": chosen, "seed": seed}
        settings = DEMO_SETTINGS.model_copy(update=changes)
        return Trace.of(run(pair, ask(problem.question, settings), settings))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        traces = list(pool.map(solve, enumerate(problems)))
    correct = sum(
        trace.text.endswith(f"\\boxed{{{problem.answer}}}.") for trace, problem in zip(traces, problems, strict=True)
    )
    large = sum(trace.totals[Author.LARGE].kept for trace in traces)
    written = sum(trace.tokens for trace in traces)
    return Outcome(correct / len(traces), wilson(correct, len(traces)), large / written)


def test_speculative_thinking_beats_the_small_model_and_takeovers_at_random(pair: Pair) -> None:
    small = outcome(pair, "never")
    speculative = outcome(pair, "keywords")
    at_random = outcome(pair, "random", CHANCE, PROBLEMS[: size(24, long=200)])

    assert speculative.large_share <= at_random.large_share
    assert speculative.interval.low > small.interval.high
    assert speculative.interval.low > at_random.accuracy


@pytest.mark.long
def test_the_large_model_is_nearly_always_right(pair: Pair) -> None:
    assert outcome(pair, "always").interval.low > 0.95


def test_the_first_examples_need_both_models(pair: Pair) -> None:
    """The start page offers them, and `baton demo` begins with them: with the seed that they are asked with."""
    examples = [DemoProblem.of(problem.text) for problem in read_problems(READY_PROBLEMS).problems[:3]]
    for example in filter(None, examples):
        assert outcome(pair, "never", problems=[example]).accuracy == 0
        assert outcome(pair, "keywords", problems=[example]).accuracy == 1
