"""What the KV cache keeps of a text: the plan of a handoff, snapshots of recurrent models, branches side by side."""

import os
import random
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import accumulate, islice, takewhile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.child_process import run_in_subprocess
from baton_reasoning.core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, SMALL_MODEL, held_out_problems
from baton_reasoning.core.engines.base import Branch, Continuation, Conversation, End, Message, Notice, Stop, Token
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.local.branches import BranchWriter
from baton_reasoning.core.engines.local.cache import Ledger, common_text
from baton_reasoning.core.engines.local.engine import LocalEngine, LocalSession
from baton_reasoning.core.engines.local.llama import BatchEntry, Decoded, Llama, LoadError
from baton_reasoning.core.engines.local.messages import Failed, Read, Reply, WorkerOptions, WriteBranches
from baton_reasoning.core.engines.local.scheduler import Scheduler
from baton_reasoning.core.errors import ContextFull
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.options import LoadOptions, Sampling
from baton_reasoning.core.run import Pair, ask, run
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.interruptions import Control, Limits
from baton_reasoning.core.thinking.steps import split
from baton_reasoning.core.thinking.trace import Trace
from tests.core.engines.local.conftest import GREEDY, likeliest
from tests.core.models import gguf_builder
from tests.patience import PATIENCE

# The ledger decides what a handoff keeps and decodes, and what a new session reuses -----------------------------------

IDS = st.lists(st.integers(0, 2), max_size=12)


def shared_start(a: Sequence[int], b: Sequence[int]) -> int:
    return len(list(takewhile(lambda both: both[0] == both[1], zip(a, b, strict=False))))


@given(st.lists(st.tuples(IDS, st.booleans(), st.integers(0, 12)), max_size=6), st.booleans(), st.integers(1, 4))
def test_after_any_texts_the_cache_holds_the_last_and_every_wanted_logit(texts, can_truncate, chunk):
    ledger, has_logits = Ledger(can_truncate), False
    for target, wants_all, at in texts:
        first = min(at, len(target)) if wants_all else None
        before = list(ledger.ids)
        keep = ledger.kept(target, has_logits, first)
        new = target[keep:]
        assert before[:keep] == target[:keep]
        possible = range(len(before) + 1) if can_truncate else {0, len(before), *ledger.snapshots}
        assert keep in possible
        start = len(target) if first is None else first
        computed = {*range(keep + 1, len(target) + 1), *([len(before)] if has_logits else [])}
        assert set(range(max(start, 1), len(target) + 1)) <= computed
        if has_logits and target == before and not wants_all:
            assert not new, "all of it is there"
        most = min(shared_start(before, target), max(start - 1, 0))
        assert keep >= max(place for place in possible if place <= most), "no more is decoded than has to be"
        ledger.truncate(keep)
        ledger.ids += new
        assert ledger.ids == target
        if new and at % 2:
            ledger.remember(b"")
        assert len(ledger.snapshots) <= 4
        assert all(length <= len(ledger.ids) for length in ledger.snapshots)
        assert ledger.reusable(target, chunk) % chunk == 0
        assert ledger.reusable(target, chunk) <= max(len(target) - 1, 0)
        has_logits = bool(target)


def test_a_memory_that_cannot_be_truncated_keeps_its_newest_snapshots_and_is_reused_as_a_whole_or_from_one():
    ledger = Ledger(supports_truncation=False)
    for at in range(1, 8):
        ledger.ids.append(at)
        ledger.remember(bytes([at]))
    assert sorted(ledger.snapshots) == [4, 5, 6, 7]
    ledger.ids, ledger.whole = [*range(1, 8), 20, 21], 8
    assert ledger.reusable([*ledger.ids, 22]) == 9, "as a whole"
    assert ledger.reusable([*range(1, 8), 9]) == 7, "or from a snapshot"
    assert ledger.reusable([*ledger.ids, 22], chunk=4) == 0
    ledger.truncate(6)
    assert sorted(ledger.snapshots) == [4, 5, 6]


def test_what_both_texts_begin_with_is_reused_in_whole_chunks_if_exactly_and_a_token_is_left_to_read():
    ledger, text = Ledger(), list(range(1000))
    ledger.ids, ledger.whole = text[:300], 256
    targets = (text, text[:200], text[:192], [*text[:200], 7], text[:300], [7])
    assert [ledger.reusable(target) for target in targets] == [300, 199, 191, 200, 299, 0]
    assert [ledger.reusable(target, chunk=64) for target in targets] == [256, 192, 128, 192, 256, 0]
    ledger.truncate(130)
    assert ledger.reusable(text, chunk=64) == 128


PIECES = (b"a", b"b", b"ab", b"ba", b"aba", b"\xff3\xff")
"""Of tokens; the last one is a control token, whose bytes no text contains."""


@given(st.lists(st.integers(0, 5), max_size=8), st.lists(st.integers(0, 5), max_size=8), st.integers(0, 8))
def test_a_text_in_other_tokens_is_held_up_to_the_last_place_where_both_end_a_token(a, b, common):
    b = a[:common] + b
    ends = [dict(zip(accumulate(len(PIECES[id]) for id in ids), range(1, len(ids) + 1), strict=True)) for ids in (a, b)]
    texts = [b"".join(PIECES[id] for id in ids) for ids in (a, b)]
    shared = shared_start(*texts)
    last = max((end for end in ends[0].keys() & ends[1].keys() if end <= shared), default=0)
    assert common_text(a, b, PIECES.__getitem__) == (ends[0].get(last, 0), ends[1].get(last, 0))


# A recurrent model and a hybrid one, grown here: their memory cannot be truncated -------------------------------------

ASKED: Conversation = (Message("user", "a"),)
GROWN = LoadOptions(context=256, threads=1)


def grow(architecture: str, folder: Path, shape=()) -> Path:
    """Make a tiny model of this architecture with random weights; or a larger one, by keys of its shape."""
    path = run_in_subprocess(gguf_builder.grow, folder, architecture, dict(shape), seconds=PATIENCE)
    size = read_header(path).tensor_bytes // 4
    weights = np.random.default_rng(1).normal(0.0, 0.2, size).astype(np.float32)
    with path.open("r+b") as file:  # it was grown with zeros, with which its past would make no difference
        file.seek(-size * 4, 2)
        file.write(weights.tobytes())
    return path


@pytest.fixture(scope="module", params=["mamba2", "lfm2"])
def grown(request, tmp_path_factory):
    with closing(LocalEngine(grow(request.param, tmp_path_factory.mktemp("grown")), GROWN)) as engine:
        yield engine


def body(engine: LocalEngine, *ids: int) -> list[Part]:
    return [Part("", Author.SMALL, id, engine.card.vocabulary) for id in ids]


def written(session: LocalSession, text: Sequence[Part], limit: int) -> list[int]:
    return [item.id for item in session.write(text, limit, 1) if isinstance(item, Token) and item.id]


def assert_as_a_fresh_one_says(engine: LocalEngine, session: LocalSession, *readings: list[int]) -> None:
    """The likeliest tokens after the last reading are those of a session that read one after the other."""
    found = likeliest(session, body(engine, *readings[-1]))
    session.close()
    with closing(engine.open(ASKED, Sampling())) as fresh:
        fresh.repeat_exactly()
        for reading in readings[:-1]:
            fresh.read(body(engine, *reading))
        expected = likeliest(fresh, body(engine, *readings[-1]))
    assert [id for id, _ in found] == [id for id, _ in expected]
    assert [chance for _, chance in found] == pytest.approx([chance for _, chance in expected], abs=1e-3)


@pytest.mark.slow
def test_a_text_truncated_to_a_reading_reuses_it_and_one_truncated_further_is_read_anew(grown):
    assert not grown.card.supports_truncation
    session = grown.open(ASKED, Sampling())
    session.read(body(grown, 3, 4, 5, 6))
    session.read(body(grown, 3, 4, 5, 6, 7, 8, 9))
    assert session.read(body(grown, 3, 4, 5, 6, 10, 11)).prefilled == 2, "only what is new is read"
    assert_as_a_fresh_one_says(grown, session, [3, 4, 5, 6], [3, 4, 5, 6, 10, 11])
    one, other = (grown.open(ASKED, Sampling()) for _ in range(2))
    after_one = likeliest(one, body(grown, 3, 4, 5))
    assert after_one != likeliest(other, body(grown, 9, 8, 5)), "its past makes a difference"
    again = one.read(body(grown, 9))
    assert (again.reused, again.prefilled) == (0, one.prompt_tokens + 1)
    one.close()
    other.close()


@pytest.mark.slow
def test_the_next_session_goes_on_from_what_was_written_and_another_from_a_copy(grown):
    first = grown.open(ASKED, Sampling())
    text = [3, 4, *written(first, body(grown, 3, 4), 5)]
    held = first.prompt_tokens + len(text) - 1
    first.close()
    second = grown.open(ASKED, Sampling())
    assert second.read(body(grown, *text, 7, 8))[:2] == (held, 3), "the last token written was not decoded"
    assert_as_a_fresh_one_says(grown, second, [*text, 7, 8, 9])
    assert grown.card.path
    with closing(LocalEngine(grown.card.path, GROWN.model_copy(update={"parallel": 2}))) as both:
        first, second = (both.open(ASKED, Sampling()) for _ in range(2))
        first.read(body(both, 3, 4, 5, 6))
        assert second.read(body(both, 3, 4, 5, 6, 7)).prefilled == 1
        assert_as_a_fresh_one_says(both, second, [3, 4, 5, 6, 7], [3, 4, 5, 6, 7, 8])
        assert first.read(body(both, 3, 4, 5, 6)).prefilled == 0, "the other one stays as it is"


@pytest.mark.slow
def test_a_judge_reads_no_more_than_where_memory_can_be_truncated(grown):
    """Its question is forgotten by going back to where it began."""
    session, question = grown.open(ASKED, Sampling()), len(grown.tokenize("a?"))

    def prefilled(*ids: int) -> int:
        return session.judge(body(grown, *ids), "a?", ("a", "b")).handoff.prefilled

    prefilled(3, 4, 5, 6)
    assert prefilled(3, 4, 5, 6) == question
    assert prefilled(3, 4, 5, 6, 7, 8) == 2 + question
    assert_as_a_fresh_one_says(grown, session, [3, 4, 5, 6], [3, 4, 5, 6, 7, 8], [3, 4, 5, 6, 7, 8, 9])
    session = grown.open(ASKED, Sampling())
    written(session, body(grown, 3, 4), 3)
    text = [3, 4, *written(session, body(grown, 3, 4), 3)]
    prefilled(*text)
    assert prefilled(*text) == question, "after writing, too"
    session.close()


# Branches: many continuations side by side say what each of them says alone, whatever memory the model has ------------

QUESTION: Conversation = (Message("user", next(held_out_problems(seed=7)).question),)
LIMIT, EACH = 300, 6
ALIKE = 0.85
"""Share of continuations that must be equal to the letter: other batch shapes round differently."""


@pytest.fixture(scope="module")
def engine():
    with closing(LocalEngine(SMALL_MODEL, LoadOptions(context=512, threads=1))) as engine:
        yield engine


@pytest.fixture
def session(engine):
    with closing(engine.open(QUESTION, Sampling())) as session:
        yield session


def written_alone(session: LocalSession, branch: Branch) -> str:
    items = session.write(branch.body, branch.limit, branch.seed)
    return b"".join(item.data for item in items if isinstance(item, Token)).decode(errors="replace")


def continued(session: LocalSession, branches: Sequence[Branch]) -> dict[int, Continuation]:
    items = [item for item in session.write_branches(branches) if isinstance(item, Continuation)]
    found = {item.branch: item for item in items}
    assert len(found) == len(items), "none comes twice"
    return found


def branches_of(session: LocalSession) -> list[Branch]:
    """Branches from the ends of some steps, one text after the other, each longer than the one before."""
    tokens = [item for item in session.write([], LIMIT, seed=1) if isinstance(item, Token)]
    text = [Part(item.data.decode(), Author.SMALL, item.id, session.card.vocabulary) for item in tokens]
    ends = [0, *accumulate(map(len, split("".join(part.text for part in text))[:3]))]
    places = list(accumulate(len(part.text) for part in text))
    texts = [text[: sum(place <= end for place in places)] for end in ends]
    return [Branch(before, 1000 * number + k, LIMIT) for number, before in enumerate(texts) for k in range(EACH)]


@pytest.mark.slow
def test_each_branch_is_what_the_session_writes_alone_in_any_order_and_the_sessions_own_text_stays(session):
    branches = branches_of(session)
    own = branches[-1].body
    session.read(own)
    assert continued(session, []) == {}
    found = continued(session, branches)
    assert session.read(own).prefilled == 0
    assert set(found) == set(range(len(branches)))
    again = continued(session, branches[::-1])
    alone = [written_alone(session, branch) for branch in branches]
    for texts in ([found[n].text for n in range(len(branches))], [again[n].text for n in range(len(branches))][::-1]):
        assert sum(one == other for one, other in zip(texts, alone, strict=True)) >= ALIKE * len(branches)
    assert len(set(alone)) > len(branches) / EACH, "the seeds make a difference"
    assert Stop.END_OF_TEXT in {item.stop for item in found.values()}


@pytest.mark.slow
def test_a_branch_ends_at_its_limit_and_where_the_context_is_full_and_a_text_that_does_not_fit_is_refused(session):
    beyond = Branch([Part(" word" * ((512 - session.prompt_tokens) // 5 - 8), Author.INSERTED)], 1, LIMIT)
    found = continued(session, [Branch([], 1, 5), beyond])
    assert (found[0].tokens, found[0].stop) == (5, Stop.LIMIT)
    assert found[1].stop in (Stop.CONTEXT_FULL, Stop.END_OF_TEXT)
    assert session.prompt_tokens + found[1].tokens <= 512
    with pytest.raises(ContextFull, match=r"context of .* is full"):
        continued(session, [Branch([Part(" word" * 600, Author.INSERTED)], 1, 5)])
    assert continued(session, [Branch([], 1, 5)])[0].tokens == 5, "the next one is served"


@pytest.mark.slow
def test_a_cancelled_session_ends_its_branches_and_a_process_that_dies_loses_none(engine):
    session, found = engine.open(QUESTION, Sampling()), 0
    for found, _ in enumerate(session.write_branches([Branch([], seed, LIMIT) for seed in range(500)]), 1):
        if found == 3:
            threading.Thread(target=session.cancel).start()
    assert 3 <= found < 500
    session.close()
    session, items = engine.open(QUESTION, Sampling()), []
    for item in session.write_branches([Branch([], seed, LIMIT) for seed in range(100)]):
        items.append(item)
        if len(items) == 5:
            assert engine.process.pid
            os.kill(engine.process.pid, signal.SIGKILL)
    assert sorted(item.branch for item in items if isinstance(item, Continuation)) == list(range(100))
    assert any(isinstance(item, Notice) for item in items)
    session.close()


@pytest.mark.slow
def test_two_sessions_write_branches_while_a_third_writes(engine):
    sessions = [engine.open(QUESTION, Sampling()) for _ in range(3)]
    branches = [Branch([], seed, LIMIT) for seed in range(EACH)]
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda session: continued(session, branches), sessions[:2])
        assert written_alone(sessions[2], branches[0])
    assert [len(each) for each in found] == [EACH, EACH]
    for session in sessions:
        session.close()


class LittleRoom(Llama):
    """A model beside which memory holds a context of so many sequences."""

    most = 0

    def sibling(self, load: LoadOptions) -> Llama:
        if load.parallel > self.most:
            raise LoadError("there is not enough memory for the context")
        return super().sibling(load)


@pytest.mark.slow
@pytest.mark.parametrize(("sequences", "ended"), [(2, 4), (3, 4), (0, 0)])
def test_where_memory_is_short_fewer_are_decoded_at_once_and_none_is_a_refusal(sequences, ended):
    options = WorkerOptions(str(SMALL_MODEL), LoadOptions(context=512, threads=1))
    llama, replies = LittleRoom(options, lambda _: None), list[Reply]()
    llama.most = sequences
    scheduler = Scheduler(llama, options, replies.append)
    scheduler.open(1, llama.tokenize("Step 1: ", False))
    writer = BranchWriter(scheduler)
    writer.begin(WriteBranches(1, 7, [Read(0, number, [], limit=5, seed=number) for number in range(4)]))
    while writer.is_busy:
        writer.step()
    writer.step()  # does nothing
    assert sum(isinstance(reply, Continuation) for _, reply in replies) == ended
    last = replies[-1][1]
    assert last == End(Stop.LIMIT) if ended else isinstance(last, Failed) and "no memory" in last.reason
    for interrupt in (lambda: writer.halt(8), writer.close) if ended else ():  # of the next request, then at its close
        writer.begin(WriteBranches(1, 8, [Read(0, 0, [], limit=5)]))
        writer.step()
        interrupt()
        writer.step()
        assert replies[-1] == (8, End(Stop.CANCELLED))
        assert not writer.is_busy
    writer.begin(WriteBranches(1, 9, [Read(0, 0, [], limit=5)]))
    writer.begin(WriteBranches(1, 10, []))
    assert replies[-2:] == [(9, End(Stop.CANCELLED) if ended else last), (10, End(Stop.LIMIT))], "its caller has gone"
    writer.close()


class Failing(Llama):
    """A model whose decodes return this, after something else has happened."""

    result = Decoded.DONE
    happens: Callable[[], object] = staticmethod(lambda: None)

    def decode(self, entries: list[BatchEntry]) -> int:
        self.happens()
        return self.result or super().decode(entries)


@pytest.mark.slow
def test_a_decode_that_failed_ends_the_requests_whose_fault_it_is_and_the_others_go_on():
    options = WorkerOptions(str(SMALL_MODEL), LoadOptions(context=512, parallel=2, threads=1))
    llama, replies = Failing(options, lambda _: None), list[Reply]()
    scheduler = Scheduler(llama, options, replies.append)

    def decode(result: int, happens: Callable[[], object] = lambda: None) -> None:
        llama.result, llama.happens = result, happens
        scheduler.decode(scheduler.next_turns(), lambda: None)

    for session in (1, 2):
        scheduler.open(session, llama.tokenize("Step 1: ", False))
        scheduler.begin(Read(session, 10 + session, [], limit=3))
    decode(Decoded.ABORTED, lambda: scheduler.halt(11, at_once=True))
    assert replies == [(11, End(Stop.CANCELLED))]
    while not scheduler.idle:
        decode(Decoded.DONE)
    assert [number for number, item in replies if isinstance(item, Token)] == [12] * 3
    assert replies[-1] == (12, End(Stop.LIMIT))
    scheduler.begin(Read(2, 13, ["x"], limit=1))
    decode(Decoded.NO_ROOM)
    assert replies[-1:] == [(13, Failed(context_full=True, reason="the KV cache has no room left"))]
    assert scheduler.idle
    scheduler.begin(Read(2, 14, ["x"], limit=1))
    with pytest.raises(RuntimeError, match="-1"):
        decode(-1)


@pytest.mark.slow
def test_branches_of_memory_that_cannot_be_truncated_share_snapshots(grown):
    """The weights are random, so that near-ties are frequent: few tokens."""
    with closing(grown.open(ASKED, GREEDY)) as session:
        texts = [body(grown, *range(3, 3 + length)) for length in (1, 4, 9)]
        branches = [Branch(texts[n], 1, 4) for n in (0, 0, 1, 2, 2, 1, 0)]
        found, again = continued(session, branches), continued(session, branches)
        alone = [written_alone(session, branch) for branch in branches]
    for index, text in enumerate(alone):
        assert found[index].text == again[index].text == text
    assert len(set(alone)) == 3, "the texts before make a difference"


@pytest.mark.slow
@pytest.mark.real_models
def test_branches_of_a_real_model_with_sliding_windows(gemma):
    with closing(LocalEngine(gemma, LoadOptions(context=1024, batch=128, threads=1))) as engine:
        session = engine.open((Message("user", "Count from one to ten."),), GREEDY)
        before = [Part("One, two, three", Author.INSERTED)]
        longer = [*before, Part(", four, five, six", Author.INSERTED)]
        branches = [Branch(text, 1, 8) for text in (before, before, longer, longer)]
        found = continued(session, branches)
        alone = [written_alone(session, branches[n]) for n in (0, 0, 2, 2)]
    assert [found[n].text for n in range(4)] == alone


# More runs than places in the cache, stopped, left and gone on with at random: none waits for ever, none is lost ------

PLACES, AT_ONCE, RUNS = 6, 8, 48
ARMS = arms_of(
    ("small", "large", "baton", "reference", "first-token-entropy", "step-score", "every-step"), DEMO_SETTINGS
)


@pytest.mark.slow
def test_every_run_ends_and_every_place_is_free_afterwards():
    options = LoadOptions(context=512, parallel=PLACES, threads=1)
    problems = list(islice(held_out_problems(seed=5), RUNS))
    with closing(LocalEngine(SMALL_MODEL, options)) as small, closing(LocalEngine(LARGE_MODEL, options)) as large:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            restless_of = partial(restless, Pair(small, large))
            finishes = list(pool.map(restless_of, range(RUNS), [problem.question for problem in problems]))
        assert Finish.FAILED not in finishes
        assert {Finish.STOPPED, Finish.END_OF_TEXT} <= set(finishes)
        for engine in (small, large):
            sessions = [engine.open(ask("", DEMO_SETTINGS), Sampling()) for _ in range(PLACES)]
            text = [Part("word " * 60, Author.SMALL)]
            for session in sessions:
                session.read(text)
            assert not any(session.read(text).prefilled for session in sessions), "one took another's place"


def restless(pair: Pair, number: int, question: str) -> Finish | None:
    """One problem in up to three goes: each may be stopped or left, and the next begins where any event was."""
    dice = random.Random(number)
    limits = Limits(max_seconds=dice.choice((0, 0, 0.05)))
    settings = ARMS[number % len(ARMS)].settings.model_copy(update={"seed": number, "limits": limits})
    trace = Trace()
    for _ in range(dice.choice((1, 2, 3))):
        trace = Trace.of(trace.events[: dice.randrange(len(trace.events) + 1)])
        control, stops_at, left_at = Control(), dice.choice((0, dice.randrange(150))), dice.randrange(400)
        with closing(run(pair, ask(question, settings), settings, control=control, before=trace)) as events:
            for happened, event in enumerate(events, 1):
                trace.apply(event)
                if happened == stops_at:
                    control.stop()
                if happened == left_at:
                    break
    return trace.finish
