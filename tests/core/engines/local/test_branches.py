"""Many continuations side by side say what each of them says alone, whatever memory the model has."""

import os
import signal
import threading
from collections.abc import Sequence
from contextlib import closing

import pytest

from baton_reasoning.core.demo_pair import SMALL_MODEL, held_out_problems
from baton_reasoning.core.engines.base import Branch, Continuation, Conversation, End, Message, Notice, Stop, Token
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.local.branches import BranchWriter
from baton_reasoning.core.engines.local.engine import LocalEngine, LocalSession
from baton_reasoning.core.engines.local.llama import Llama, LoadError
from baton_reasoning.core.engines.local.messages import Failed, Read, Reply, WorkerOptions, WriteBranches
from baton_reasoning.core.engines.local.scheduler import Scheduler
from baton_reasoning.core.errors import ContextFull
from baton_reasoning.core.models.options import LoadOptions, Sampling
from baton_reasoning.core.thinking.steps import split
from tests.core.engines.local.test_recurrent_memory import body, grow

pytestmark = pytest.mark.slow

PROBLEM = next(held_out_problems(seed=7))
QUESTION: Conversation = (Message("user", PROBLEM.question),)
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


def by_branch(items: Sequence[Continuation | Notice]) -> dict[int, Continuation]:
    found = {item.branch: item for item in items if isinstance(item, Continuation)}
    assert len(found) == sum(isinstance(item, Continuation) for item in items), "none comes twice"
    return found


def text_of(session: LocalSession) -> list[Part]:
    tokens = [item for item in session.write([], LIMIT, seed=1) if isinstance(item, Token)]
    return [Part(item.data.decode(), Author.SMALL, item.id, session.card.vocabulary) for item in tokens]


def branches_of(text: Sequence[Part]) -> list[Branch]:
    """Branches from the ends of some steps, one text after the other, each longer than the one before."""
    ends, at = [0], 0
    for step in split("".join(part.text for part in text))[:3]:
        at += len(step)
        ends.append(at)
    branches = []
    for place, end in enumerate(ends):
        before, length = [], 0
        for part in text:
            if length + len(part.text) > end:
                break
            before.append(part)
            length += len(part.text)
        branches += [Branch(before, 1000 * place + k, LIMIT) for k in range(EACH)]
    return branches


def test_each_branch_is_what_the_session_writes_alone(session):
    branches = branches_of(text_of(session))
    found = by_branch(list(session.write_branches(branches)))
    assert set(found) == set(range(len(branches)))
    alone = [written_alone(session, branch) for branch in branches]
    equal = sum(found[index].text == text for index, text in enumerate(alone))
    assert equal >= ALIKE * len(branches)
    assert len(set(alone)) > len({branch.seed // 1000 for branch in branches}), "the seeds make a difference"
    assert Stop.END_OF_TEXT in {item.stop for item in found.values()}


def test_the_sessions_own_text_stays(session):
    text = text_of(session)
    session.read(text)
    assert list(session.write_branches([])) == []
    list(session.write_branches(branches_of(text)[:4]))
    assert session.read(text).prefilled == 0


def test_branches_go_back_to_an_earlier_text_and_on_again(session):
    branches = branches_of(text_of(session))
    once = by_branch(list(session.write_branches(branches)))
    backwards = [branches[index] for index in reversed(range(len(branches)))]
    again = by_branch(list(session.write_branches(backwards)))
    equal = sum(again[len(branches) - 1 - index].text == item.text for index, item in once.items())
    assert equal >= ALIKE * len(branches)


def test_a_branch_ends_at_its_limit_and_where_the_context_is_full(session):
    short = Branch([], 1, 5)
    beyond = Branch([Part(" word" * ((512 - session.prompt_tokens) // 5 - 8), Author.INSERTED)], 1, LIMIT)
    found = by_branch(list(session.write_branches([short, beyond])))
    assert (found[0].tokens, found[0].stop) == (5, Stop.LIMIT)
    assert found[1].stop in (Stop.CONTEXT_FULL, Stop.END_OF_TEXT)
    assert session.prompt_tokens + found[1].tokens <= 512


def test_a_text_that_does_not_fit_is_refused_in_a_sentence(session):
    with pytest.raises(ContextFull, match=r"context of .* is full"):
        list(session.write_branches([Branch([Part(" word" * 600, Author.INSERTED)], 1, 5)]))
    assert by_branch(list(session.write_branches([Branch([], 1, 5)])))[0].tokens == 5, "the next one is served"


def test_a_cancelled_session_ends_its_branches(engine):
    session = engine.open(QUESTION, Sampling())
    found = []
    for item in session.write_branches([Branch([], seed, LIMIT) for seed in range(500)]):
        found.append(item)
        if len(found) == 3:
            threading.Thread(target=session.cancel).start()
    assert 3 <= len(found) < 500
    session.close()
    with closing(engine.open(QUESTION, Sampling())) as another:
        assert len(by_branch(list(another.write_branches([Branch([], 1, 5)])))) == 1


def test_a_process_that_dies_is_started_again_and_no_branch_is_lost(session, engine):
    branches, items = [Branch([], seed, LIMIT) for seed in range(100)], []
    for item in session.write_branches(branches):
        items.append(item)
        if len(items) == 5:
            pid = engine.process.pid
            assert pid
            os.kill(pid, signal.SIGKILL)
    assert set(by_branch(items)) == set(range(100))
    assert any(isinstance(item, Notice) for item in items)


def test_two_sessions_write_branches_while_a_third_writes(engine):
    sessions = [engine.open(QUESTION, Sampling()) for _ in range(3)]
    branches = [Branch([], seed, LIMIT) for seed in range(EACH)]
    found: dict[int, dict[int, Continuation]] = {}

    def write(number: int) -> None:
        found[number] = by_branch(list(sessions[number].write_branches(branches)))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    alone = written_alone(sessions[2], branches[0])
    for thread in threads:
        thread.join()
    assert alone
    assert all(len(found[number]) == EACH for number in range(2))
    for session in sessions:
        session.close()


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
    llama, replies = LittleRoom(options, lambda _: None), list[Reply]()
    llama.most = sequences
    scheduler = Scheduler(llama, options, replies.append)
    scheduler.open(1, llama.tokenize("Step 1: ", False))
    writer = BranchWriter(scheduler)
    writer.begin(WriteBranches(1, 7, [Read(0, number, [], limit=5, seed=number) for number in range(4)]))
    while writer.is_busy:
        writer.step()
    writer.close()
    assert sum(isinstance(reply, Continuation) for _, reply in replies) == ended
    last = replies[-1][1]
    assert last == End(Stop.LIMIT) if ended else isinstance(last, Failed) and "no memory" in last.reason


@pytest.mark.parametrize("architecture", ["mamba2", "lfm2"])
def test_memory_that_cannot_be_truncated_is_shared_by_snapshots(architecture, tmp_path):
    """A recurrent model and a hybrid one. Their weights are random, so that near-ties are frequent: few tokens."""
    with closing(LocalEngine(grow(architecture, tmp_path), LoadOptions(context=256, threads=1))) as engine:
        assert not engine.card.supports_truncation
        with closing(engine.open((Message("user", "a"),), Sampling(temperature=0))) as session:
            texts = [body(engine, *range(3, 3 + length)) for length in (1, 4, 9)]
            branches = [Branch(texts[n], 1, 4) for n in (0, 0, 1, 2, 2, 1, 0)]
            found = by_branch(list(session.write_branches(branches)))
            again = by_branch(list(session.write_branches(branches)))
            alone = [written_alone(session, branch) for branch in branches]
    for index, text in enumerate(alone):
        assert found[index].text == again[index].text == text
    assert len(set(alone)) == 3, "the texts before make a difference"


@pytest.mark.real_models
def test_a_real_model_with_sliding_windows_and_one_without(smollm2, gemma):
    for path in (smollm2, gemma):
        with (
            closing(LocalEngine(path, LoadOptions(context=1024, batch=128, threads=1))) as engine,
            closing(engine.open((Message("user", "Count from one to ten."),), Sampling(temperature=0))) as session,
        ):
            before = [Part("One, two, three", Author.INSERTED)]
            longer = [*before, Part(", four, five, six", Author.INSERTED)]
            branches = [Branch(text, 1, 8) for text in (before, before, longer, longer)]
            found = by_branch(list(session.write_branches(branches)))
            assert found[0].text == found[1].text
            assert found[2].text == found[3].text
            assert [found[0].text, found[2].text] == [written_alone(session, branches[n]) for n in (0, 2)]
