"""The claim of the demo pair, on the shipped files: where the large model writes matters, not only how much.

The margins are so wide that chance cannot close them; a worse pair, driver or policy can.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
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
from baton_reasoning.core.engines.base import Stop
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.remote.connection import ServerAddress
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from baton_reasoning.core.intervals import Estimate, wilson
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.models.thinking_tags import ThinkingTags
from baton_reasoning.core.run import Pair, ask, run
from baton_reasoning.core.thinking.registry import settings_for
from baton_reasoning.core.thinking.trace import Trace
from tests.core.engines.remote.conftest import stop, text
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions
from tests.tiers import size

pytestmark = pytest.mark.slow

HELD_OUT = list(islice(held_out_problems(seed=40_417), size(32, long=200)))
AT_ONCE = 16
CHANCE = 0.36
"""Of a takeover at a boundary, for the random arm: enough to give it no smaller a large share than the method."""


class Outcome(NamedTuple):
    """How one arm did: its accuracy with Wilson's 95% interval, and the large model's part of all kept tokens."""

    accuracy: Estimate
    large_share: float


@pytest.fixture(scope="module")
def pair():
    options = LoadOptions(context=1024, parallel=AT_ONCE, threads=1)
    with closing(LocalEngine(SMALL_MODEL, options)) as small, closing(LocalEngine(LARGE_MODEL, options)) as large:
        yield Pair(small, large)


def outcome(pair: Pair, policy: str, chance: float = 0.0, problems: Sequence[DemoProblem] = HELD_OUT) -> Outcome:
    chosen = settings_for(policy, DEMO_SETTINGS.policy)
    chosen = chosen.model_copy(update={"p": chance}) if policy == "random" else chosen

    def solve(numbered: tuple[int, DemoProblem]) -> Trace:
        seed, problem = numbered
        settings = DEMO_SETTINGS.model_copy(update={"policy": chosen, "seed": seed})
        return Trace.of(run(pair, ask(problem.question, settings), settings))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        traces = list(pool.map(solve, enumerate(problems)))
    endings = (f"\\boxed{{{problem.answer}}}." for problem in problems)
    correct = sum(trace.text.endswith(ending) for trace, ending in zip(traces, endings, strict=True))
    large = sum(trace.totals[Author.LARGE].kept for trace in traces)
    written = sum(trace.tokens for trace in traces)
    return Outcome(wilson(correct, len(traces)), large / written)


@pytest.mark.scaled
def test_speculative_thinking_beats_the_small_model_and_takeovers_at_random(pair):
    small = outcome(pair, "never")
    speculative = outcome(pair, "keywords")
    at_random = outcome(pair, "random", CHANCE, HELD_OUT[: size(24, long=200)])
    assert speculative.large_share <= at_random.large_share
    assert speculative.accuracy.low > small.accuracy.high
    assert speculative.accuracy.low > at_random.accuracy.value


@pytest.mark.long
def test_the_large_model_is_nearly_always_right(pair):
    assert outcome(pair, "always").accuracy.low > 0.95


def test_the_first_examples_need_both_models(pair):
    """The start page offers them, and `baton demo` begins with them: with the seed that they are asked with."""
    for row in read_problems(READY_PROBLEMS).problems[:3]:
        example = DemoProblem(int(row.id))
        assert outcome(pair, "never", problems=[example]).accuracy.value == 0
        assert outcome(pair, "keywords", problems=[example]).accuracy.value == 1


def test_both_files_are_small_enough_to_ship_share_one_vocabulary_and_think(pair):
    assert SMALL_MODEL.stat().st_size + LARGE_MODEL.stat().st_size < 2_000_000
    small, large = pair.small.card, pair.large.card
    assert small.vocabulary == large.vocabulary != ""
    assert small.thinking == large.thinking == ThinkingTags("<think>\n", "</think>")


@pytest.mark.parametrize("model", [SMALL_MODEL, pytest.param(LARGE_MODEL, marks=pytest.mark.long)])
def test_a_llama_server_writes_what_the_local_engine_writes_to_its_own_end(model):
    with (
        LlamaServer(ServerOptions(str(model))) as server,
        closing(LlamaServerEngine(ServerAddress(server.url, KEY))) as remote,
        closing(LocalEngine(model, LoadOptions(context=1024, threads=1))) as local,
    ):
        assert remote.card.parameters == local.card.parameters
        for problem in islice(held_out_problems(seed=11), 3):
            written = []
            for engine in (remote, local):
                with closing(engine.open(ask(problem.question, DEMO_SETTINGS), Sampling(temperature=0.0))) as session:
                    written.append(list(session.write([], DEMO_SETTINGS.max_tokens, seed=0)))
            assert text(written[0]) == text(written[1])
            assert [stop(items) for items in written] == [Stop.END_OF_TEXT, Stop.END_OF_TEXT]
