"""A real pair: a small instruct or base model beside a large one of 1.5B with another vocabulary; neither thinks.

What a model writes is not asserted. The texts are short: two cores write eight tokens a second.
"""

from __future__ import annotations

from contextlib import closing

import pytest

from baton_reasoning.core.engines.base import Message, Passing, Stop
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.remote.connection import ServerAddress
from baton_reasoning.core.engines.remote.servers import open_server
from baton_reasoning.core.models.options import LoadOptions
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.events import Finish, HandedOver, TextDiscarded, TokenWritten, WriteEnded
from baton_reasoning.core.thinking.policies.every_step import EveryStep
from baton_reasoning.core.thinking.policies.token_entropy import TokenEntropy
from baton_reasoning.core.thinking.policy import PolicySettings
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Trace
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions

pytestmark = [pytest.mark.real_models, pytest.mark.long]
PROBLEM = "Ann has 3 boxes of 12 pencils and gives away 7 pencils. How many are left?"
EVERY_STEP = EveryStep.Settings(opening=12, n1=6, n2=8)
OPTIONS = LoadOptions(context=1024, threads=1)


@pytest.fixture(scope="module")
def large(qwen):
    with closing(LocalEngine(qwen, OPTIONS)) as engine:
        yield engine


@pytest.fixture(scope="module", params=["smollm2", "gemma"])
def pair(request, large):
    with closing(LocalEngine(request.getfixturevalue(request.param), OPTIONS)) as small:
        yield Pair(small, large)


@pytest.fixture
def pair_on_a_server(qwen, smollm2):
    with (
        closing(LocalEngine(smollm2, OPTIONS)) as small,
        LlamaServer(ServerOptions(str(qwen))) as server,
        closing(open_server(ServerAddress(server.url, KEY))) as remote,
    ):
        yield Pair(small, remote)


def settings(policy: PolicySettings = EVERY_STEP, max_tokens: int = 32) -> RunSettings:
    return RunSettings(policy=policy, max_tokens=max_tokens, seed=1)


def answered(pair: Pair, chosen: RunSettings, first: Trace | None = None) -> Trace:
    """The answer to the problem, or to a second question after the `first` answer."""
    conversation = ask(PROBLEM, chosen)
    if first:
        conversation = ask("And with 4 boxes?", chosen, (*conversation, Message("assistant", first.text)))
    return Trace.of(run(pair, conversation, chosen))


def tokens_of(trace: Trace) -> list[TokenWritten]:
    return [event for event in trace.events if isinstance(event, TokenWritten)]


def handoffs_to(trace: Trace, author: Author) -> list[HandedOver]:
    return [event for event in trace.events if isinstance(event, HandedOver) and event.author is author]


def held_by(trace: Trace, author: Author) -> int:
    """Tokens that a model's cache holds at the end of a run."""
    held = 0
    for event in trace.events:
        if isinstance(event, HandedOver) and event.author is author:
            held = event.handoff.reused + event.handoff.prefilled
        elif isinstance(event, TokenWritten) and event.author is author:
            held += 1
    return held


def assert_is_whole(trace: Trace) -> None:
    """The run came to an end of its own, and all that was written stands or was discarded."""
    assert trace.finish in (Finish.END_OF_TEXT, Finish.MAX_TOKENS, Finish.REPETITION), trace.ended
    discarded = [event.text for event in trace.events if isinstance(event, TextDiscarded)]
    assert sum(len(token.text) for token in tokens_of(trace)) == len(trace.text) + len("".join(discarded))
    assert trace.answer == trace.text != "", "all of a text without thinking is the answer"


@pytest.mark.parametrize("name", ["every-step", "token-entropy", "keywords"])
def test_a_small_model_without_thinking_answers_with_a_large_one(pair, name):
    policy = EVERY_STEP if name == "every-step" else POLICIES[name].Settings()
    trace = answered(pair, settings(policy))
    assert_is_whole(trace)
    assert trace.closed is None
    if name == "every-step":  # the large model opens the text
        assert handoffs_to(trace, Author.LARGE)
        passings = {read.handoff.passing for read in handoffs_to(trace, Author.SMALL)}
        assert passings <= {Passing.TEXT}, "the vocabularies differ"


def test_a_second_turn_reads_only_what_is_new(pair):
    first = answered(pair, settings(max_tokens=60))
    second = answered(pair, settings(max_tokens=20), first)
    assert second.tokens
    for author in Author.SMALL, Author.LARGE:
        for read in handoffs_to(second, author)[:1]:
            assert held_by(first, author) - 2 <= read.handoff.reused, "the last token may not have been decoded"


def test_so_does_a_large_model_on_a_server(pair_on_a_server):
    first = answered(pair_on_a_server, settings())
    assert_is_whole(first)
    second = answered(pair_on_a_server, settings(max_tokens=16), first)
    assert second.tokens
    assert handoffs_to(second, Author.LARGE)[0].handoff.reused >= handoffs_to(first, Author.LARGE)[0].handoff.prefilled


@pytest.mark.parametrize("pair", ["smollm2"], indirect=True)
@pytest.mark.parametrize("policy", [EveryStep.Settings(), TokenEntropy.Settings(tau=0)], ids=["every-step", "token"])
def test_nothing_is_written_after_the_large_models_end_in_a_takeover(pair, policy):
    chosen = settings(policy, max_tokens=24).model_copy(update={"instruction": "", "temperature": 0})
    trace = Trace.of(run(pair, ask("Reply with one word: what is the capital of France?", chosen), chosen))
    ends = [event for event in trace.events if isinstance(event, WriteEnded) and event.stop is Stop.END_OF_TEXT]
    if not ends:
        pytest.skip("on this processor the model wrote on")
    assert trace.finish is Finish.END_OF_TEXT
    assert not any(token.at > ends[0].at for token in tokens_of(trace))
    assert "<|" not in trace.text, "an end token is no text"
