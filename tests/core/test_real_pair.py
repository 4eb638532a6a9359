"""Real pairs: a large model of 1.5B with a small one of its family, or one with another vocabulary; none thinks.

What a model writes is not asserted. The texts are short: two cores write eight tokens a second.
"""

from contextlib import closing

import pytest

from baton_reasoning.core.engines.base import Handoff, Message, Passing
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.remote.connection import ServerAddress
from baton_reasoning.core.engines.remote.servers import open_server
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.events import Finish, HandedOver, TextDiscarded, TokenWritten
from baton_reasoning.core.thinking.policies.keywords import EveryStep
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Trace
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions

pytestmark = [pytest.mark.real_models, pytest.mark.long]
PROBLEM = "Ann has 3 boxes of 12 pencils and gives away 7 pencils. How many are left?"
EVERY_STEP = EveryStep.Settings(opening=12, n1=6, n2=8)
OPTIONS = LoadOptions(context=1024, threads=1)


@pytest.fixture(scope="module")
def large(real_pair):
    with closing(LocalEngine(real_pair.large, OPTIONS)) as engine:
        yield engine


@pytest.fixture(scope="module", params=["of one family", "smollm2", "gemma"])
def pair(request, real_pair, large):
    path = real_pair.small if request.param == "of one family" else request.getfixturevalue(request.param)
    with closing(LocalEngine(path, OPTIONS)) as small:
        yield Pair(small, large)


def answered(pair: Pair, chosen: RunSettings, first: Trace | None = None) -> Trace:
    """The answer to the problem, or to a second question after the `first` answer."""
    conversation = ask(PROBLEM, chosen)
    if first:
        conversation = ask("And with 4 boxes?", chosen, (*conversation, Message("assistant", first.text)))
    return Trace.of(run(pair, conversation, chosen))


def handoffs_to(trace: Trace, author: Author) -> list[Handoff]:
    return [event.handoff for event in trace.events if isinstance(event, HandedOver) and event.author is author]


@pytest.mark.parametrize("name", ["every-step", "token-entropy", "keywords"])
def test_a_small_model_without_thinking_answers_with_a_large_one(pair, name):
    policy = EVERY_STEP if name == "every-step" else POLICIES[name].Settings()
    trace = answered(pair, RunSettings(policy=policy, max_tokens=32, seed=1))
    assert trace.finish in (Finish.END_OF_TEXT, Finish.MAX_TOKENS, Finish.REPETITION), trace.ended
    discarded = sum(len(event.text) for event in trace.events if isinstance(event, TextDiscarded))
    written = sum(len(event.text) for event in trace.events if isinstance(event, TokenWritten))
    assert written == len(trace.text) + discarded
    assert trace.answer == trace.text != "", "all of a text without thinking is the answer"
    if name == "every-step":  # the large model opens the text
        assert handoffs_to(trace, Author.LARGE)
        passing = Passing.IDS if "Qwen" in pair.small.card.name else Passing.TEXT
        assert {read.passing for read in handoffs_to(trace, Author.SMALL)} <= {passing}, "one vocabulary, or two"


def test_a_second_turn_reads_only_what_is_new_here_and_on_a_server(pair, real_pair):
    options = ServerOptions(str(real_pair.large))
    with LlamaServer(options) as server, closing(open_server(ServerAddress(server.url, KEY))) as remote:
        for large in (pair.large, remote):
            chosen = RunSettings(policy=EVERY_STEP, max_tokens=32, seed=1)
            first = answered(Pair(pair.small, large), chosen)
            second = answered(Pair(pair.small, large), chosen, first)
            assert second.tokens
            for author in Author.SMALL, Author.LARGE:
                read_before = handoffs_to(first, author)[0 if large is remote else -1]  # a server splits texts anew
                held = read_before.reused + read_before.prefilled
                assert all(held - 2 <= read.reused for read in handoffs_to(second, author)[:1])
