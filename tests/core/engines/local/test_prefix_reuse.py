"""A new session starts from what the cache holds of its prompt, and writes what it would have written without."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from core.engines.base import Conversation, Handoff, Message, PrefillProgress, Token
from core.engines.body import Body
from core.engines.local.client import LocalEngine
from core.engines.local.ledger import Ledger
from core.engines.local.llama import CHUNK, Llama
from core.engines.local.messages import Read, Reply, WorkerOptions
from core.engines.local.scheduler import Scheduler
from core.models.loading import LoadOptions
from core.models.overrides import Sampling
from tests.core.engines.local.writing import handoff, ids, write

STORY = "A farmer has 17 sheep, sells 4 of them, and buys 9 more at the market in the next town. " * 7
FIRST: Conversation = (Message("user", f"{STORY} How many sheep are there now?"),)
SECOND: Conversation = (Message("user", f"{STORY} How many legs do they have?"),)
WARM = Sampling()


@pytest.mark.real_models
@pytest.mark.parametrize(
    ("model", "parallel"),
    [
        pytest.param("smollm2", 1, id="smollm2-the slot of a closed session"),
        pytest.param("gemma", 2, id="gemma-a copy from an open session", marks=pytest.mark.long),
        pytest.param("smollm2", 2, id="smollm2-a copy from an open session", marks=pytest.mark.long),
        pytest.param("gemma", 1, id="gemma-the slot of a closed session", marks=pytest.mark.long),
    ],
)
def test_the_same_seed_writes_the_same_with_and_without_reuse(
    model: str, parallel: int, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(model)
    options = LoadOptions(context=1024, threads=1, parallel=parallel)
    with closing(LocalEngine(path, options)) as engine:
        fresh = engine.open(SECOND, WARM)
        without = write(fresh, Body(), limit=6, seed=5)
        assert handoff(without).reused == 0
    with closing(LocalEngine(path, options)) as engine:
        earlier = engine.open(FIRST, WARM)
        write(earlier, Body(), limit=2, seed=9)
        if parallel == 1:
            earlier.close()
        reusing = write(engine.open(SECOND, WARM), Body(), limit=6, seed=5)
    reused = handoff(reusing).reused
    assert reused > CHUNK
    assert reused % CHUNK == 0
    assert ids(reusing) == ids(without)


@pytest.mark.real_models
def test_a_long_prompt_shows_how_far_it_is_read(smollm2: Path) -> None:
    with closing(LocalEngine(smollm2, LoadOptions(context=1024, threads=1))) as engine:
        items = write(engine.open(FIRST, WARM), Body(), limit=1)
        progress = [item for item in items if isinstance(item, PrefillProgress)]
        assert [item.tokens for item in progress] == sorted(item.tokens for item in progress)
        assert {item.total for item in progress} == {handoff(items).prefilled}
        assert len(progress) >= 3


def test_a_prefix_is_reused_in_whole_chunks_and_leaves_a_token_to_read() -> None:
    ledger = Ledger()
    ledger.ids, ledger.whole = list(range(300)), 256
    assert ledger.reusable(list(range(1000)), chunk=64) == 256
    assert ledger.reusable(list(range(200)), chunk=64) == 192
    assert ledger.reusable(list(range(192)), chunk=64) == 128, "the last chunk is read for its logits"
    ledger.cut(130)
    assert ledger.reusable(list(range(1000)), chunk=64) == 128


def test_a_memory_that_cannot_be_cut_is_not_reused() -> None:
    ledger = Ledger(supports_truncation=False)
    ledger.ids, ledger.whole = list(range(300)), 256
    assert ledger.reusable(list(range(1000)), chunk=64) == 0


# The scheduler by itself, in this process, so that a pause between two turns takes no time ----------------------------


class DirectScheduler:
    """Carries out requests at once."""

    def __init__(self, model: Path) -> None:
        options = WorkerOptions(str(model), LoadOptions(context=1024, threads=1))
        self.replies: list[Reply] = []
        self.llama = Llama(options, lambda _: None)
        self.scheduler = Scheduler(self.llama, options, self.replies.append)

    def write(self, session: int, prompt: Sequence[int]) -> list[Reply]:
        self.replies.clear()
        self.scheduler.open(session, tuple(prompt))
        self.scheduler.begin(Read(session, session, [], limit=8, sampling=WARM, seed=3))
        while turns := self.scheduler.next_turns():
            self.scheduler.decode(turns, lambda: None)
        return list(self.replies)


@pytest.mark.real_models
def test_a_pause_prepares_the_next_turn_which_then_reads_less_and_writes_the_same(smollm2: Path) -> None:
    direct = DirectScheduler(smollm2)
    prompt = direct.llama.tokenize(STORY, False)
    first = written(direct.write(1, prompt))
    direct.scheduler.close(1)
    while direct.scheduler.cache.settle():
        pass
    follow_up = [*prompt, *first, *direct.llama.tokenize(" And how many goats?", False)]
    second = direct.write(2, follow_up)
    assert reused(second) == (len(prompt) + len(first) - 1) // CHUNK * CHUNK, "all that was decoded, in whole chunks"
    assert written(second) == written(DirectScheduler(smollm2).write(1, follow_up))


def written(replies: Sequence[Reply]) -> list[int]:
    return [item.id for _, item in replies if isinstance(item, Token) and item.id is not None]


def reused(replies: Sequence[Reply]) -> int:
    return next(item.reused for _, item in replies if isinstance(item, Handoff))
