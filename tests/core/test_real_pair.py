"""A real pair: a small instruct or base model beside a large one of 1.5B with another vocabulary; neither thinks.

What a model writes is not asserted. The texts are short: two cores write eight tokens a second.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack, closing

import pytest

from baton_reasoning.core.engines.base import Conversation, Message, Passing, Stop
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.remote.connection import ServerAddress
from baton_reasoning.core.engines.remote.servers import open_server
from baton_reasoning.core.models.options import LoadOptions
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.events import Event, Finish, HandedOver, TextDiscarded, TokenWritten, WriteEnded
from baton_reasoning.core.thinking.interruptions import Control
from baton_reasoning.core.thinking.policies.every_step import EveryStep
from baton_reasoning.core.thinking.policies.token_entropy import TokenEntropy
from baton_reasoning.core.thinking.policy import PolicySettings
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Trace
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions

pytestmark = [pytest.mark.real_models, pytest.mark.long]
PROBLEM = "Ann has 3 boxes of 12 pencils and gives away 7 pencils. How many are left?"
FOLLOW_UP = "And with 4 boxes?"
EVERY_STEP = EveryStep.Settings(opening=12, n1=6, n2=8)
OPTIONS = LoadOptions(context=1024, threads=1)
THIRD = 3
"""The token of the large model at which something happens: within its opening."""


@pytest.fixture(scope="module")
def large(qwen):
    with closing(LocalEngine(qwen, OPTIONS)) as engine:
        yield engine


@pytest.fixture(scope="module", params=["smollm2", "gemma"])
def pair(request, large):
    with closing(LocalEngine(request.getfixturevalue(request.param), OPTIONS)) as small:
        yield Pair(small, large)


@pytest.fixture(scope="module")
def small(smollm2):
    with closing(LocalEngine(smollm2, OPTIONS)) as engine:
        yield engine


def settings(policy: PolicySettings = EVERY_STEP, max_tokens: int = 32) -> RunSettings:
    return RunSettings(policy=policy, max_tokens=max_tokens, seed=1)


def solved(
    pair: Pair,
    conversation: Conversation,
    chosen: RunSettings,
    at_third: Callable[[], object] = lambda: None,
    control: Control | None = None,
) -> Trace:
    """Run to the end. `at_third` is called at the third token of the large model."""
    events: list[Event] = []
    tokens = 0
    for event in run(pair, conversation, chosen, control=control):
        events.append(event)
        if isinstance(event, TokenWritten) and event.author is Author.LARGE:
            tokens += 1
            if tokens == THIRD:
                at_third()
    return Trace.of(events)


def continued(first: Trace) -> Conversation:
    """The second turn of a conversation."""
    return ask(FOLLOW_UP, settings(), (*ask(PROBLEM, settings()), Message("assistant", first.text)))


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


def assert_reads_what_is_new(first: Trace, second: Trace) -> None:
    """The last token may not have been decoded."""
    for author in Author.SMALL, Author.LARGE:
        for read in handoffs_to(second, author)[:1]:
            assert held_by(first, author) - 2 <= read.handoff.reused


def assert_is_whole(trace: Trace) -> None:
    """The run came to an end of its own, and all that was written stands or was discarded."""
    assert trace.finish in (Finish.END_OF_TEXT, Finish.MAX_TOKENS, Finish.REPETITION), trace.ended
    discarded = [event.text for event in trace.events if isinstance(event, TextDiscarded)]
    assert sum(len(token.text) for token in tokens_of(trace)) == len(trace.text) + len("".join(discarded))
    assert trace.answer == trace.text != "", "all of a text without thinking is the answer"


@pytest.mark.parametrize("name", ["every-step", "token-entropy", "keywords"])
def test_a_small_model_without_thinking_answers_with_a_large_one(pair, name):
    policy = EVERY_STEP if name == "every-step" else POLICIES[name].Settings()
    trace = solved(pair, ask(PROBLEM, settings()), settings(policy))
    assert_is_whole(trace)
    assert trace.closed is None
    if name == "every-step":  # the large model opens the text
        assert handoffs_to(trace, Author.LARGE)
        passings = {read.handoff.passing for read in handoffs_to(trace, Author.SMALL)}
        assert passings <= {Passing.TEXT}, "the vocabularies differ"


def test_a_second_turn_reads_only_what_is_new(pair):
    first = solved(pair, ask(PROBLEM, settings()), settings(max_tokens=60))
    second = solved(pair, continued(first), settings(max_tokens=20))
    assert second.tokens
    assert_reads_what_is_new(first, second)


def test_a_stop_in_a_takeover_keeps_the_text_and_frees_the_model(small, large):
    control, process = Control(), large.process.pid
    pair = Pair(small, large)
    stopped = solved(pair, ask(PROBLEM, settings()), settings(), control.stop, control)
    assert stopped.finish is Finish.STOPPED
    assert stopped.text == "".join(token.text for token in tokens_of(stopped)) != ""
    again = solved(pair, ask(PROBLEM, settings()), settings(max_tokens=8))
    assert again.tokens
    assert large.process.pid == process


def test_a_kill_in_a_takeover_is_told_and_the_text_goes_on(small, large):
    def kill() -> None:
        os.kill(large.process.pid or 0, signal.SIGKILL)

    trace = solved(Pair(small, large), ask(PROBLEM, settings()), settings(), kill)
    assert_is_whole(trace)
    assert ["started again" in notice.text for notice in trace.notices] == [True]


@pytest.mark.parametrize("policy", [EveryStep.Settings(), TokenEntropy.Settings(tau=0)], ids=["every-step", "token"])
def test_nothing_is_written_after_the_large_models_end_in_a_takeover(small, large, policy):
    chosen = settings(policy, max_tokens=24).model_copy(update={"instruction": "", "temperature": 0})
    trace = solved(Pair(small, large), ask("Reply with one word: what is the capital of France?", chosen), chosen)
    ends = [event for event in trace.events if isinstance(event, WriteEnded) and event.stop is Stop.END_OF_TEXT]
    if not ends:
        pytest.skip("on this processor the model wrote on")
    assert trace.finish is Finish.END_OF_TEXT
    assert not any(token.at > ends[0].at for token in tokens_of(trace))
    assert "<|" not in trace.text, "an end token is no text"


# The large model on a llama-server


@pytest.fixture
def server(qwen):
    with LlamaServer(ServerOptions(str(qwen))) as server:
        yield server


@pytest.fixture
def remote(server):
    with closing(open_server(ServerAddress(server.url, KEY))) as engine:
        yield engine


def test_a_stop_and_two_turns_with_the_large_model_on_a_server(small, remote):
    pair, control = Pair(small, remote), Control()
    stopped = solved(pair, ask(PROBLEM, settings()), settings(), control.stop, control)
    assert stopped.finish is Finish.STOPPED
    assert stopped.text == "".join(token.text for token in tokens_of(stopped)) != ""
    first = solved(pair, ask(PROBLEM, settings()), settings())
    assert_is_whole(first)
    second = solved(pair, continued(first), settings(max_tokens=16))
    assert second.tokens
    assert handoffs_to(second, Author.LARGE)[0].handoff.reused >= handoffs_to(first, Author.LARGE)[0].handoff.prefilled


def test_the_text_goes_on_when_the_server_was_killed_in_a_takeover(small, remote, server):
    with ExitStack() as later:

        def restart() -> None:
            server.kill()
            later.enter_context(LlamaServer(ServerOptions(server.options.model, port=server.port)))

        trace = solved(Pair(small, remote), ask(PROBLEM, settings()), settings(), restart)
    assert_is_whole(trace)
    assert trace.notices, "it is told"


def test_a_server_that_stays_away_leaves_the_text_to_the_small_model(small, remote, server):
    trace = solved(Pair(small, remote), ask(PROBLEM, settings()), settings(), server.kill)
    assert_is_whole(trace)
    assert "The small model goes on alone" in trace.notices[-1].text
