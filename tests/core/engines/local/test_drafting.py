"""Drafted takeovers: the small model drafts, and the large one keeps what it would have drawn itself."""

import math
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.engines.base import Conversation, End, Message, Stop
from baton_reasoning.core.engines.body import Author, Body, Part
from baton_reasoning.core.engines.local.drafting import (
    FIRST,
    FIRST_PAUSE,
    PLAIN_TOKENS,
    DraftedTokens,
    DraftedWrite,
    Drafter,
    DraftLength,
    DraftPlan,
    tokens_per_decode,
)
from baton_reasoning.core.engines.local.engine import LocalEngine, LocalSession
from baton_reasoning.core.engines.local.messages import Drafts, DraftsWanted
from baton_reasoning.core.errors import EngineError
from baton_reasoning.core.models.options import LoadOptions, Sampling, Switch
from baton_reasoning.core.run import Pair, RunSettings, run
from baton_reasoning.core.thinking.events import TokenWritten
from baton_reasoning.core.thinking.trace import Trace
from tests.bench.drafting import ConstantLength
from tests.bench.generated import f32_copy
from tests.core.engines.local.conftest import GREEDY, assert_cache_holds, ids, write
from tests.tiers import size

QUESTION: Conversation = (Message("user", "Tell me a long story about a fox who learns to count."),)
WRITTEN = size(20, long=80)
"""Tokens."""
ROUNDING = 0.05
"""By which log-probabilities of this model differ between decodes of other widths."""
OPTIONS = LoadOptions(context=1024, threads=1, drafts=Switch.ON)


class DraftingPair(NamedTuple):
    small: LocalEngine
    large: LocalEngine

    def sessions(self, sampling: Sampling, always: int | None = None) -> tuple[LocalSession, LocalSession]:
        """A large session that uses drafts; `always`: so many at each decode, whatever that costs."""
        self.large.draft_lengths[self.small] = ConstantLength(always) if always else DraftLength()
        small, large = self.small.open(QUESTION, sampling), self.large.open(QUESTION, sampling)
        assert large.use_drafts_of(small)
        return small, large


@pytest.fixture(scope="module")
def pair(smollm2, tmp_path_factory):
    """SmolLM2 at four bits drafts for its own copy at 32."""
    copy = f32_copy(smollm2, tmp_path_factory.mktemp("f32") / "smollm2-f32.gguf")
    with closing(LocalEngine(smollm2, OPTIONS)) as small, closing(LocalEngine(copy, OPTIONS)) as large:
        yield DraftingPair(small, large)


@pytest.mark.real_models
@pytest.mark.scaled
@pytest.mark.parametrize("temperature", [pytest.param(0.0, marks=pytest.mark.long), 0.6])
def test_a_drafted_text_is_that_of_the_large_model_alone_up_to_near_ties(pair, temperature):
    models, sampling = Pair(pair.small, pair.large), Sampling(temperature, 0.95, 20)
    pair.large.draft_lengths[pair.small] = ConstantLength(4)
    texts: dict[str, list[TokenWritten]] = {}
    for policy in ("always", "drafted"):
        settings = RunSettings(
            policy=policy, seed=5, temperature=temperature, top_k=20, alternatives=20, max_tokens=WRITTEN
        )
        events = list(run(models, QUESTION, settings))
        texts[policy] = [event for event in events if isinstance(event, TokenWritten)]
        assert Trace.of(events).large_share == 1, "the small one writes nothing"
    found = texts["drafted"]
    assert_same_up_to_near_ties(texts["always"], found, sampling)
    accepted, rejected = sum(token.drafted for token in found), sum(token.rejected_drafts for token in found)
    assert accepted > WRITTEN / 2, "drafts drawn by the same random numbers are mostly accepted"
    assert accepted + rejected <= 4 * (len(found) - accepted), "at most four drafts a decode"


def assert_same_up_to_near_ties(
    expected: Sequence[TokenWritten], found: Sequence[TokenWritten], sampling: Sampling
) -> None:
    """The texts are the same up to a token where one random number lies in the part of both."""
    assert len(found) == len(expected)
    difference = next((both for both in zip(expected, found, strict=True) if both[0].id != both[1].id), None)
    if difference:
        one, other = difference
        chances = {choice.id: choice.logprob for choice in one.alternatives}
        shared = [(chances[choice.id], choice.logprob) for choice in other.alternatives if choice.id in chances]
        assert max(abs(a - b) for a, b in shared[:10]) < ROUNDING, "the wider decode gave other logits"
        (from_one, to_one), (from_other, to_other) = span(one, sampling), span(other, sampling)
        assert max(from_one, from_other) <= min(to_one, to_other) + 1e-5, "not a near-tie"


def span(token: TokenWritten, sampling: Sampling) -> tuple[float, float]:
    """From which random number to which, 0 to 1, this token is drawn: its part of the candidates, likeliest first."""
    logprobs = [choice.logprob for choice in token.alternatives]
    if sampling.temperature == 0:
        gap = logprobs[0] - next(choice.logprob for choice in token.alternatives if choice.id == token.id)
        return (0.0, 1.0) if gap < 2 * ROUNDING else (2.0, 2.0)
    chances = [math.exp(logprob / sampling.temperature) for logprob in logprobs[: sampling.top_k]]
    kept = next(n for n in range(1, len(chances) + 1) if sum(chances[:n]) >= sampling.top_p * sum(chances))
    weights = chances[:kept]
    rank = [choice.id for choice in token.alternatives].index(token.id)
    return sum(weights[:rank]) / sum(weights), sum(weights[: rank + 1]) / sum(weights)


@pytest.mark.real_models
def test_drafts_are_drawn_by_the_random_numbers_of_the_write(pair):
    """A model that drafts for its own copy, with other random numbers for each write, drafts what that one draws."""
    sampling = Sampling(temperature=1.5, top_p=1, top_k=8)  # of a whole vocabulary every draw is a near-tie
    drafting, writing = (pair.small.open(QUESTION, sampling) for _ in range(2))
    for seed in (1, 2):
        written = [id for id in ids(write(writing, Body(), 9, seed)) if id is not None]
        base = None
        for start in (0, 5, 3):
            request = DraftedWrite((), written[:start], sampling, seed, base=base)
            drafts, base = drafting.draft(request, 4).ids, request.base
            assert list(drafts[:3]) == written[start : start + 3]
    drafting.close()
    writing.close()


class OnceReading:
    """A small model that reads for an hour before its first draft, as it says; then its process dies."""

    def draft(self, write: DraftedWrite, count: int) -> DraftedTokens:
        is_first, write.base = write.base is None, 100
        if not is_first:
            raise EngineError("Its process stopped.")
        return DraftedTokens((1, 2, 3, 4)[:count], 3600.0)


def test_reading_before_the_first_draft_is_no_cost_of_drafts_and_a_model_that_is_lost_drafts_no_more():
    length = DraftLength(plain_seconds=1.0)
    drafter = Drafter(OnceReading(), length)
    assert drafter.begin(DraftedWrite()) == 1
    wanted = DraftsWanted(1, 0, 0, 0.0, 1.0)
    assert drafter.answer(wanted) == Drafts(1, (1, 2, 3, 4), 0)
    assert drafter.answer(wanted._replace(tried=FIRST, accepted=FIRST, seconds=1.0)) == Drafts(1, (), FIRST_PAUSE)
    assert length.seconds_a_draft == 0
    assert drafter.answer(wanted) == Drafts(1, (), FIRST_PAUSE)


@pytest.mark.real_models
def test_after_drafts_the_cache_holds_exactly_the_text_also_where_a_write_was_closed_or_cancelled(pair):
    small, large = pair.sessions(Sampling(), always=4)
    body = Body()
    for seed in range(2):
        write(large, body, limit=8, seed=seed)
        body.append(Part(" So, then:", Author.INSERTED))
        assert_cache_holds(body.parts, large, pair.large, QUESTION)
    assert len(ids(write(large, body, limit=50, stop_after=5))) == 5
    assert len(ids(write(small, body, limit=4))) == 4
    assert len(ids(write(large, body, limit=9))) == 9, "drafts keep its limit"
    assert_cache_holds(body.parts, large, pair.large, QUESTION)
    items = []
    for item in large.write([], 400, 1):
        items.append(item)
        if len(ids(items)) == 6:
            large.cancel()
    assert items[-1] == End(Stop.CANCELLED)


@pytest.mark.real_models
def test_the_context_is_filled_to_its_end_with_drafts(smollm2, pair):
    options = OPTIONS.model_copy(update={"context": 64})
    with closing(LocalEngine(smollm2, options)) as short:
        short.draft_lengths[pair.small] = ConstantLength(8)
        large = short.open(QUESTION, GREEDY)
        assert large.use_drafts_of(pair.small.open(QUESTION, Sampling()))
        items = write(large, Body(), limit=1000)
        assert items[-1] == End(Stop.CONTEXT_FULL)
        assert large.prompt_tokens + len(ids(items)) == 64


@pytest.mark.real_models
def test_a_model_of_another_vocabulary_or_a_model_on_the_cpu_gets_no_drafts(pair, small_engine, large_engine):
    large = pair.large.open(QUESTION, Sampling())
    assert not large.use_drafts_of(large_engine.open(QUESTION, Sampling()))
    assert not large.use_drafts_of(pair.large.open(QUESTION, Sampling())), "the same model"
    on_cpu = small_engine.open(QUESTION, Sampling())
    assert not on_cpu.use_drafts_of(pair.large.open(QUESTION, Sampling())), "automatic is a GPU's"


def test_more_is_drafted_where_drafts_are_cheap_and_accepted_and_less_where_they_are_often_rejected():
    assert DraftLength().plan() == DraftPlan(0, PLAIN_TOKENS), "plain decodes are timed first"
    cheap, rejected = DraftLength(plain_seconds=1.0), DraftLength(plain_seconds=1.0)
    assert cheap.plan() == DraftPlan(FIRST)
    for _ in range(10):
        cheap.record(4, accepted=4, seconds=1.1)
        rejected.record(4, accepted=0, seconds=1.4)
    assert cheap.plan().drafts == 8
    assert rejected.plan().drafts <= 1
    assert cheap.acceptance > 0.99
    assert rejected.acceptance < 0.1
    assert cheap.seconds_a_draft == pytest.approx(0.025)
    assert rejected.seconds_a_draft == pytest.approx(0.1)


@given(st.floats(0, 0.98), st.integers(0, 8))
def test_a_decode_yields_a_token_and_each_draft_before_which_all_are_accepted(acceptance, drafts):
    expected = sum(acceptance**place for place in range(drafts + 1))
    assert tokens_per_decode(acceptance, drafts) == pytest.approx(expected)
    length = DraftLength(acceptance, plain_seconds=2.0, seconds_a_draft=0.5)
    assert length.speed(drafts) == pytest.approx(expected / (2 + drafts / 2))


def test_drafting_that_does_not_pay_pauses_longer_and_longer():
    length = DraftLength(plain_seconds=1.0)
    pauses = []
    for _ in range(7):
        length.record(4, accepted=3, seconds=6.0)
        plan = length.plan()
        assert plan.drafts == 0
        pauses.append(plan.plain)
        length.record_plain(plan.plain - 1)
        assert length.plan() == DraftPlan(0, 1), "a pause goes on in the next write"
        length.record_plain(1)
        assert length.plan().drafts == FIRST, "and then it is tried again"
    assert pauses == [64, 128, 256, 512, 1024, 2048, 2048]


@pytest.mark.real_models
def test_what_drafts_cost_and_save_is_known_in_the_next_conversation(pair):
    _, first = pair.sessions(Sampling())
    write(first, Body(), limit=12)
    known = pair.large.draft_lengths[pair.small]
    assert known.plain_seconds > 0
    assert known.seconds_a_draft > 0
    small, second = pair.small.open(QUESTION, Sampling()), pair.large.open(QUESTION, Sampling())
    assert second.use_drafts_of(small)
    assert pair.large.draft_lengths[pair.small] is known
