"""What a model's process makes of many texts: snapshots of recurrent models, branches, drafts, and runs at once."""

import pickle
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.child_process import run_in_subprocess
from baton_reasoning.core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, SMALL_MODEL, held_out_problems
from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.base import Branch, Continuation, End, Message, Messages, Stop, Token
from baton_reasoning.core.engines.body import Author, Body, OwnTag, Part
from baton_reasoning.core.engines.local import drafting, messages
from baton_reasoning.core.engines.local.branches import BranchWriter
from baton_reasoning.core.engines.local.drafting import DraftedTokens, DraftedWrite, Drafter, DraftLength, DraftPlan
from baton_reasoning.core.engines.local.engine import LocalEngine, LocalSession
from baton_reasoning.core.engines.local.llama import BatchEntry, Decoded, Llama, LoadError, Snapshot
from baton_reasoning.core.engines.local.messages import Failed, Read, WorkerOptions, WriteBranches
from baton_reasoning.core.engines.local.process import ModelProcess
from baton_reasoning.core.engines.local.scheduler import DueReply, Scheduler
from baton_reasoning.core.errors import ContextFull, EngineError
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.load_options import LoadOptions, Switch
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.events import Finish, TokenWritten
from baton_reasoning.core.thinking.interruptions import Control, Limits
from baton_reasoning.core.thinking.steps import split
from baton_reasoning.core.thinking.trace import Trace
from tests.bench.drafting import ConstantLength
from tests.core.engines.local.conftest import GREEDY, check_cache, ids, likeliest, process_of, write
from tests.core.models import gguf_builder
from tests.patience import PATIENCE
from tests.tiers import size

pytestmark = pytest.mark.slow
QUESTIONS: list[Messages] = [(Message("user", problem.question),) for problem in islice(held_out_problems(6), 20)]
QUESTION = QUESTIONS[0]
OPTIONS = LoadOptions(context=512, threads=1, drafts=Switch.ON)
ALIKE = 0.8
"""Share of texts that must be equal to the letter: a wider decode rounds differently, and there may be near-ties."""


class EnginePair(NamedTuple):
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
        yield EnginePair(small, large)


# What a handoff sends -------------------------------------------------------------------------------------------------

FOREIGN = " 17", " is", " odd", ".\n\n", " so", "</", "think", ">"


def grown_or_cut(body: Body, dice: random.Random, vocabulary: str) -> None:
    """A model of this vocabulary writes some tokens, one of another does, or text is discarded."""
    if dice.random() < 0.3:
        body.cut(dice.randrange(len(body) + 1))
        return
    own = dice.random() < 0.5
    for _ in range(dice.randrange(1, 6)):
        id = dice.randrange(40, 60)
        body.append(Part("1", Author.SMALL, id, vocabulary) if own else Part(dice.choice(FOREIGN), Author.LARGE, id))
    if not own and not any(part.closing_tag for part in body.parts) and dice.random() < 0.3:
        for text in FOREIGN[-3:]:
            body.append(Part(text, Author.LARGE, 7, "another"))
        body.mark_closing("</think>", len(body))


def test_a_session_that_is_sent_only_what_is_new_has_the_text_of_one_that_is_sent_all_of_it(pair):
    """However the text grows and is cut, whichever model writes it, and also if the process dies in between."""
    dice, body, engine = random.Random(5), Body(), pair.small
    session = engine.open(QUESTION, GREEDY)
    for turn in range(size(40, long=400)):
        grown_or_cut(body, dice, engine.card.vocabulary)
        if len(body) > 150:
            body.cut(20)
        if turn in (19, 39):
            process_of(engine).kill()
        with closing(engine.open(QUESTION, GREEDY)) as fresh:
            totals = [sum(each.read(body.parts)[:2]) for each in (session, fresh)]
            answers = [written(each, tuple(body.parts), 3) for each in (session, fresh)]
        assert totals[0] == totals[1], turn
        assert answers[0] == answers[1], turn
    session.close()


def test_a_handoff_sends_what_is_new(pair, monkeypatch):
    sent, send = list[messages.Read](), ModelProcess.sent

    def noting(process: ModelProcess, request: Any) -> Any:
        sent.extend([request] if isinstance(request, Read) else [])
        return send(process, request)

    monkeypatch.setattr(ModelProcess, "sent", noting)
    body, vocabulary = Body(), pair.small.card.vocabulary
    with closing(pair.small.open(QUESTION, GREEDY)) as session:
        for text in (" one", " two", " three"):
            body.append(Part(text, Author.LARGE, 1, "another"))
            session.read(tuple(body.parts))
        body.cut(len(" one two"))
        body.append(Part("1", Author.SMALL, 41, vocabulary))
        session.judge(tuple(body.parts), "?", ("1", "2"))
        session.read(tuple(body.parts))
        for text in ("</", "think", ">"):
            body.append(Part(text, Author.LARGE, 1, "another"))
            if text == ">":
                body.mark_closing("</think>", len(body))
            session.read(tuple(body.parts))
    assert [read.runs for read in sent[:5]] == [[" one"], [" two"], [" three"], [(41,)], []]
    assert [read.runs for read in sent[5:]] == [["</"], ["think"], [OwnTag("</think>")]], "the tag is one"


# A recurrent model and a hybrid one, grown here: their memory cannot be truncated -------------------------------------

ASKED: Messages = (Message("user", "a"),)
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


def test_a_text_truncated_to_a_reading_reuses_it_and_one_truncated_further_is_read_anew(grown):
    assert Ability.TRUNCATION not in grown.card.abilities
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

LIMIT, EACH = 300, 6


@pytest.fixture
def session(pair):
    with closing(pair.small.open(QUESTION, Sampling())) as session:
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


def test_a_branch_ends_at_its_limit_and_where_the_context_is_full_and_a_text_that_does_not_fit_is_refused(session):
    beyond = Branch([Part(" word" * ((512 - session.prompt_tokens) // 5 - 8), Author.INSERTED)], 1, LIMIT)
    found = continued(session, [Branch([], 1, 5), beyond])
    assert (found[0].tokens, found[0].stop) == (5, Stop.LIMIT)
    assert found[1].stop in (Stop.CONTEXT_FULL, Stop.END_OF_TEXT)
    assert session.prompt_tokens + found[1].tokens <= 512
    with pytest.raises(ContextFull, match=r"context of .* is full"):
        continued(session, [Branch([Part(" word" * 600, Author.INSERTED)], 1, 5)])
    assert continued(session, [Branch([], 1, 5)])[0].tokens == 5, "the next one is served"


def test_a_cancelled_session_ends_its_branches(session):
    found = 0
    for found, _ in enumerate(session.write_branches([Branch([], seed, LIMIT) for seed in range(500)]), 1):
        if found == 3:
            threading.Thread(target=session.cancel).start()
    assert 3 <= found < 500


def test_two_sessions_write_branches_while_a_third_writes(pair):
    sessions = [pair.small.open(QUESTION, Sampling()) for _ in range(3)]
    branches = [Branch([], seed, LIMIT) for seed in range(EACH)]
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda session: continued(session, branches), sessions[:2])
        assert written_alone(sessions[2], branches[0])
    assert [len(each) for each in found] == [EACH, EACH]
    for session in sessions:
        session.close()


def test_branches_of_one_place_share_its_text_in_the_process_too():
    """Sixteen of each step of a text of 33,000 tokens would be some 800 MB."""
    places: list[list[messages.Run]] = [[tuple(range(9))], [tuple(range(9, 12))]]
    reads = [Read(1, number, places[number % 2]) for number in range(6)]
    request = pickle.loads(pickle.dumps(WriteBranches(1, 1, reads)))
    scheduler = Scheduler(Mock(), WorkerOptions(""), Mock())
    scheduler.open(1, (100, 101))
    texts = scheduler.texts_before(request)
    assert texts == [[100, 101, *read.runs[0]] for read in reads]
    assert len({id(text) for text in texts}) == 2


class LittleRoom(Llama):
    """A model beside which memory holds a context of so many sequences."""

    most = 0

    def sibling(self, load: LoadOptions) -> Llama:
        if load.parallel > self.most:
            raise LoadError("there is not enough memory for the context")
        return super().sibling(load)


@pytest.mark.parametrize(("sequences", "ended"), [(2, 4), (3, 4), (0, 0)])
def test_where_memory_is_short_fewer_are_decoded_at_once_and_none_is_a_refusal(sequences, ended):
    options = WorkerOptions(str(SMALL_MODEL), LoadOptions(context=512, threads=1))
    llama, replies = LittleRoom(options, lambda _: None), list[DueReply]()
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


def test_a_decode_that_failed_ends_the_requests_whose_fault_it_is_and_the_others_go_on():
    options = WorkerOptions(str(SMALL_MODEL), LoadOptions(context=512, parallel=2, threads=1))
    llama, replies = Failing(options, lambda _: None), list[DueReply]()
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


class Dictates:
    """In place of a sampler: draws these tokens, whatever the logits."""

    def __init__(self, ids: Sequence[int]) -> None:
        self._ids = iter(ids)

    def sample(self, *_: object) -> tuple[int, np.ndarray]:
        return next(self._ids), np.empty(0, np.int64)


def test_a_memory_that_cannot_be_truncated_is_saved_where_a_step_may_end_and_not_at_each_newline(monkeypatch):
    options = WorkerOptions(str(SMALL_MODEL), LoadOptions(context=512, threads=1), supports_truncation=False)
    llama, saved = Llama(options, lambda _: None), list[str]()
    scheduler = Scheduler(llama, options, lambda _: None)
    line, step = llama.tokenize("1\n", False), llama.tokenize("1\n\n", False)
    monkeypatch.setattr(llama, "sampler", Dictates([*line, *line, *step, *line, *line]))

    def save(slot: int) -> Snapshot:
        saved.append(b"".join(map(llama.piece, scheduler.sequences[1].ledger.ids)).decode())
        return Llama.snapshot(llama, slot)

    monkeypatch.setattr(llama, "snapshot", save)
    scheduler.open(1, llama.tokenize("Step 1: ", False))
    scheduler.begin(Read(1, 1, [], limit=2 * len(line) + len(step) + 1))
    while not scheduler.idle:
        scheduler.decode(scheduler.next_turns(), lambda: None)
    assert saved == ["Step 1: ", "Step 1: 1\n1\n1\n\n"]


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


# Drafts: the small model drafts, and the large one keeps what it would have drawn itself -----------------------------


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
        for start in (0, 5, 3):
            drafts = drafting.draft(DraftedWrite((), written[:start], sampling, seed), 4).ids
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
        check_cache(body.parts, large, pair.large, QUESTION)
    assert len(ids(write(large, body, limit=50, stop_after=5))) == 5
    assert len(ids(write(small, body, limit=4))) == 4
    assert len(ids(write(large, body, limit=9))) == 9, "drafts keep its limit"
    check_cache(body.parts, large, pair.large, QUESTION)
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
        ({"abilities": frozenset()}, "recurrent memory"),
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


class OnceReading:
    """A small model that reads for an hour before its first draft, as it says; then its process dies."""

    def draft(self, write: DraftedWrite, count: int) -> DraftedTokens:
        if write.is_read:
            raise EngineError("Its process stopped.")
        write.is_read = True
        return DraftedTokens((1, 2, 3, 4)[:count], 3600.0)


def test_reading_before_the_first_draft_is_no_cost_of_drafts_and_a_model_that_is_lost_drafts_no_more():
    length = DraftLength(plain_seconds=1.0)
    drafter = Drafter(OnceReading(), length)
    assert drafter.begin(DraftedWrite()) == 1
    wanted, paused = messages.DraftsWanted(1, 0, 0, 0.0, 1.0), messages.Drafts(1, (), drafting.FIRST_PAUSE)
    assert drafter.answer(wanted) == messages.Drafts(1, (1, 2, 3, 4), 0)
    assert drafter.answer(wanted._replace(tried=drafting.FIRST, accepted=drafting.FIRST, seconds=1.0)) == paused
    assert length.seconds_a_draft == 0
    assert drafter.answer(wanted) == paused


def test_more_is_drafted_where_drafts_are_cheap_and_accepted_and_less_where_they_are_often_rejected():
    assert DraftLength().plan() == DraftPlan(0, drafting.PLAIN_TOKENS), "plain decodes are timed first"
    cheap, rejected = DraftLength(plain_seconds=1.0), DraftLength(plain_seconds=1.0)
    assert cheap.plan() == DraftPlan(drafting.FIRST)
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
    assert drafting.tokens_per_decode(acceptance, drafts) == pytest.approx(expected)
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
        assert length.plan().drafts == drafting.FIRST, "and then it is tried again"
    assert pauses == [64, 128, 256, 512, 1024, 2048, 2048]


# More runs than places in the cache, stopped, left and gone on with at random: none waits for ever, none is lost ------

PLACES, AT_ONCE, RUNS = 6, 8, 48
ARMS = arms_of(
    ("small", "large", "baton", "reference", "first-token-entropy", "step-score", "every-step"), DEMO_SETTINGS
)


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
