"""A conversation is a tree; its answers are written or wait, on scripted models and without a widget."""

import itertools
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

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

from baton_reasoning.app.session.chat_session import STEP_CAP, ChatSession, intervention_of
from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState, Remark, close_pair
from baton_reasoning.app.session.pair_loader import PairLoader
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.session.repository import ConversationRepository
from baton_reasoning.app.session.run_queue import Activity, RunMark, RunQueue, texts_at_once
from baton_reasoning.app.toolkit.background import BackgroundTasks
from baton_reasoning.core.conversation import Conversation, Exchange
from baton_reasoning.core.demo_pair import LARGE_MODEL, costly
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.settings import ModelChoice, SettingsFile
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.interruptions import Intervention
from baton_reasoning.core.thinking.policies.alone import Never
from baton_reasoning.core.thinking.reasons import PERSON
from baton_reasoning.core.thinking.requests import TakeOver, Until, Write
from tests.app.conftest import ScriptedLoader
from tests.core.thinking.running import run
from tests.fakes.held import HeldAnswers
from tests.fakes.scripted import ScriptedEngine
from tests.tiers import size

PHASES = [Phase.explicit, Phase.generate]
"""A failing walk is told as it was found: to shorten it takes many, and each takes a second."""
CHOICE = ModelChoice(small="small.gguf", large="large.gguf")


def models_of(held, folder):
    return LoadedModels(ScriptedLoader(held.small, held.large), ModelCosts(folder / "costs.json"))


def close(models, *owners):
    for owner in (*owners, models):
        BackgroundTasks.of(owner).close()
    models.close()


# A conversation

PLAIN = RunSettings(instruction="")


def test_models_are_told_earlier_answers_without_their_thinking():
    trace = run(Never(), ["Hm.</think>\n\nIt is 4."]).trace
    first = Exchange("2 + 2?", RunSettings(instruction="Step by step."), None, trace)
    asked, told, now = Exchange("And 3 + 3?", PLAIN, first).messages()
    assert (asked,) == tuple(first.messages()), "as it was asked, so that it is not read again"
    assert (told.role, told.content) == ("assistant", "It is 4.")
    assert (now.role, now.content) == ("user", "And 3 + 3?")


def test_walking_to_a_sibling_shows_the_newest_branch_below_it():
    conversation = Conversation()
    one, other = Exchange("a", PLAIN), Exchange("b", PLAIN)
    late = Exchange("a, late", PLAIN, one)
    for exchange in (one, Exchange("a, early", PLAIN, one), late, other):
        conversation.add(exchange)
    assert conversation.siblings(one) == [one, other]
    assert conversation.path == [other]
    conversation.show(one)
    assert conversation.path == [one, late]


def test_the_large_model_is_let_write_one_step_and_the_small_one_as_the_policy_says():
    one_step = TakeOver(STEP_CAP, PERSON, until=Until.STEP, author=Author.LARGE)
    assert intervention_of(Author.LARGE, PLAIN) == Intervention(one_step)
    assert intervention_of(Author.SMALL, PLAIN) == Intervention(Write())


@pytest.mark.slow
def test_the_demo_pair_is_made_at_the_first_start_or_opened_tiny_with_a_remark(tmp_path, monkeypatch):
    monkeypatch.delenv(costly.SWITCH)
    monkeypatch.setattr(costly, "RATIO", 2)
    monkeypatch.setattr(costly, "BLOCK", costly.Shape(feed_forward=256))
    usual, full = Paths.under(tmp_path / "usual"), Paths.under(tmp_path / "full")
    (tmp_path / "full").mkdir()
    full.cache.write_text("a file, where a folder should be", encoding="utf-8")
    for paths, is_made, is_tiny in ((usual, True, False), (usual, False, False), (full, True, True)):
        *told, pair = PairLoader(paths)(ModelChoice(), lambda _: None)
        assert isinstance(pair, Pair)
        close_pair(pair)
        assert (costly.MAKING in told) is is_made
        assert ["equally fast" in each.text for each in told if isinstance(each, Remark)] == [True] * is_tiny
        assert pair.large
        assert (pair.large.card.path == LARGE_MODEL) is is_tiny


# A list of runs


def test_what_is_stopped_out_of_view_is_no_news_and_what_waits_for_models_that_fail_goes(qtbot, tmp_path, no_leaks):
    held = HeldAnswers()
    models = models_of(held, tmp_path)
    runs = RunQueue(models, ModelChoice)
    models.load(CHOICE)
    qtbot.waitUntil(lambda: models.state is LoadState.READY)
    stopped, waiting = ((Conversation(), Exchange(problem, PLAIN)) for problem in ("one", "two"))
    runs.write(*stopped)
    runs.stop(stopped[0])
    held.let_go("one")
    qtbot.waitUntil(lambda: runs.is_idle)
    assert runs.marks() == {}
    assert runs.conversation(stopped[0].id) is None
    models._loader.error = EngineLost("The model cannot be loaded.")
    models.load(ModelChoice(small="another.gguf"))
    runs.write(*waiting)
    assert runs.activity(waiting[0]) is Activity.WAITING
    qtbot.waitUntil(lambda: runs.is_idle)
    close(models, runs)


def test_models_elsewhere_set_no_limit_to_the_texts_at_once():
    assert texts_at_once(Pair(ScriptedEngine(), ScriptedEngine())) > 3


# A walk

is_ready = precondition(lambda walk: walk.session.ready)
has_exchange = precondition(lambda walk: bool(walk.session.conversation.roots))
has_answer = precondition(lambda walk: walk.session.ready and bool(walk.session.conversation.roots))


class ChatWalk(RuleBasedStateMachine):
    """Does what a person may do in a chat, and knows what must come of it."""

    wait_until: "ClassVar[staticmethod[[Callable[[], bool]], None]]"

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.words = (f"w{number}" for number in itertools.count())
        self.trees = {}
        """By the id of a conversation: the id, the parent's id and the problem of each of its exchanges."""
        self.exchanges, self.kept = {}, {}
        """By the id of an exchange: the one that was shown last, and the text with which it began."""
        self.stopped, self.let_go, self.compared = set(), set(), set()
        self.deleted = {}
        """By the id of a deleted conversation, which cannot be opened: what brings it back."""

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

    def known(self):
        """The ids of the conversations that are not deleted, and of which one can be chosen."""
        return [each for each in self.trees if each not in self.deleted]

    def unfinished(self, conversation):
        exchanges = [self.exchanges[id] for id, *_ in self.trees.get(conversation, ())]
        return {each.id for each in exchanges if self.runs.writes(each) or self.runs.waits(each)}

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

    @is_ready
    @rule()
    def ask(self):
        path = self.session.conversation.path
        self.session.ask(next(self.words))
        assert self.session.conversation.path[:-1] == path
        self.takes(1)

    @is_ready
    @rule()
    def compare(self):
        arms = [self.session.settings.model_copy(update={"seed": seed}) for seed in (1, 2)]
        compared = self.session.compare(next(self.words), arms, self.session.conversation.leaf, shows=True)
        self.compared |= {each.id for each in compared}
        self.takes(2)

    @has_exchange
    @rule()
    def ask_too_much(self):
        """While an answer is written here, nothing else is begun."""
        if not self.session.ready:
            self.session.ask(next(self.words))
            self.session.ask_again(self.any_exchange(0))
            assert self.session.compare(next(self.words), [RunSettings()], None, shows=True) == []
            self.takes(0)

    @has_answer
    @rule(number=st.integers(0, 9))
    def ask_again(self, number):
        first = self.any_exchange(number)
        self.session.ask_again(first)
        again = self.leaf()
        assert (again.problem, again.parent) == (first.problem, first.parent)
        earlier = self.session.conversation.siblings(again)[:-1]
        assert again.settings.seed not in [each.settings.seed for each in earlier]
        self.takes(1)

    @has_answer
    @rule(number=st.integers(0, 9))
    def fork(self, number):
        for exchange, piece in self.any_piece(number):
            self.session.fork(exchange, piece.position)
            assert self.leaf().trace.text == exchange.trace.text[: piece.position]
            self.takes(1)

    @has_answer
    @rule(number=st.integers(0, 9))
    def edit(self, number):
        for exchange, piece in self.any_piece(number):
            if not piece.in_answer:
                assert self.session.edit(exchange, piece.position, "Mine. ")
                assert self.leaf().trace.text == exchange.trace.text[: piece.position] + "Mine. "
                self.takes(1)

    @has_answer
    @rule(number=st.integers(0, 9))
    def go_on(self, number):
        exchange = self.any_exchange(number)
        is_complete = exchange.trace.finish is Finish.END_OF_TEXT
        self.session.go_on(exchange)
        assert self.session.ready is is_complete
        self.stopped.discard(exchange.id)
        self.compared.discard(exchange.id)

    @rule()
    def stop(self):
        self.stopped |= self.unfinished(self.session.conversation.id)
        self.session.stop()

    @rule()
    def new(self):
        self.session.new()
        assert not self.session.conversation.roots

    @precondition(known)
    @rule(number=st.integers(0, 9))
    def delete(self, number):
        chosen = self.known()[number % len(self.known())]
        self.stopped |= self.unfinished(chosen)
        self.deleted[chosen] = self.session.forget(chosen)
        assert self.session.conversation.id != chosen

    @precondition(lambda self: self.deleted)
    @rule()
    def undo(self):
        chosen, bring_back = self.deleted.popitem()
        self.store.flush()
        bring_back()
        self.is_opened(chosen)

    @precondition(known)
    @rule(number=st.integers(0, 9))
    def open(self, number):
        chosen = self.known()[number % len(self.known())]
        self.store.flush()
        self.session.open(chosen)
        self.is_opened(chosen)

    def is_opened(self, chosen):
        self.wait_until(lambda: all(each.is_read for each in self.session.conversation))
        assert self.session.conversation.id == chosen
        self.takes(0)

    @has_exchange
    @rule(number=st.integers(0, 9))
    def show(self, number):
        exchange = self.any_exchange(number)
        self.session.show(exchange)
        assert exchange in self.session.conversation.path

    @has_exchange
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
        waiting = [each for each in self.exchanges.values() if self.runs.waits(each)]
        compared = {each.id for each in (*writing, *waiting)} & self.compared
        if self.compared & {each.id for each in writing}:
            assert len(writing) == 1, "what is compared by its time is written alone"
        elif waiting and not compared and not any(self.runs.writes(each) for each in waiting):
            assert len(writing) == self.parallel
        assert len(writing) <= self.parallel
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
                stored = store.conversations.open(conversation)
                assert {(each.id, each.parent and each.parent.id, each.problem) for each in stored} == set(tree)
            for id, exchange in self.exchanges.items():
                text, kept = exchange.trace.text, self.kept[id]
                whole = f"About {exchange.problem}, we think.\n\nDone.</think>\n\nThat was {exchange.problem}."
                is_whole = exchange.trace.finish is Finish.END_OF_TEXT
                assert is_whole or id in self.stopped
                assert text.startswith(kept)
                expected = kept + whole[len(kept) :]
                if is_whole and "</think>" in expected:  # else a person has written over the beginning of the tag
                    assert text == expected
                assert store.runs.trace(id).text == text
        shutil.rmtree(self.folder)


@pytest.mark.scaled
def test_whatever_a_person_does_no_answer_is_lost_and_what_was_not_stopped_is_written(qtbot):
    ChatWalk.wait_until = staticmethod(qtbot.waitUntil)  # a partial, which Python 3.14 would bind
    examples = settings(max_examples=size(20, long=300), stateful_step_count=25, deadline=None, phases=PHASES)
    run_state_machine_as_test(ChatWalk, settings=examples)
