"""An answer beside the table: read in the background, walked through with keys, and reviewed by the models."""

import threading
from pathlib import Path
from unittest.mock import Mock

import pytest
from PySide6.QtCore import Qt

from baton_reasoning.app.batch.folded_parts import Fold
from baton_reasoning.app.batch.result_table import FIRST_ARM, ResultColumn
from baton_reasoning.app.batch.results_view import WITH_INSPECTOR
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import GradingMethod, Outcome, Verdict
from baton_reasoning.core.models.source import LocalFile
from baton_reasoning.core.reviews import wrong_answers
from tests.app.batch.conftest import run, wait_until_done
from tests.app.conftest import OWN_MODELS
from tests.core.batch.counting import large_engine
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow
LARGE = FIRST_ARM + 1


@pytest.fixture(autouse=True)
def own_models(page):
    """The batch runs on the chat's pair, whose large model gives the opinions."""
    page._preferences.change(models=OWN_MODELS)


@pytest.fixture
def view(page, qtbot, problem_file):
    """The results of six problems, three of which the small model alone gets wrong; the first of those is open."""
    page.show()
    run(page, qtbot, problem_file, "small", "large")
    page.view.step(1)
    wait_for_text(page.view.answer, qtbot)
    return page.view


def wait_for_text(answer, qtbot):
    qtbot.waitUntil(lambda: bool(answer.pane.steps.toPlainText()))


def shown(view):
    return view.answer.heading.text()


def all_traces(page):
    return [page.session.store.runs.trace(row.run) for row in page.session.store.batches.results(page.session.batch.id)]


def test_an_answer_beside_the_table_says_how_it_went_and_follows_the_cell_once_enter_opened_it(view, page, qtbot):
    answer = view.answer
    assert shown(view) == "p1 · small"
    assert answer.detail.isHidden(), "result and verdict say it"
    assert (answer.pane.result.text(), answer.pane.verdict.text()) == ("2", "✗ expected 1")
    assert answer.place.isHidden()
    answer.show_answer(answer.row._replace(answer=r"\frac{3}{4}", job=-1), view.model.problem_at(1))
    assert answer.pane.result.isVisible(), "though no mark leads to it"
    assert answer.pane.result.text() == "3/4"
    assert page.escape()
    assert view.answer.isHidden()
    assert not page.escape(), "there is none"
    assert view.share.isVisible()
    view.table.setCurrentIndex(view.model.index(2, LARGE))
    assert view.answer.isHidden(), "a cell alone opens nothing"
    qtbot.keyClick(view.table, Qt.Key.Key_Return)
    assert shown(view) == "p2 · large"
    assert not view.share.isVisible(), "the answer takes the place of the chart"
    qtbot.keyClick(view.table, Qt.Key.Key_Down)
    assert shown(view) == "p3 · large"
    wait_for_text(view.answer, qtbot)
    assert view.answer.problem.toPlainText() == "Count to 3."
    assert view.answer.pane.verdict.text() == "✓ right"
    assert view.answer.pane.verdict.accessibleName().startswith("✓ right. Judged by the reference answer, ")
    view.table.activated.emit(view.model.index(4, ResultColumn.PROBLEM))
    assert shown(view) == "p4 · small", "the main policy"
    view.left.emit()
    assert not page.escape()


def test_keys_lead_to_the_next_and_the_previous_failure_also_if_it_cannot_be_read(
    view, page, actions, qtbot, monkeypatch
):
    for widget, modifier, expected in (
        (view.table, Qt.KeyboardModifier.NoModifier, "p3"),
        (view.answer.next, Qt.KeyboardModifier.NoModifier, "p5"),
        (view.answer.next, Qt.KeyboardModifier.NoModifier, "p5"),  # there is none below
        (view.answer.next, Qt.KeyboardModifier.ShiftModifier, "p3"),
    ):
        widget.setFocus()
        qtbot.keyClick(widget, Qt.Key.Key_F8, modifier)
        assert expected in shown(view)
    view.answer.previous.click()
    assert "p1" in shown(view)
    view.table.sortByColumn(ResultColumn.NUMBER, Qt.SortOrder.DescendingOrder)
    view.answer.previous.click()
    assert "p3" in shown(view), "as the table is sorted"
    wait_for_text(view.answer, qtbot)
    damage = StoreError("A part of this run cannot be read.", "The rest of it is shown.")
    monkeypatch.setattr(page.session.store.runs, "trace", Mock(side_effect=damage))
    with qtbot.waitSignal(actions.failed):
        view.answer.next.click()
    assert "p1" in shown(view)
    assert view.answer.pane.steps.toPlainText() == "", "not the steps of another"
    assert not view.answer.pane.ribbon.segments
    view.table.setCurrentIndex(view.model.index(2, LARGE))
    with qtbot.waitSignal(actions.said) as said:
        qtbot.keyClick(view.table, Qt.Key.Key_F8)
    assert said.args == ["No answer of “large” below this one went wrong."]
    assert shown(view) == "p3 · large"


def test_an_answer_fills_the_page_on_demand_and_is_stepped_through_there(view, page, qtbot):
    qtbot.keyClick(view.table, Qt.Key.Key_F9)
    assert view.answer.isVisible()
    assert not any(part.isVisible() for part in (view.table, view.share, view.sentence, view.folded))
    first = shown(view)
    qtbot.keyClick(view.answer.full, Qt.Key.Key_F8)
    assert shown(view) != first
    assert page.escape()
    assert view.table.isVisible()
    assert view.answer.isVisible()
    assert page.escape()
    assert not view.answer.isVisible()


def test_the_inspector_opens_on_demand_or_with_a_step_and_follows(view, page, qtbot):
    answer = view.answer
    first, second, *_ = answer.pane.exchange.trace.pieces
    page.resize(1100, 900)
    answer.pane.pick(first)
    assert answer.inspector.isVisible()
    assert answer.inspector.exchange is answer.pane.exchange
    assert answer.inspector.piece is first
    view.step(1)
    wait_for_text(answer, qtbot)
    assert answer.inspector.exchange is answer.pane.exchange
    answer.inspect.click()
    assert not answer.inspector.isVisible()
    page.resize(1400, 900)
    first, second, *_ = answer.pane.exchange.trace.pieces
    for piece in (second, first):
        answer.pane.steps.piece_clicked.emit(piece)
        assert answer.inspector.isVisible()
        assert answer.inspector.piece is piece
    qtbot.waitUntil(lambda: answer.width() >= WITH_INSPECTOR)
    view.close_answer()
    view.step(1)
    assert not answer.inspector.isVisible(), "until a step is clicked"


def examine(view, actions, what):
    """Choose it in the menu, and agree to its price."""
    getattr(view.examine.menu(), what).trigger()
    actions.offers["Start"]()


def sceptic():
    """A large model that would have ended every text of the small one otherwise."""
    engine = large_engine()
    engine.expects = lambda _, token: " other" if "boxed" in token else token
    return engine


def test_one_answer_or_all_wrong_ones_are_reviewed_valued_and_graded_again(
    page, actions, qtbot, problem_file, monkeypatch
):
    gate = threading.Event()

    def choose_slowly(*arguments):
        gate.wait(PATIENCE)
        return wrong_answers(*arguments)

    monkeypatch.setattr("baton_reasoning.app.batch.examine.wrong_answers", choose_slowly)
    monkeypatch.setattr("tests.app.batch.conftest.large_engine", sceptic)
    page.show()
    run(page, qtbot, problem_file, "small")
    view = page.view
    with qtbot.waitSignal(actions.said) as price:
        view.examine.menu().opinions.trigger()
    assert "Second opinions on 3 wrong answers: " in price.args[0]
    actions.offers["Start"]()
    assert view.status.text() == "reading what is to be reviewed"
    view.stop.click()
    gate.set()
    qtbot.waitUntil(lambda: not view.reviewer.kind)
    assert not any(trace.opinion for trace in all_traces(page)), "it was stopped at once"
    view.step(1)
    wait_for_text(view.answer, qtbot)
    view.answer.review.opinion.begin()
    assert view.stop.isVisible()
    assert not view.answer.review.opinion.start.isEnabled()
    qtbot.waitUntil(view.answer.place.isVisible)
    assert "First strong disagreement" in view.answer.detail.text()
    assert "instead of" in view.answer.detail.text()
    qtbot.waitUntil(lambda: view.answer.pane.steps.selected is not None)
    assert view.stop.isHidden()
    assert [bool(trace.opinion) for trace in all_traces(page)] == [False, True, False, False, False, False]
    with qtbot.waitSignal(view.reviewer.ended):
        examine(view, actions, "opinions")
    assert [bool(trace.opinion) for trace in all_traces(page)] == [False, True] * 3
    assert not any(trace.values for trace in all_traces(page))
    with qtbot.waitSignal(view.reviewer.ended):
        view.answer.review.values.begin()
    assert [bool(trace.values) for trace in all_traces(page)] == [False, True, False, False, False, False]
    right = Verdict(Outcome.CORRECT, GradingMethod.EXACT, "The same text.")
    monkeypatch.setattr(Grader, "grade", lambda *_: right)
    page.session.regrade(GradingMethod.EXACT)
    qtbot.waitUntil(lambda: view.answer.pane.verdict.text() == "✓ right")


def test_answers_of_a_batch_are_valued_by_its_own_pair_whichever_is_loaded(page, actions, qtbot, problem_file, loader):
    page.show()
    run(page, qtbot, problem_file, "small", "every-step")
    other = OWN_MODELS.model_copy(update={"small": LocalFile(Path("other.gguf"))})
    page._preferences.change(models=other)
    page.session.models.load(other)
    qtbot.waitUntil(lambda: page.session.models.state is LoadState.READY)
    before = len(loader.choices)
    with qtbot.waitSignal(page.view.reviewer.ended):
        examine(page.view, actions, "values")
    assert any(trace.values for trace in all_traces(page))
    qtbot.waitUntil(lambda: len(loader.choices) == before + 2 and page.session.models.state is LoadState.READY)
    assert [str(choice.small) for choice in loader.choices[before:]] == ["small.gguf", "other.gguf"]


def test_takeovers_are_valued_once_where_there_are_any_and_opinions_need_log_probabilities(
    page, actions, qtbot, problem_file
):
    page.show()
    run(page, qtbot, problem_file, "small", "large")
    view, pair = page.view, page.session.models.pair
    with qtbot.waitSignal(actions.failed) as refused:
        examine(view, actions, "values")
    assert "contains a takeover" in str(refused.args[0])
    page.session.add_arm("every-step")
    wait_until_done(page, qtbot)
    view.folded.heads[Fold.WORTH].click()
    qtbot.waitUntil(lambda: bool(view.folded.takeovers.shown))
    with qtbot.waitSignal(view.reviewer.ended):
        examine(view, actions, "values")
    qtbot.waitUntil(lambda: "worth" in view.folded.takeovers.shown[0].headings)
    written = pair.small.written
    with qtbot.waitSignal(view.reviewer.ended):
        examine(view, actions, "values")
    assert pair.small.written == written
    pair.large.with_ability(Ability.SCORES, False)
    with qtbot.waitSignal(actions.failed) as refused:
        examine(view, actions, "opinions")
    assert "no log-probabilities" in str(refused.args[0])
