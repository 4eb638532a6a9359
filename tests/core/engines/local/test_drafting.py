"""Drafted takeovers: the small model drafts, and the large one keeps what it would have drawn itself."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from core.engines.base import Conversation, End, Message, Stop, Token
from core.engines.body import Author, Body, Part
from core.engines.local.client import LocalEngine, LocalSession
from core.engines.local.drafting import FIRST, DraftLength
from core.models.loading import LoadOptions, Switch
from core.models.overrides import Sampling
from tests.core.engines.local.writing import ids, write

QUESTION: Conversation = (Message("user", "Tell me a long story about a fox who learns to count."),)
OPTIONS = LoadOptions(context=1024, threads=1, drafts=Switch.ON)
F32 = """
import ctypes, sys
import llama_cpp as ll
params = ll.llama_model_quantize_default_params()
params.ftype, params.allow_requantize, params.nthread = ll.LLAMA_FTYPE_ALL_F32, True, 1
assert ll.llama_model_quantize(sys.argv[1].encode(), sys.argv[2].encode(), ctypes.byref(params)) == 0
"""


class DraftingPair(NamedTuple):
    small: LocalEngine
    large: LocalEngine

    def sessions(self, sampling: Sampling, always: int | None = None) -> tuple[LocalSession, LocalSession]:
        """A large session that uses drafts; `always`: so many at each decode, whatever that costs."""
        small, large = self.small.open(QUESTION, sampling), self.large.open(QUESTION, sampling)
        assert large.use_drafts_of(small)
        if always:
            assert large._drafter is not None
            large._drafter._length = ConstantLength(always)
        return small, large


class ConstantLength(DraftLength):
    def __init__(self, drafts: int) -> None:
        super().__init__(plain_seconds=1.0)
        self._drafts = drafts

    def speed(self, drafts: int) -> float:
        return float(drafts == self._drafts)


@pytest.fixture(scope="module")
def pair(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DraftingPair]:
    """SmolLM2 at four bits drafts for its own copy at 32."""
    copy = tmp_path_factory.mktemp("f32") / "smollm2-f32.gguf"
    subprocess.run([sys.executable, "-c", F32, str(smollm2), str(copy)], check=True, capture_output=True, timeout=120)
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
        assert length.plan().drafts == FIRST, "and then it is tried again"
    assert pauses == [64, 128, 256]
