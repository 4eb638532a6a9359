"""Drafted takeovers: the small model drafts, and the large one keeps what it would have drawn itself."""

from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL, held_out_problems
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
from tests.core.engines.local.conftest import GREEDY, assert_cache_holds, ids, write
from tests.tiers import size

QUESTIONS: list[Conversation] = [(Message("user", problem.question),) for problem in islice(held_out_problems(6), 20)]
QUESTION = QUESTIONS[0]
ALIKE = 0.8
"""Share of texts that must be equal to the letter: a wider decode rounds differently, and there may be near-ties."""
OPTIONS = LoadOptions(context=512, threads=1, drafts=Switch.ON)
pytestmark = pytest.mark.slow


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
def pair():
    with closing(LocalEngine(SMALL_MODEL, OPTIONS)) as small, closing(LocalEngine(LARGE_MODEL, OPTIONS)) as large:
        yield DraftingPair(small, large)


@pytest.mark.scaled
@pytest.mark.parametrize("temperature", [0.0, 0.6])
def test_drafted_texts_are_those_of_the_large_model_alone(pair, temperature):
    pair.large.draft_lengths[pair.small] = ConstantLength(4)
    questions, equal = QUESTIONS[: size(5, long=20)], 0
    for seed, question in enumerate(questions):
        texts: dict[str, list[TokenWritten]] = {}
        for policy in ("always", "drafted"):
            settings = RunSettings(policy=policy, seed=seed, temperature=temperature, max_tokens=60)
            events = list(run(Pair(*pair), question, settings))
            texts[policy] = [event for event in events if isinstance(event, TokenWritten)]
            assert Trace.of(events).large_share == 1, "the small one writes nothing"
        found = texts["drafted"]
        equal += [token.id for token in found] == [token.id for token in texts["always"]]
        accepted, rejected = sum(token.drafted for token in found), sum(token.rejected_drafts for token in found)
        assert accepted > len(found) / 3, "drafts drawn by the same random numbers are often accepted"
        assert accepted + rejected <= 4 * (len(found) - accepted), "at most four drafts a decode"
    assert equal >= ALIKE * len(questions)


def test_drafts_are_drawn_by_the_random_numbers_of_the_write(pair):
    """A model that drafts for its own copy, with other random numbers for each write, drafts what that one draws."""
    sampling = Sampling(temperature=3, top_p=1, top_k=8)  # of a whole vocabulary every draw is a near-tie
    drafting, writing = (pair.small.open(QUESTION, sampling) for _ in range(2))
    texts = []
    for seed in (1, 2):
        written = [id for id in ids(write(writing, Body(), 9, seed)) if id is not None]
        base = None
        for start in (0, 5, 3):
            request = DraftedWrite((), written[:start], sampling, seed, base=base)
            drafts, base = drafting.draft(request, 4).ids, request.base
            assert list(drafts[:3]) == written[start : start + 3]
        texts.append(written)
    assert texts[0] != texts[1], "the seed makes a difference"
    drafting.close()
    writing.close()


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


def test_the_context_is_filled_to_its_end_with_drafts(pair):
    small, _ = pair.sessions(GREEDY)
    with closing(LocalEngine(LARGE_MODEL, OPTIONS.model_copy(update={"context": small.prompt_tokens + 31}))) as short:
        short.draft_lengths[pair.small] = ConstantLength(8)
        large = short.open(QUESTION, GREEDY)
        assert large.use_drafts_of(small)
        items = write(large, Body(), limit=1000)
    assert items[-1] == End(Stop.CONTEXT_FULL)
    assert len(ids(items)) == 31


def test_what_drafts_cost_and_save_is_known_in_the_next_conversation(pair):
    _, first = pair.sessions(Sampling())
    write(first, Body(), limit=12)
    known = pair.large.draft_lengths[pair.small]
    assert known.plain_seconds > 0
    assert known.seconds_a_draft > 0
    second = pair.large.open(QUESTION, Sampling())
    assert second.use_drafts_of(pair.small.open(QUESTION, Sampling()))
    assert pair.large.draft_lengths[pair.small] is known


def test_only_a_model_of_its_vocabulary_on_this_machine_whose_text_can_be_cut_drafts_and_by_default_on_a_gpu(pair):
    small, large = pair.small.card, pair.large.card
    assert large.obstacle_to_drafts_of(small) == ""
    assert small.placement
    changes: list[tuple[dict[str, Any], str]] = [
        ({"placement": None}, "both must be on this machine"),
        ({"vocabulary": "another"}, "their vocabularies differ"),
        ({"supports_truncation": False}, "recurrent memory"),
        ({"placement": replace(small.placement, parallel=2)}, "parallel requests"),
    ]
    for change, words in changes:
        assert words in large.obstacle_to_drafts_of(replace(small, **change))
        assert words in replace(large, **change).obstacle_to_drafts_of(small)
    unknown = replace(small, vocabulary="")
    assert "vocabularies" in unknown.obstacle_to_drafts_of(unknown)
    session = pair.large.open(QUESTION, Sampling())
    assert not session.use_drafts_of(pair.large.open(QUESTION, Sampling())), "the same model"
    with closing(LocalEngine(LARGE_MODEL, LoadOptions(context=512, threads=1))) as on_cpu:
        session, drafting = on_cpu.open(QUESTION, Sampling()), pair.small.open(QUESTION, Sampling())
        assert not session.use_drafts_of(drafting)
        assert session.use_drafts_of(drafting, asked=True)
        on_cpu.card = replace(on_cpu.card, vocabulary="another")
        assert not session.use_drafts_of(drafting, asked=True)


# How many tokens are drafted -----------------------------------------------------------------------------------------


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
