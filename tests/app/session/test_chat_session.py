"""Answers that are written or wait, in several conversations, on scripted models and without a widget."""

import itertools
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from PySide6.QtWidgets import QApplication

from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.session.conversation import Conversation, Exchange
from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.session.repository import ConversationRepository
from baton_reasoning.app.session.run_list import Activity, RunList, RunMark, texts_at_once
from baton_reasoning.app.toolkit.background import BackgroundTasks
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.settings import ModelChoice, SettingsFile
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import Finish, RunStarted
from tests.app.conftest import ScriptedLoader
from tests.fakes.held import HeldAnswers
from tests.fakes.scripted import ScriptedEngine
from tests.tiers import size

PHASES = [Phase.explicit, Phase.generate]
"""A failing walk is told as it was found: to shorten it takes many, and each takes a second."""
CHOICE = ModelChoice(small="small.gguf", large="large.gguf")


def models_of(held, folder):
    loader = ScriptedLoader()
    loader.small, loader.large = held.small, held.large
    return LoadedModels(loader, ModelCosts(folder / "costs.json"))


def close(models, *owners):
    for owner in (*owners, models):
        BackgroundTasks.of(owner).close()
    models.close()


# A list of runs


class Bench:
    """A run list over held answers, one conversation for each problem."""

    def __init__(self, folder, parallel):
        self.held = HeldAnswers(parallel)
        self.models = models_of(self.held, folder)
        self.runs = RunList(self.models)

    def ask(self, problem):
        conversation, exchange = asked(problem)
        self.runs.write(conversation, exchange)
        return conversation, exchange


def asked(problem):
    conversation, exchange = Conversation(), Exchange(problem, RunSettings())
    conversation.add(exchange)
    return conversation, exchange


@pytest.fixture
def parallel():
    return 1


@pytest.fixture
def bench(qtbot, tmp_path, parallel, no_leaks):
    bench = Bench(tmp_path, parallel)
    bench.models.load(CHOICE)
    qtbot.waitUntil(lambda: bench.models.state is LoadState.READY)
    yield bench
    bench.runs.stop()
    bench.held.let_all_go()
    qtbot.waitUntil(lambda: bench.runs.is_idle)
    close(bench.models, bench.runs)


def test_an_answer_waits_for_the_one_before_where_the_models_write_one_at_a_time(bench, qtbot):
    first, one = bench.ask("one")
    second, two = bench.ask("two")
    assert (bench.runs.activity(first), bench.runs.activity(second)) == (Activity.WRITING, Activity.WAITING)
    assert bench.runs.ahead_of(two) == 1
    assert bench.runs.marks() == {first.id: RunMark.WRITING, second.id: RunMark.WAITING}
    bench.runs.view(second)
    bench.held.let_go("one")
    qtbot.waitUntil(lambda: bench.runs.writes(two))
    assert one.trace.finish is Finish.END_OF_TEXT
    assert bench.runs.marks() == {first.id: RunMark.UNREAD, second.id: RunMark.WRITING}
    assert bench.runs.conversation(first.id) is first
    bench.runs.view(first)
    bench.runs.stop(second)
    bench.held.let_go("two")
    qtbot.waitUntil(lambda: bench.runs.is_idle)
    assert bench.runs.marks() == {}, "what a person stopped is no news"
    assert bench.runs.conversation(first.id) is None


@pytest.mark.parametrize("parallel", [2])
def test_as_many_are_written_at_once_as_the_models_take(bench, qtbot):
    exchanges = [bench.ask(problem)[1] for problem in ("one", "two", "three")]
    assert [bench.runs.writes(each) for each in exchanges] == [True, True, False]
    bench.held.let_go("two")
    qtbot.waitUntil(lambda: bench.runs.writes(exchanges[2]))
    assert bench.runs.writes(exchanges[0])
    assert texts_at_once(Pair(ScriptedEngine(), ScriptedEngine())) > 3, "models elsewhere set no limit"


@pytest.mark.parametrize("parallel", [3])
def test_what_is_compared_by_its_time_is_written_alone(bench, qtbot):
    compared, first = asked("one")
    second = Exchange("two", RunSettings())
    compared.add(second)
    bench.runs.compare(compared, [first, second])
    _, other = bench.ask("three")
    assert bench.runs.activity(compared) is Activity.COMPARING
    assert bench.runs.answering(compared) is None
    assert [bench.runs.writes(each) for each in (first, second, other)] == [True, False, False]
    bench.held.let_go("one")
    qtbot.waitUntil(lambda: bench.runs.writes(second))
    assert not bench.runs.writes(other)
    bench.held.let_go("two")
    qtbot.waitUntil(lambda: bench.runs.writes(other))


def test_what_is_stopped_can_be_written_again_from_its_text_on(bench, qtbot):
    ended = []
    bench.runs.ended.connect(lambda run, error: ended.append((run.exchange, error)))
    first, one = bench.ask("one")
    second, two = bench.ask("two")
    qtbot.waitUntil(lambda: one.trace.tokens > 2)
    dropped = bench.runs.stop(second)
    assert ended == [(two, None)], "the end of a dropped answer is told too"
    assert bench.runs.activity(second) is Activity.IDLE
    assert bench.runs.activity(first) is Activity.WRITING
    bench.runs.write_again([*bench.runs.stop(first), *dropped])
    assert bench.runs.waits(two)
    for problem in ("one", "two"):
        bench.held.let_go(problem)
    qtbot.waitUntil(lambda: bench.runs.is_idle)
    assert one.trace.text == "About one, we think.\n\nDone.</think>\n\nThat was one."
    assert sum(isinstance(event, RunStarted) for event in one.trace.events) == 2
    assert two.trace.finish is Finish.END_OF_TEXT


def test_models_that_cannot_be_loaded_leave_nothing_waiting(bench, qtbot):
    bench.models._loader.error = EngineLost("The model cannot be loaded.")
    bench.models.load(ModelChoice(small="another.gguf"))
    conversation, one = bench.ask("one")
    assert bench.runs.activity(conversation) is Activity.WAITING
    qtbot.waitUntil(lambda: bench.runs.is_idle)
    assert not one.trace.started


def test_what_waits_is_written_by_the_models_before_if_others_cannot_be_loaded(bench, qtbot):
    def load_those_before():
        if bench.models.state is LoadState.FAILED:
            bench.models.load(CHOICE)

    bench.models.changed.connect(load_those_before)
    bench.ask("one")
    _, two = bench.ask("two")
    bench.models._loader.error = EngineLost("The model cannot be loaded.")
    bench.models.load(ModelChoice(small="another.gguf"))
    bench.held.let_go("one")
    bench.held.let_go("two")
    qtbot.waitUntil(lambda: two.trace.finish is Finish.END_OF_TEXT)


# A walk


class ChatWalk(RuleBasedStateMachine):
    """Does what a person may do in a chat, and knows what must come of it."""

    wait_until: Callable[[Callable[[], bool]], None]

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.words = (f"w{number}" for number in itertools.count())
        self.trees = {}
        """By the id of a conversation: the id, the parent's id and the problem of each of its exchanges."""
        self.exchanges, self.kept = {}, {}
        """By the id of an exchange: the one that was shown last, and the text with which it began."""
        self.stopped, self.let_go = set(), set()
        self.bring_back = []
        """What brings deleted conversations back."""

    @initialize(parallel=st.integers(1, 3))
    def open_window(self, parallel):
        self.held, self.parallel = HeldAnswers(parallel), parallel
        self.models = models_of(self.held, self.folder)
        preferences = Preferences(SettingsFile(self.folder / "settings.json"))
        preferences.change(models=CHOICE)
        self.session = ChatSession(self.models, preferences)
        self.runs = self.session.runs
        self.store = Store.open(self.folder / "baton.db")
        self.repository = ConversationRepository(self.store)
        self.session.use_repository(self.repository)

    def is_ready(self):
        return self.session.ready

    def has_answer(self):
        return self.session.ready and bool(self.session.conversation.roots)

    def has_exchange(self):
        return bool(self.session.conversation.roots)

    def leaf(self) -> Exchange:
        leaf = self.session.conversation.leaf
        assert leaf
        return leaf

    def any_exchange(self, number):
        everything = list(self.session.conversation)
        return everything[number % len(everything)]

    def any_piece(self, number):
        """One of the pieces, the newest first, and its exchange; none where nothing is written."""
        return [(each, piece) for each in self.session.conversation for piece in each.trace.pieces][::-1][number:][:1]

    def unfinished(self):
        return {each.id for each in self.session.conversation if self.runs.writes(each) or self.runs.waits(each)}

    def takes(self, added):
        """Take note of what is in view: nothing is lost, and only what was asked for has been added."""
        conversation = self.session.conversation
        known = self.trees.setdefault(conversation.id, [])
        tree = [(each.id, each.parent and each.parent.id, each.problem) for each in conversation]
        assert set(known) <= set(tree)
        assert len(tree) == len(known) + added
        self.trees[conversation.id] = tree
        for exchange in conversation:
            self.exchanges[exchange.id] = exchange
            self.kept.setdefault(exchange.id, exchange.trace.text)

    @precondition(is_ready)
    @rule()
    def ask(self):
        path = self.session.conversation.path
        self.session.ask(next(self.words))
        assert self.session.conversation.path[:-1] == path
        self.takes(1)

    @precondition(is_ready)
    @rule()
    def compare(self):
        arms = [self.session.settings.model_copy(update={"seed": seed}) for seed in (1, 2)]
        self.session.compare(next(self.words), arms, self.session.conversation.leaf, shows=True)
        self.takes(2)

    @precondition(has_exchange)
    @rule()
    def ask_too_much(self):
        """While an answer is written here, nothing else is begun."""
        if not self.session.ready:
            self.session.ask(next(self.words))
            self.session.ask_again(self.any_exchange(0))
            assert self.session.compare(next(self.words), [RunSettings()], None, shows=True) == []
            self.takes(0)

    @precondition(has_answer)
    @rule(number=st.integers(0, 9))
    def ask_again(self, number):
        first = self.any_exchange(number)
        self.session.ask_again(first)
        again = self.leaf()
        assert (again.problem, again.parent) == (first.problem, first.parent)
        assert again.settings.seed not in [
            each.settings.seed for each in self.session.conversation.siblings(again)[:-1]
        ]
        self.takes(1)

    @precondition(has_answer)
    @rule(number=st.integers(0, 9))
    def fork(self, number):
        for exchange, piece in self.any_piece(number):
            self.session.fork(exchange, piece.position)
            assert self.leaf().trace.text == exchange.trace.text[: piece.position]
            self.takes(1)

    @precondition(has_answer)
    @rule(number=st.integers(0, 9))
    def edit(self, number):
        for exchange, piece in self.any_piece(number):
            if not piece.in_answer:
                assert self.session.edit(exchange, piece.position, "Mine. ")
                assert self.leaf().trace.text == exchange.trace.text[: piece.position] + "Mine. "
                self.takes(1)

    @precondition(has_answer)
    @rule(number=st.integers(0, 9))
    def go_on(self, number):
        exchange = self.any_exchange(number)
        is_complete = exchange.trace.finish is Finish.END_OF_TEXT
        self.session.go_on(exchange)
        assert self.session.ready is is_complete
        self.stopped.discard(exchange.id)

    @rule()
    def stop(self):
        self.stopped |= {
            each.id for each in self.session.conversation if self.runs.writes(each) or self.runs.waits(each)
        }
        self.session.stop()

    @rule()
    def new(self):
        self.session.new()
        assert not self.session.conversation.roots

    @precondition(has_exchange)
    @rule()
    def delete(self):
        self.stopped |= {
            each.id for each in self.session.conversation if self.runs.writes(each) or self.runs.waits(each)
        }
        self.bring_back.append(self.session.forget(self.session.conversation.id))
        assert not self.session.conversation.roots

    @precondition(lambda self: self.bring_back)
    @rule()
    def undo(self):
        self.store.flush()
        self.bring_back.pop()()
        self.wait_until(lambda: all(each.is_read for each in self.session.conversation))
        self.takes(0)

    @precondition(lambda self: self.trees)
    @rule(number=st.integers(0, 9))
    def open(self, number):
        chosen = list(self.trees)[number % len(self.trees)]
        if self.trees[chosen]:
            self.store.flush()
            self.session.open(chosen)
            self.wait_until(lambda: all(each.is_read for each in self.session.conversation))
            assert self.session.conversation.id == chosen
            self.takes(0)

    @precondition(has_exchange)
    @rule(number=st.integers(0, 9))
    def show(self, number):
        exchange = self.any_exchange(number)
        self.session.show(exchange)
        assert exchange in self.session.conversation.path

    @precondition(has_exchange)
    @rule()
    def write_to_the_end(self):
        current = self.session.current
        assert current
        self.let_go.add(current.problem)
        self.held.let_go(current.problem)
        self.wait_until(lambda: not self.runs.writes(current))

    def writing(self):
        return [each for each in self.exchanges.values() if self.runs.writes(each)]

    def is_settled(self):
        """Whether the models are held in all that is written, so that a walk can be repeated."""
        if self.models.state not in (LoadState.NONE, LoadState.READY):
            return False
        texts = [each.trace.text for each in self.writing() if each.problem not in self.let_go]
        return len(texts) == len(self.writing()) and all(re.fullmatch(r"About( [^ ]+){3}", text) for text in texts)

    @invariant()
    def nothing_waits_without_need(self):
        QApplication.processEvents()
        self.wait_until(self.is_settled)
        writing = self.writing()
        assert len(writing) <= self.parallel
        assert self.session.activity is not Activity.COMPARING or len(writing) == 1
        assert bool(writing) is not self.runs.is_idle
        assert self.runs.marks().get(self.session.conversation.id) is not RunMark.UNREAD

    def teardown(self):
        """Everything that was not stopped is written to its end, and all of it is stored."""
        self.held.let_all_go()
        self.wait_until(lambda: self.runs.is_idle)
        close(self.models, self.runs, self.repository)
        self.store.close()
        with Store.open(self.folder / "baton.db") as store:
            for conversation, tree in self.trees.items():
                stored = store.conversations.open(conversation).exchanges if tree else ()
                assert {(each.id, each.parent, each.problem) for each in stored} == set(tree)
            for id, exchange in self.exchanges.items():
                text, kept = exchange.trace.text, self.kept[id]
                whole = f"About {exchange.problem}, we think.\n\nDone.</think>\n\nThat was {exchange.problem}."
                is_whole = exchange.trace.finish is Finish.END_OF_TEXT
                assert is_whole or id in self.stopped
                assert text.startswith(kept)
                if is_whole and "Mine" not in kept:  # else it may go on within the closing tag
                    assert text == kept + whole[len(kept) :]
                assert store.runs.trace(id).text == text
        shutil.rmtree(self.folder)


@pytest.mark.scaled
def test_whatever_a_person_does_no_answer_is_lost_and_what_was_not_stopped_is_written(qtbot):
    ChatWalk.wait_until = qtbot.waitUntil
    examples = settings(max_examples=size(20, long=300), stateful_step_count=25, deadline=None, phases=PHASES)
    run_state_machine_as_test(ChatWalk, settings=examples)
