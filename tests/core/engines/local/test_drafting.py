"""Drafted takeovers: the small model drafts, and the large one keeps what it would have drawn itself."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from core.engines.base import Conversation, End, Message, Stop, Token
from core.engines.body import Author, Body, Part
from core.engines.local.client import LocalEngine, LocalSession
from core.engines.local.drafting import FIRST, DraftLength, DraftPlan
from core.models.loading import LoadOptions, Switch
from core.models.overrides import Sampling
from tests.bench.drafting import ConstantLength
from tests.bench.generated import f32_copy
from tests.core.engines.local.writing import ids, write

QUESTION: Conversation = (Message("user", "Tell me a long story about a fox who learns to count."),)
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
def pair(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DraftingPair]:
    """SmolLM2 at four bits drafts for its own copy at 32."""
    copy = f32_copy(smollm2, tmp_path_factory.mktemp("f32") / "smollm2-f32.gguf")
    with closing(LocalEngine(smollm2, OPTIONS)) as small, closing(LocalEngine(copy, OPTIONS)) as large:
        yield DraftingPair(small, large)


def tokens(session: LocalSession, limit: int, seed: int, body: Body | None = None) -> list[Token]:
    items = session.write(body.parts if body else [], limit, seed, alternatives=20)
    return [item for item in items if isinstance(item, Token)]


@pytest.mark.real_models
@pytest.mark.parametrize("temperature", [0.0, 0.6])
def test_the_same_seed_writes_the_same_text_with_drafts_up_to_near_ties(pair: DraftingPair, temperature: float) -> None:
    plain = pair.large.open(QUESTION, Sampling(temperature))
    _, drafting = pair.sessions(Sampling(temperature), always=4)
    expected, found = tokens(plain, 80, seed=7), tokens(drafting, 80, seed=7)
    assert len(found) == len(expected)
    for one, other in zip(expected, found, strict=True):
        if one.id != other.id:
            # Wider decodes round differently, by up to 0.4 a logit for this model.
            chances = {choice.id: choice.logprob for choice in one.alternatives}
            assert one.logprob is not None
            assert abs(chances.get(other.id, -99) - one.logprob) < 0.8 * max(temperature, 1) * 4, "not a near-tie"
            break
    accepted, rejected = sum(token.drafted for token in found), sum(token.rejected_drafts for token in found)
    assert accepted > 30, "most drafts are accepted"
    assert accepted + rejected <= 4 * (len(found) - accepted), "at most four drafts a decode"


@pytest.mark.real_models
def test_after_drafts_the_cache_holds_exactly_the_text(pair: DraftingPair) -> None:
    _, large = pair.sessions(Sampling(), always=3)
    body = Body()
    for seed in range(3):
        write(large, body, limit=10, seed=seed)
        body.append(Part(" So, then:", Author.INSERTED))
        large.read(body.parts)
        assert large.text_in_cache().decode().endswith(body.text)


@pytest.mark.real_models
def test_a_drafted_write_can_be_closed_and_goes_on(pair: DraftingPair) -> None:
    small, large = pair.sessions(Sampling(), always=4)
    body = Body()
    assert len(ids(write(large, body, limit=50, stop_after=5))) == 5
    assert len(ids(write(small, body, limit=4))) == 4
    assert len(ids(write(large, body, limit=9))) == 9
    large.read(body.parts)
    assert large.text_in_cache().decode().endswith(body.text)


@pytest.mark.real_models
def test_a_drafted_write_keeps_its_limit_and_can_be_cancelled(pair: DraftingPair) -> None:
    _, large = pair.sessions(Sampling(temperature=0), always=8)
    assert len(tokens(large, 7, seed=1)) == 7
    items = []
    for item in large.write([], 400, 1):
        items.append(item)
        if len(ids(items)) == 6:
            large.cancel()
    assert items[-1] == End(Stop.CANCELLED)


@pytest.mark.real_models
def test_the_context_is_filled_to_its_end_with_drafts(smollm2: Path, pair: DraftingPair) -> None:
    options = OPTIONS.model_copy(update={"context": 128})
    with closing(LocalEngine(pair.large.path, options)) as short:
        large = short.open(QUESTION, Sampling(temperature=1.5, top_p=1, top_k=0))
        assert large.use_drafts_of(pair.small.open(QUESTION, Sampling()))
        items = write(large, Body(), limit=1000)
        assert items[-1] in (End(Stop.CONTEXT_FULL), End(Stop.END_OF_TEXT))
        if items[-1] == End(Stop.CONTEXT_FULL):
            assert large.prompt_tokens + len(ids(items)) == 128


@pytest.mark.real_models
def test_a_model_of_another_vocabulary_or_a_model_on_the_cpu_gets_no_drafts(
    pair: DraftingPair, small_engine: LocalEngine, large_engine: LocalEngine
) -> None:
    large = pair.large.open(QUESTION, Sampling())
    assert not large.use_drafts_of(large_engine.open(QUESTION, Sampling()))
    assert not large.use_drafts_of(pair.large.open(QUESTION, Sampling())), "the same model"
    on_cpu = small_engine.open(QUESTION, Sampling())
    assert not on_cpu.use_drafts_of(pair.large.open(QUESTION, Sampling())), "automatic is a GPU's"


def test_plain_decodes_are_timed_before_the_first_drafts() -> None:
    length = DraftLength()
    assert length.plan().drafts == 0
    length.plain_seconds = 0.01
    assert length.plan().drafts == FIRST


def test_more_is_drafted_where_drafts_are_cheap_and_accepted() -> None:
    length = DraftLength(plain_seconds=1.0)
    for _ in range(10):
        length.record(4, accepted=4, seconds=1.1)
    assert length.plan().drafts == 8


def test_less_is_drafted_where_they_are_often_rejected() -> None:
    length = DraftLength(plain_seconds=1.0)
    for _ in range(10):
        length.record(4, accepted=0, seconds=1.4)
    assert length.plan().drafts <= 1


def test_drafting_that_does_not_pay_pauses_longer_and_longer() -> None:
    length = DraftLength(plain_seconds=1.0)
    pauses = []
    for _ in range(3):
        length.record(4, accepted=3, seconds=6.0)
        plan = length.plan()
        assert plan.drafts == 0
        pauses.append(plan.plain)
        length.record_plain(plan.plain - 1)
        assert length.plan() == DraftPlan(0, 1), "a pause goes on in the next write"
        length.record_plain(1)
        assert length.plan().drafts == FIRST, "and then it is tried again"
    assert pauses == [64, 128, 256]


@pytest.mark.real_models
def test_what_drafts_cost_and_save_is_known_in_the_next_conversation(pair: DraftingPair) -> None:
    _, first = pair.sessions(Sampling())
    tokens(first, 30, seed=1)
    known = pair.large.draft_lengths[pair.small]
    assert known.plain_seconds > 0
    assert known.seconds_a_draft > 0
    small, second = pair.small.open(QUESTION, Sampling()), pair.large.open(QUESTION, Sampling())
    assert second.use_drafts_of(small)
    assert pair.large.draft_lengths[pair.small] is known
