"""The claim of the demo pair, on the shipped files: where the large model writes matters, not only how much.

Held-out problems in each arm, through the program's own engines and driver, at the temperature of use: 32, and 200 in
the long tier. The margins are so wide that chance cannot close them; a worse pair, driver or policy can.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple

import pytest

from baton_reasoning.core.batch.reading.problems import read_problems
from baton_reasoning.core.demo_pair import (
    DEMO_SETTINGS,
    FEW_REFLECTIONS,
    LARGE_MODEL,
    READY_PROBLEMS,
    SMALL_MODEL,
    DemoProblem,
    held_out_problems,
)
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.intervals import Interval, wilson
from baton_reasoning.core.models.options import LoadOptions, ThinkingTags
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.cue_rules import EXCESSIVE_REFLECTION, VERIFICATION
from baton_reasoning.core.thinking.events import Event, RunEnded, TakeoverStarted
from baton_reasoning.core.thinking.policies.keywords import AFFIRMATION, REFLECTION
from baton_reasoning.core.thinking.reasons import TakeoverReason
from baton_reasoning.core.thinking.registry import POLICIES, settings_for
from baton_reasoning.core.thinking.trace import Trace
from tests.tiers import size

pytestmark = pytest.mark.slow

HELD_OUT = list(islice(held_out_problems(seed=40_417), size(32, long=200)))
AT_ONCE = 16
CHANCE = 0.36
"""Of a takeover at a boundary, for the random arm: enough to give it no smaller a large share than the method."""


class Outcome(NamedTuple):
    """How one arm did: its accuracy with Wilson's 95% interval, and the large model's part of all kept tokens."""

    accuracy: float
    interval: Interval
    large_share: float


@pytest.fixture(scope="module")
def pair():
    options = LoadOptions(context=1024, parallel=AT_ONCE, threads=1)
    small, large = LocalEngine(SMALL_MODEL, options), LocalEngine(LARGE_MODEL, options)
    yield Pair(small, large)
    small.close()
    large.close()


def outcome(pair: Pair, policy: str, chance: float = 0.0, problems: Sequence[DemoProblem] = HELD_OUT) -> Outcome:
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


@pytest.mark.scaled
def test_speculative_thinking_beats_the_small_model_and_takeovers_at_random(pair):
    small = outcome(pair, "never")
    speculative = outcome(pair, "keywords")
    at_random = outcome(pair, "random", CHANCE, HELD_OUT[: size(24, long=200)])

    assert speculative.large_share <= at_random.large_share
    assert speculative.interval.low > small.interval.high
    assert speculative.interval.low > at_random.accuracy


@pytest.mark.long
def test_the_large_model_is_nearly_always_right(pair):
    assert outcome(pair, "always").interval.low > 0.95


def test_the_first_examples_need_both_models(pair):
    """The start page offers them, and `baton demo` begins with them: with the seed that they are asked with."""
    examples = [DemoProblem.of(problem.text) for problem in read_problems(READY_PROBLEMS).problems[:3]]
    for example in filter(None, examples):
        assert outcome(pair, "never", problems=[example]).accuracy == 0
        assert outcome(pair, "keywords", problems=[example]).accuracy == 1


# The two files


PROBLEMS = list(islice(held_out_problems(seed=11), 25))


def settings(policy: str = "keywords", temperature: float = 0.0, **parameters: Any) -> RunSettings:
    """The demo's settings, but greedy unless said otherwise, so that the outcome depends on no seed."""
    chosen = settings_for(policy, DEMO_SETTINGS.policy).model_copy(update=parameters)
    return DEMO_SETTINGS.model_copy(update={"policy": chosen, "temperature": temperature})


def solve(pair: Pair, problem: DemoProblem, chosen: RunSettings) -> list[Event]:
    return list(run(pair, ask(problem.question, chosen), chosen))


def rules_until(wanted: set[TakeoverReason], pair: Pair, chosen: RunSettings) -> set[TakeoverReason]:
    """The reasons of takeovers in one problem after the other, until the wanted ones have all occurred."""
    found: set[TakeoverReason] = set()
    for problem in PROBLEMS:
        takeovers = (event for event in solve(pair, problem, chosen) if isinstance(event, TakeoverStarted))
        found |= {POLICIES.reason(event.reason) for event in takeovers}
        if wanted <= found:
            break
    return found


def test_both_files_are_small_enough_to_ship_share_one_vocabulary_and_say_what_they_are(demo_pair):
    assert SMALL_MODEL.stat().st_size + LARGE_MODEL.stat().st_size < 2_000_000
    small, large = demo_pair.small, demo_pair.large
    assert small
    assert large
    assert small.card.vocabulary == large.card.vocabulary != ""
    assert (small.card.name, large.card.name) == ("Baton demo small", "Baton demo large")
    for card in (small.card, large.card):
        assert (card.architecture, card.thinking) == ("llama", ThinkingTags("<think>", "</think>"))


def test_reflections_verifications_and_affirmations_all_occur(demo_pair):
    wanted = {REFLECTION, VERIFICATION, AFFIRMATION}
    assert wanted <= rules_until(wanted, demo_pair, settings(temperature=0.6))


def test_excessive_reflection_occurs_when_few_reflections_are_allowed(demo_pair):
    assert EXCESSIVE_REFLECTION in rules_until({EXCESSIVE_REFLECTION}, demo_pair, settings(c=FEW_REFLECTIONS))


def test_every_text_comes_to_its_own_end(demo_pair):
    for problem in PROBLEMS[:5]:
        ended = solve(demo_pair, problem, settings())[-1]
        assert isinstance(ended, RunEnded)
        assert ended.finish.value == "end of text"
