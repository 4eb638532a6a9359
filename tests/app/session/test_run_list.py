"""The list of answers that are written or wait, on scripted models and without a widget."""

from __future__ import annotations

from pathlib import Path

import pytest

from baton_reasoning.app.session.conversation import Conversation, Exchange
from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState
from baton_reasoning.app.session.run_list import Activity, RunList, RunMark
from baton_reasoning.app.toolkit.background import BackgroundTasks
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.events import Finish, RunStarted
from tests.app.conftest import ScriptedLoader
from tests.fakes.held import HeldAnswers


class Bench:
    """A run list over held answers, one conversation for each problem."""

    def __init__(self, folder: Path, parallel: int) -> None:
        self.held = HeldAnswers(parallel)
        self.loader = ScriptedLoader()
        self.loader.small, self.loader.large = self.held.small, self.held.large
        self.models = LoadedModels(self.loader, ModelCosts(folder / "costs.json"))
        self.runs = RunList(self.models)

    def ask(self, problem: str) -> tuple[Conversation, Exchange]:
        conversation, exchange = asked(problem)
        self.runs.write(conversation, exchange)
        return conversation, exchange


def asked(problem: str) -> tuple[Conversation, Exchange]:
    conversation, exchange = Conversation(), Exchange(problem, RunSettings())
    conversation.add(exchange)
    return conversation, exchange


def finish(exchange: Exchange) -> Finish | None:
    return exchange.trace.finish


@pytest.fixture
def parallel():
    return 1


@pytest.fixture
def bench(qtbot, tmp_path, parallel, no_leaks):
    bench = Bench(tmp_path, parallel)
    bench.models.load(ModelChoice())
    qtbot.waitUntil(lambda: bench.models.state is LoadState.READY)
    yield bench
    bench.runs.stop()
    bench.held.let_all_go()
    qtbot.waitUntil(lambda: bench.runs.is_idle)
    for owner in (bench.runs, bench.models):
        BackgroundTasks.of(owner).close()
    bench.models.close()


def test_an_answer_waits_for_the_one_before_where_the_models_write_one_at_a_time(bench, qtbot):
    first, one = bench.ask("one")
    second, two = bench.ask("two")
    assert (bench.runs.activity(first), bench.runs.activity(second)) == (Activity.WRITING, Activity.WAITING)
    assert bench.runs.ahead_of(two) == 1
    assert bench.runs.marks() == {first.id: RunMark.WRITING, second.id: RunMark.WAITING}
    bench.held.let_go("one")
    qtbot.waitUntil(lambda: bench.runs.writes(two))
    assert finish(one) is Finish.END_OF_TEXT
    bench.held.let_go("two")
    qtbot.waitUntil(lambda: bench.runs.is_idle)
    assert two.trace.answer.strip() == "That was two."


@pytest.mark.parametrize("parallel", [2])
def test_as_many_are_written_at_once_as_the_models_take(bench, qtbot):
    exchanges = [bench.ask(problem)[1] for problem in ("one", "two", "three")]
    assert [bench.runs.writes(each) for each in exchanges] == [True, True, False]
    bench.held.let_go("two")
    qtbot.waitUntil(lambda: bench.runs.writes(exchanges[2]))
    assert bench.runs.writes(exchanges[0])


@pytest.mark.parametrize("parallel", [3])
def test_what_is_compared_by_its_time_is_written_alone(bench, qtbot):
    compared, first = asked("one")
    second = Exchange("two", RunSettings())
    compared.add(second)
    bench.runs.compare(compared, [first, second], at_once=False)
    _, other = bench.ask("three")
    assert bench.runs.activity(compared) is Activity.COMPARING
    assert [bench.runs.writes(each) for each in (first, second, other)] == [True, False, False]
    bench.held.let_go("one")
    qtbot.waitUntil(lambda: bench.runs.writes(second))
    assert not bench.runs.writes(other)
    bench.held.let_go("two")
    qtbot.waitUntil(lambda: bench.runs.writes(other))


@pytest.mark.parametrize("parallel", [3])
def test_a_comparison_at_once_is_written_beside_others(bench):
    _, other = bench.ask("three")
    compared, first = asked("one")
    second = Exchange("two", RunSettings())
    compared.add(second)
    bench.runs.compare(compared, [first, second], at_once=True)
    assert all(bench.runs.writes(each) for each in (first, second, other))


def test_only_the_answers_of_one_conversation_are_stopped(bench, qtbot):
    first, one = bench.ask("one")
    second, two = bench.ask("two")
    bench.runs.stop(first)
    bench.held.let_go("one")
    qtbot.waitUntil(lambda: bench.runs.writes(two))
    assert finish(one) is Finish.STOPPED
    assert bench.runs.activity(first) is Activity.IDLE
    assert bench.runs.activity(second) is Activity.WRITING


def test_what_waits_is_dropped_when_it_is_stopped_and_can_be_written_again(bench, qtbot):
    bench.ask("one")
    second, two = bench.ask("two")
    dropped = bench.runs.stop(second)
    assert bench.runs.activity(second) is Activity.IDLE
    bench.runs.write_again(dropped)
    assert bench.runs.waits(two)
    bench.held.let_go("one")
    bench.held.let_go("two")
    qtbot.waitUntil(lambda: finish(two) is Finish.END_OF_TEXT)


def test_a_stopped_answer_that_is_wanted_again_at_once_goes_on_from_its_text(bench, qtbot):
    conversation, one = bench.ask("one")
    qtbot.waitUntil(lambda: one.trace.tokens > 2)
    bench.runs.write_again(bench.runs.stop(conversation))
    bench.held.let_go("one")
    qtbot.waitUntil(lambda: bench.runs.is_idle)
    assert one.trace.text == "About one, we think.\n\nDone.</think>\n\nThat was one."
    assert sum(isinstance(event, RunStarted) for event in one.trace.events) == 2


def test_an_answer_that_ends_out_of_view_is_unread_until_it_is_viewed(bench, qtbot):
    first, _ = bench.ask("one")
    bench.runs.view(Conversation())
    bench.held.let_go("one")
    qtbot.waitUntil(lambda: bench.runs.is_idle)
    assert bench.runs.marks() == {first.id: RunMark.UNREAD}
    assert bench.runs.conversation(first.id) is first
    bench.runs.view(first)
    assert bench.runs.marks() == {}
    assert bench.runs.conversation(first.id) is None


def test_an_answer_that_a_person_stopped_is_no_news(bench, qtbot):
    conversation, _ = bench.ask("one")
    bench.runs.stop(conversation)
    bench.held.let_go("one")
    qtbot.waitUntil(lambda: bench.runs.is_idle)
    assert bench.runs.marks() == {}


def test_models_that_cannot_be_loaded_leave_nothing_waiting(bench, qtbot):
    bench.loader.error = EngineLost("The model cannot be loaded.")
    bench.models.load(ModelChoice(small="another.gguf"))
    conversation, one = bench.ask("one")
    assert bench.runs.activity(conversation) is Activity.WAITING
    qtbot.waitUntil(lambda: bench.runs.is_idle)
    assert not one.trace.started


def test_what_waits_is_written_by_the_models_before_if_others_cannot_be_loaded(bench, qtbot):
    def load_those_before() -> None:
        if bench.models.state is LoadState.FAILED:
            bench.models.load(ModelChoice())

    bench.models.changed.connect(load_those_before)
    bench.ask("one")
    _, two = bench.ask("two")
    bench.loader.error = EngineLost("The model cannot be loaded.")
    bench.models.load(ModelChoice(small="another.gguf"))
    bench.held.let_go("one")
    bench.held.let_go("two")
    qtbot.waitUntil(lambda: finish(two) is Finish.END_OF_TEXT)


def test_the_end_of_a_dropped_answer_is_told_too(bench):
    ended: list[tuple[Exchange, object]] = []
    bench.runs.ended.connect(lambda run, error: ended.append((run.exchange, error)))
    bench.ask("one")
    second, two = bench.ask("two")
    bench.runs.stop(second)
    assert ended == [(two, None)]
