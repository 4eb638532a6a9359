"""Below an answer of the demo pair: small alone, both and large alone, measured, and what can go wrong meanwhile."""

from dataclasses import replace

import msgspec
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QAbstractButton, QApplication, QPushButton

from baton_reasoning.app.chat.scoreboards import Board, BoardRow, ScoreboardView, board_of
from baton_reasoning.app.chat.welcome import EXAMPLES, demo_problem
from baton_reasoning.app.compare.controller import Chooser
from baton_reasoning.app.session.pair_loader import PairLoader
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.demo_pair import WHAT_IT_SOLVES, DemoProblem
from baton_reasoning.core.demo_pair.scoreboard import ScoredArm, ScoreRow
from baton_reasoning.core.demo_pair.task import expected_answer
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.models.source import DemoModel
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.settings import Appearance, ModelChoice
from baton_reasoning.core.thinking.events import Finish, Noticed, TextInserted, TokenWritten
from baton_reasoning.core.thinking.reasons import ANSWER_NOW
from baton_reasoning.core.thinking.trace import Trace
from tests.app.conftest import OWN_MODELS, ScriptedLoader, answer_to, last_answer, last_exchange, press
from tests.fakes.held import Gate
from tests.fakes.scripted import Fault, ScriptedEngine

PROBLEM = demo_problem()
RIGHT = expected_answer(PROBLEM)
OTHER = PROBLEM.replace("Starting from 9", "Starting from 8")
SMALL, BOTH, LARGE = ScoredArm


class DemoCards(ScriptedLoader):
    """A pair with the cards of the demo pair: small alone is wrong, and large alone waits for `gate_of_large`."""

    def __init__(self, *faults):
        self.gate_of_large = Gate()
        alone = "One.\n\nWait, five.\n\nDone.</think>\n\n\\boxed{00005}"
        led = f"\n\nDone.</think>\n\n\\boxed{{{RIGHT}}}"
        helped = "Wait, let me see: it is another number, which takes so many words to say that this is over."

        def small(_, body):
            return alone[len(body) :] if alone.startswith(body) else led

        def large(_, body):
            return helped if body else f"{helped}{led}"

        def wait(body):
            if not body:
                self.gate_of_large.wait_at(body)

        small_model = ScriptedEngine(continue_with=small, source=DemoModel.SMALL)
        large_model = ScriptedEngine(continue_with=large, before_token=wait, name="large", faults=faults)
        super().__init__(small_model, large_model.with_card(source=DemoModel.LARGE))


def shown_board(window):
    return last_answer(window).scoreboard


def shown(window, arm):
    """Return what stands in a row after its title; "" if it is not there."""
    row = shown_board(window).rows[arm]
    return " ".join(text.text() for text in (row.answer, row.status) if text.isVisible())


@pytest.fixture
def loader():
    return DemoCards()


@pytest.fixture
def solved(make_window, loader, qtbot):
    """The demo problem, solved by both, and by the small model alone."""
    window = make_window(loader)
    window.chat.welcome.solve.click()
    qtbot.waitUntil(lambda: window.session.ready and shown(window, SMALL) == "00005 ✗")
    return window


def running(window, loader, qtbot):
    """Let the large model begin alone; it waits at its first token."""
    loader.gate_of_large.clear()
    qtbot.mouseClick(shown_board(window).run[LARGE], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.models.is_writing)
    assert shown_board(window).halt.isVisible()


def test_the_small_model_alone_answers_at_once_and_the_large_one_when_a_person_says_so(solved, loader, qtbot):
    board, answer = shown_board(solved), last_answer(solved)
    assert shown(solved, BOTH) == f"{RIGHT} ✓"
    assert shown(solved, LARGE) == "Not run yet."
    share = last_exchange(solved).trace.large_share
    assert board.rows[BOTH].title.text() == f"both, {share:.0%} of tokens by"
    assert board.rows[BOTH].bar.toolTip().endswith("of the time by the large model"), "which is another share"
    assert board.rows[BOTH].answer.accessibleName() == f"{RIGHT} ✓. Judged by the computed answer"
    verdict = last_answer(solved).verdict
    assert verdict.toolTip() == f"Judged by the computed answer, {RIGHT}"
    assert verdict.accessibleName() == f"✓ right. {verdict.toolTip()}"
    assert not board.run[SMALL].isVisible()
    assert not answer.time.isVisible(), "the scoreboard has the seconds"
    assert board.run[LARGE].mapTo(answer, QPoint()).x() == answer.steps.x(), "buttons begin where the steps do"
    solved.preferences.change(appearance=Appearance(text_size=1.5))
    solved.resize(760, 600)
    solved.show_inspector(True)
    content, area = solved.chat.conversation.widget(), solved.chat.conversation.viewport()
    qtbot.waitUntil(lambda: content.width() <= area.width())
    running(solved, loader, qtbot)
    conversation, calls = solved.session.conversation.id, len(loader.small.sessions)
    solved.session.new()
    loader.gate_of_large.set()
    qtbot.waitUntil(lambda: not solved.models.is_writing)
    solved.session.open(conversation)
    qtbot.waitUntil(lambda: solved.session.conversation.leaf is not None and solved.session.ready)
    qtbot.waitUntil(lambda: shown_board(solved).isVisible())
    assert [shown(solved, arm) for arm in ScoredArm] == ["00005 ✗", f"{RIGHT} ✓", f"{RIGHT} ✓"]
    assert len(loader.small.sessions) == calls, "nothing was run twice"
    board = shown_board(solved)
    assert not any(press.isVisible() for press in (*board.run.values(), board.halt))
    attempts = solved.session.conversation.siblings(last_exchange(solved))
    assert [each.settings.policy.policy for each in attempts] == ["keywords", "never", "always"]
    assert solved.session.conversation.leaf is attempts[0]


def test_the_scoreboard_is_there_after_a_restart_and_nothing_is_run_again(solved, make_window, loader, qtbot):
    times = [row.time.text() for row in shown_board(solved).rows.values()]
    solved.close()
    calls = len(loader.small.sessions), len(loader.large.sessions)
    again = make_window(loader)
    qtbot.waitUntil(lambda: again.session.conversation.leaf is not None and again.session.ready)
    qtbot.waitUntil(lambda: shown_board(again).isVisible() and shown_board(again).run[LARGE].isVisible())
    assert [shown(again, arm) for arm in ScoredArm] == ["00005 ✗", f"{RIGHT} ✓", "Not run yet."]
    assert [row.time.text() for row in shown_board(again).rows.values()] == times
    assert (len(loader.small.sessions), len(loader.large.sessions)) == calls
    loader.gate_of_large.set()
    shown_board(again).run[LARGE].click()
    qtbot.waitUntil(lambda: shown(again, LARGE) == f"{RIGHT} ✓")
    again.close()
    last = make_window(loader)
    qtbot.waitUntil(lambda: last.session.conversation.leaf is not None and last.session.ready)
    qtbot.waitUntil(lambda: shown_board(last).isVisible() and shown(last, LARGE) == f"{RIGHT} ✓")


def test_a_conversation_goes_on_with_the_answer_that_was_shown_not_with_what_one_model_wrote_alone(
    solved, loader, qtbot
):
    first = last_exchange(solved)
    loader.gate_of_large.set()
    solved.session.ask(OTHER)
    qtbot.waitUntil(lambda: solved.session.ready and "✗" in shown(solved, SMALL))
    second = last_exchange(solved)
    solved.session.show_sibling(first, 1)
    assert solved.session.conversation.leaf is not second
    solved.session.show(first)
    assert solved.session.conversation.leaf is second


def test_seconds_are_those_of_the_run_and_the_longest_bar_is_the_slowest(qtbot):
    view = ScoreboardView(lambda _: None, lambda: None)
    qtbot.addWidget(view)
    small = ScoreRow(SMALL, "00005", Outcome.WRONG, 0.92, 0, 0)
    both = ScoreRow(BOTH, RIGHT, Outcome.CORRECT, 3.4, 0.26, 0.7)
    rows = [BoardRow(score.arm, score, seconds=score.seconds) for score in (small, both)]
    rows.append(BoardRow(LARGE, status="Waiting…"))
    view.show_board(Board(rows, [LARGE], expected_seconds=8.7, is_running=False))
    assert [row.time.text() for row in view.rows.values()][:2] == ["0.9 s", "3.4 s"]
    assert [row.bar.length for row in view.rows.values()] == pytest.approx([0.92 / 3.4, 1, 0])
    assert view.run[LARGE].text() == "Run the large model alone: about 9 s"
    rows[-1] = BoardRow(LARGE, tokens=70, seconds=6.8)
    view.show_board(Board(rows, [], expected_seconds=None, is_running=True))
    assert (view.rows[LARGE].answer.text(), view.rows[LARGE].time.text()) == ("70 tokens…", "6.8 s")
    assert [row.bar.length for row in view.rows.values()] == pytest.approx([0.92 / 6.8, 0.5, 1])
    assert [row.bar.by_large for row in view.rows.values()] == [0, 0.7, 1], "of the time, not of the tokens"
    view.show_board(Board(rows, [LARGE], expected_seconds=None, is_running=False))
    assert view.run[LARGE].text() == "Run the large model alone"


def test_what_runs_alone_is_stopped_by_key_by_button_by_a_new_problem_or_for_other_models(solved, loader, qtbot):
    first = last_answer(solved)
    running(solved, loader, qtbot)
    qtbot.keyClick(solved, Qt.Key.Key_Escape)
    loader.gate_of_large.set()
    qtbot.waitUntil(lambda: shown(solved, LARGE) == "Stopped.")
    assert not solved.models.is_writing
    running(solved, loader, qtbot)
    qtbot.mouseClick(first.scoreboard.halt, Qt.MouseButton.LeftButton)
    loader.gate_of_large.set()
    qtbot.waitUntil(lambda: shown(solved, LARGE) == "Stopped.")
    running(solved, loader, qtbot)
    solved.session.ask(OTHER)
    loader.gate_of_large.set()
    qtbot.waitUntil(lambda: solved.session.ready and "✗" in shown(solved, SMALL))
    assert last_exchange(solved).problem == OTHER
    assert first.scoreboard.rows[LARGE].status.text() == "Stopped."
    assert first.scoreboard.run[LARGE].isVisible()
    running(solved, loader, qtbot)
    solved.preferences.change(models=OWN_MODELS)
    solved.models.load(OWN_MODELS)
    loader.gate_of_large.set()
    qtbot.waitUntil(lambda: loader.choices[-1] == OWN_MODELS and solved.session.ready)
    assert shown(solved, LARGE) == "Stopped."
    board = shown_board(solved)
    assert not any(press.isVisible() for press in (*board.run.values(), board.halt))


def test_a_lost_model_is_said_in_its_row_which_offers_it_again(make_window, qtbot):
    helping = 32  # tokens at most, before it answers alone
    fault = Fault(helping, EngineLost("The process of large.gguf was killed.", "Restart it."), for_good=True)
    loader = DemoCards(fault)
    loader.gate_of_large.set()
    window = make_window(loader)
    window.chat.welcome.solve.click()
    qtbot.waitUntil(lambda: window.session.ready and shown(window, SMALL) == "00005 ✗")
    qtbot.mouseClick(shown_board(window).run[LARGE], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "was killed" in shown(window, LARGE))
    assert shown_board(window).run[LARGE].isVisible()
    assert not window.models.is_writing


def test_comparing_proposes_each_model_alone_and_fills_the_rows(solved, loader, qtbot):
    answer = last_exchange(solved)
    loader.gate_of_large.set()
    (compare,) = [each for each in last_answer(solved).findChildren(QAbstractButton) if "Compare" in words_on(each)]
    compare.click()
    solved.findChild(Chooser).go.click()
    qtbot.waitUntil(lambda: solved.chat.is_comparing and solved.session.ready)
    columns = solved.chat.comparison.view.columns
    qtbot.waitUntil(lambda: all(column.verdict.text() for column in columns))
    assert [column.title for column in columns] == ["Small only", "Keywords", "Large only"]
    assert columns[1].exchange is answer
    solved.chat.comparison.leave()
    assert shown(solved, LARGE) == f"{RIGHT} ✓"
    assert shown_board(solved).rows[LARGE].time.text() == f"{columns[2].exchange.trace.seconds:.1f} s"
    assert not solved.models.is_writing
    solved.session.show(columns[2].exchange)
    qtbot.waitUntil(lambda: shown_board(solved).isVisible())
    assert [shown(solved, arm) for arm in ScoredArm] == ["00005 ✗", f"{RIGHT} ✓", f"{RIGHT} ✓"]


def words_on(button):
    return button.text() + button.accessibleName()


def test_another_seed_is_another_measurement_and_what_one_model_wrote_is_not_called_the_pairs(solved, qtbot):
    first = last_exchange(solved)
    solved.session.show_sibling(first, 1)
    assert last_exchange(solved).settings.seed == first.settings.seed
    qtbot.waitUntil(lambda: (shown(solved, SMALL), shown(solved, BOTH)) == ("00005 ✗", f"{RIGHT} ✓"))
    solved.session.ask_again(first, policy="never")
    qtbot.waitUntil(lambda: solved.session.ready and last_exchange(solved).settings.seed != first.settings.seed)
    qtbot.waitUntil(lambda: shown(solved, SMALL) == "00005 ✗")
    assert not shown_board(solved).rows[BOTH].title.isVisible()


def test_nothing_is_measured_beside_other_work_and_one_model_at_a_time(make_window, loader, qtbot):
    window, batch = make_window(loader), object()
    window.models.begin_writing(batch)
    window.chat.welcome.solve.click()
    qtbot.waitUntil(lambda: window.session.ready and shown_board(window).isVisible())
    assert shown(window, SMALL) == "Not run yet."
    shown_board(window).run[SMALL].click()
    assert window.notice.text == "Something else is being written. Stop it, or wait for its end."
    window.notice.close_newest()
    window.models.end_writing(batch)
    shown_board(window).run[LARGE].click()
    qtbot.waitUntil(lambda: not shown_board(window).run[SMALL].isEnabled())
    loader.gate_of_large.set()
    qtbot.waitUntil(lambda: shown(window, LARGE) == f"{RIGHT} ✓")
    qtbot.waitUntil(lambda: shown(window, SMALL) == "00005 ✗")


def test_a_score_is_shown_when_the_next_model_may_begin(make_window, loader, qtbot):
    window = make_window(loader)
    presses = iter([lambda: shown_board(window).run[LARGE].click()])

    def press_at_once(_):
        if shown(window, SMALL) == "00005 ✗":
            next(presses, lambda: None)()

    loader.gate_of_large.set()
    window.chat.welcome.solve.click()
    window.session.progressed.connect(press_at_once)
    qtbot.waitUntil(lambda: window.notice.isVisible() or shown(window, LARGE) == f"{RIGHT} ✓")
    assert not window.notice.isVisible(), window.notice.text


def test_only_an_answer_that_the_demo_pair_wrote_undisturbed_has_one(make_window, qtbot, solved):
    first = last_exchange(solved)
    assert board_of(first, solved.session)
    assert solved.session.edit(first, 0, "It is 99.")
    qtbot.waitUntil(lambda: solved.session.ready and last_exchange(solved) is not first)
    assert last_exchange(solved).trace.finish is Finish.END_OF_TEXT
    assert not shown_board(solved).isVisible()
    real = msgspec.structs.replace(first.trace.started, small=ModelCard("gemma", "", 4096))
    begun = Trace.of([real, TokenWritten(0.0, Author.SMALL, 1, "So "), *first.trace.events])
    assert board_of(Exchange(first.problem, first.settings, trace=begun), solved.session) is None
    steered = Trace.of([*first.trace.events[:1], TextInserted(0.1, "</think>", ANSWER_NOW.id), *first.trace.events[1:]])
    assert board_of(Exchange(first.problem, first.settings, trace=steered), solved.session) is None
    fast = msgspec.structs.replace(first.trace.started, small=replace(first.trace.started.small, parameters=7))
    batch = Exchange(first.problem, first.settings, trace=Trace.of([fast, *first.trace.events[1:]]))
    board = board_of(batch, solved.session)
    assert board
    assert board.to_run == [], "a copy that is loaded for batches wrote it"
    first.trace.notices.append(Noticed(1.0, "The small model was started again.", Author.SMALL))
    assert board_of(first, solved.session) is None
    window = make_window(ScriptedLoader())
    window.session.new()
    answer_to(window, qtbot, PROBLEM)
    assert not shown_board(window).isVisible()


def test_another_question_stays_in_the_composer_with_two_ways_on(solved, qtbot):
    composer, first = solved.chat.composer, last_exchange(solved)
    composer.edit.setPlainText("Who wrote Faust?")
    qtbot.keyClick(composer.edit, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: solved.notice.text == WHAT_IT_SOLVES)
    assert composer.edit.toPlainText() == "Who wrote Faust?"
    assert {each.problem for each in solved.session.conversation} == {first.problem}, "and nothing was written"
    with qtbot.waitSignal(solved.page_actions.pairs_wanted):
        press(solved.notice, "Choose a pair")
    assert solved.session.compare("Who wrote Faust?", [solved.session.settings], None, shows=True) == []
    qtbot.waitUntil(lambda: solved.notice.text == WHAT_IT_SOLVES)
    solved.session.change_system("Be brief.")
    press(solved.notice, "New problem of this kind")
    qtbot.waitUntil(lambda: solved.session.ready and shown(solved, SMALL) != "")
    second = last_exchange(solved)
    assert second.parent is first
    asked = [message.content for message in second.messages()]
    assert asked == [f"{second.problem}\n{RunSettings().instruction}"], "as the models know it"
    assert DemoProblem.of(second.problem)
    assert not solved.notice.isVisible()
    assert composer.edit.toPlainText() == "Who wrote Faust?"


def test_a_question_that_waits_is_dropped_where_the_demo_pair_is_loaded_for_it(make_window, loader, qtbot):
    loader.gate = Gate()
    window = make_window(loader)
    window.preferences.change(models=OWN_MODELS)
    window.session.ask("Who wrote Faust?")
    window.preferences.change(models=ModelChoice())
    loader.gate.set()
    qtbot.waitUntil(lambda: window.notice.text == WHAT_IT_SOLVES)
    assert not last_exchange(window).trace.started


def test_the_demo_argues_for_the_pair(make_window, qtbot, tmp_path):
    """With the real demo pair: two GGUF files, decoded by llama.cpp."""
    window = make_window(PairLoader(Paths.under(tmp_path)))
    window.chat.welcome.solve.click()
    assert last_answer(window).ending.text() == "Waiting for the models…"
    qtbot.waitUntil(lambda: window.session.ready and "✗" in shown(window, SMALL))
    assert "✓" in shown(window, BOTH)
    assert "about" in shown_board(window).run[LARGE].text()
    qtbot.mouseClick(shown_board(window).run[LARGE], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "✓" in shown(window, LARGE))


# The start page


def test_nothing_is_written_until_enter_presses_the_button_of_the_start_page(window, make_window, qtbot):
    qtbot.waitUntil(window.isActiveWindow)
    assert window.session.conversation.leaf is None
    assert QApplication.focusWidget() is window.chat.welcome.solve
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.session.ready and last_exchange(window).problem == PROBLEM)
    assert not last_answer(window).folded  # who wrote what is what there is to see
    assert QApplication.focusWidget() is window.chat.composer.edit
    window.close()
    again = make_window()
    qtbot.waitUntil(lambda: again.session.conversation.leaf is not None and again.isActiveWindow())
    assert QApplication.focusWidget() is again.chat.composer.edit, "one writes at once"


def test_the_start_page_compares_on_its_problem_or_solves_another_one_and_asks_other_models_else(window, qtbot):
    welcome = window.chat.welcome
    window.chat.compare()
    dialog = window.findChild(Chooser)
    assert dialog.expected.text() == RIGHT
    dialog.go.click()
    qtbot.waitUntil(lambda: window.chat.is_comparing and window.session.ready)
    assert last_exchange(window).problem == PROBLEM
    window.session.new()
    window.chat.composer.set_text("A draft")
    qtbot.mouseClick(welcome.another, Qt.MouseButton.LeftButton)
    problem = DemoProblem.of(last_exchange(window).problem)
    assert problem
    assert problem.held_out
    assert problem.question != PROBLEM
    assert window.chat.composer.edit.toPlainText() == "A draft"
    qtbot.waitUntil(lambda: window.session.ready)
    window.session.new()
    assert welcome.solve.isVisible()
    window.preferences.change(models=OWN_MODELS)
    assert not welcome.solve.isVisible()
    for example in EXAMPLES:
        (choose,) = (each for each in welcome.findChildren(QPushButton) if each.accessibleName().endswith(example))
        qtbot.mouseClick(choose, Qt.MouseButton.LeftButton)
        assert last_exchange(window).problem == example
        qtbot.waitUntil(lambda: window.session.ready)
        window.session.new()
