"""Arms side by side, from the wish to compare to what can be done with the columns, on scripted models."""

from __future__ import annotations

import threading
from collections.abc import Callable

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QAbstractButton, QApplication, QComboBox, QLineEdit, QMenu
from pytestqt.qtbot import QtBot

from baton_reasoning.app.chat.remedies import AnswerAction
from baton_reasoning.app.compare.view import AT_ONCE_NOTE, OTHERWISE_NOTE, CompareView
from baton_reasoning.app.document.answer_pane import NOT_BEGUN
from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.session.run_list import Activity, RunMark
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.words.labels import run_in_brief
from tests.app.compare.conftest import ALONE, PROBLEM, arms_loader, dialog, rest_of, settle, view_of
from tests.app.conftest import ScriptedLoader, answer_to, last_exchange
from tests.fakes.scripted import ScriptedEngine

Compare = Callable[..., MainWindow]
Make = Callable[..., MainWindow]


def held_by(gate: threading.Event, after: int = 0) -> Callable[[str], None]:
    """No token comes after so many characters until the gate opens."""

    def wait(body: str) -> None:
        if len(body) >= after:
            gate.wait()

    return wait


def attempts(window: MainWindow) -> list[Exchange]:
    return window.session.conversation.roots


def test_three_arms_become_three_tries_with_results_and_who_agrees_with_whom(compare):
    window = compare()
    assert [each.settings.policy.policy for each in attempts(window)] == ["never", "keywords", "always"]
    assert {each.settings.seed for each in attempts(window)} == {0}
    assert {each.trace.finish for each in attempts(window)} == {Finish.END_OF_TEXT}
    assert [column.exchange for column in view_of(window).columns] == attempts(window)
    assert window.chat.composer.edit.toPlainText() == ""
    columns = view_of(window).columns
    assert [column.facts.text() for column in columns] == [
        f"{each.trace.seconds:.1f} s · {each.trace.tokens} tokens" for each in attempts(window)
    ]
    assert [column.verdict.text() for column in columns] == ["≠ differs", "= as Large only", "= as Keywords"]
    assert [column.result.text() for column in columns] == ["5", "4", "4"]
    assert all(column.head.isAncestorOf(column.result) for column in columns), "it stays where one scrolls"


def test_the_expected_answer_tells_right_from_wrong(compare):
    columns = view_of(compare(expected="4")).columns
    assert [column.verdict.text() for column in columns] == ["✗ wrong", "✓ right", "✓ right"]


def test_the_steps_at_which_the_answers_part_are_marked_and_level(compare, qtbot):
    window = compare()
    view = view_of(window)
    assert view.note.text().startswith("Columns 1 and 2 part at “")
    assert [column.steps.selected and column.steps.selected.step for column in view.columns] == [1, 1, 1]
    assert window.chat.inspector.piece is None, "nobody has chosen them"
    qtbot.waitUntil(lambda: len(set(tops(view))) == 1)
    for answer in (view.columns[0].answer, view.columns[2].answer):
        answer.setFixedHeight(answer.height() + 40)
        qtbot.waitUntil(lambda: len(set(tops(view))) == 1)
    window.resize(760, 700)
    qtbot.waitUntil(lambda: view.sideways.horizontalScrollBar().maximum() > 0 and len(set(tops(view))) == 1)
    last = view.columns[2]
    window.chat.choose(last.exchange, last.exchange.trace.pieces[0])
    window.chat.step_through(1)
    assert last.steps.selected is last.exchange.trace.pieces[1]
    assert last.steps.visibleRegion().boundingRect().width() > last.steps.width() // 2, "scrolled sideways"
    assert all(column.head.width() == column.width() for column in view.columns)


def tops(view: CompareView) -> list[int]:
    """Where the marked step of each column begins, in pixels below the top of all columns."""
    steps = [column.steps for column in view.columns]
    return [round(each.y() + each.place_of(each.selected).top()) for each in steps if each.selected]  # type: ignore[union-attr]


def test_times_are_left_out_where_other_conditions_made_one_of_them_longer(compare, qtbot):
    loader = arms_loader()
    window = compare(loader)
    window.chat.comparison.leave()
    loader.small.with_card(location="a slow server")
    window.session.ask_again(attempts(window)[1])
    qtbot.waitUntil(lambda: window.session.ready)
    window.chat.comparison.show_attempts(attempts(window)[3])
    settle(window, qtbot)
    assert [column.facts.text() for column in view_of(window).columns] == [
        f"{each.trace.tokens} tokens" for each in attempts(window)[1:]
    ]
    steps = [column.brief.text() for column in view_of(window).columns]
    assert steps == [f"{len(each.trace.steps)} steps" for each in attempts(window)[1:]]
    assert view_of(window).note.text().endswith(OTHERWISE_NOTE)


def test_one_is_written_after_the_other(make_window, qtbot):
    at_work: list[int] = []
    window = make_window(arms_loader())
    window.session.progressed.connect(lambda _: at_work.append(sum(map(window.session.runs.writes, attempts(window)))))
    _begin(window, qtbot)
    settle(window, qtbot)
    assert set(at_work) <= {0, 1}
    assert len(attempts(window)) == 3


def test_all_are_written_at_once_if_that_is_wanted(make_window, qtbot):
    gate = threading.Event()
    window = make_window(arms_loader(held_by(gate)))
    _begin(window, qtbot, at_once=True)
    qtbot.waitUntil(lambda: sum(map(window.session.runs.writes, attempts(window))) == 3)
    assert window.session.activity is Activity.COMPARING
    assert not window.chat.composer._baton.isVisible()
    gate.set()
    settle(window, qtbot)
    assert {each.trace.finish for each in attempts(window)} == {Finish.END_OF_TEXT}
    assert view_of(window).note.text().endswith(AT_ONCE_NOTE)


def _begin(window: MainWindow, qtbot: QtBot, at_once: bool = False) -> None:
    qtbot.waitUntil(lambda: window.session.ready and window.models.pair.small is not None)
    window.chat.composer.set_text(PROBLEM)
    window.chat.compare()
    dialog().at_once.setChecked(at_once)
    dialog().go.click()


def test_stop_ends_all_and_what_was_not_begun_can_still_be_written(make_window, qtbot):
    gate = threading.Event()
    window = make_window(arms_loader(held_by(gate, after=30)))
    _begin(window, qtbot)
    qtbot.waitUntil(lambda: bool(attempts(window)) and attempts(window)[0].trace.tokens > 3)
    assert [column.ending.text() for column in view_of(window).columns] == [
        "",
        "Waiting for its turn, after 1 other answer…",
        "Waiting for its turn, after 2 other answers…",
    ]
    window.session.stop()
    gate.set()
    settle(window, qtbot)
    assert [each.trace.finish for each in attempts(window)] == [Finish.STOPPED, None, None]
    assert [column.ending.text() for column in view_of(window).columns] == ["Stopped.", NOT_BEGUN, NOT_BEGUN]
    window.session.show(attempts(window)[2])
    answer = window.chat.conversation.answer_of(attempts(window)[2])
    assert answer
    assert answer.ending.text() == NOT_BEGUN
    qtbot.mouseClick(answer._continue, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.session.ready)
    assert attempts(window)[2].trace.finish is Finish.END_OF_TEXT


def test_a_model_that_is_lost_in_one_arm_leaves_the_others(compare):
    window = compare(arms_loader(lost=True))
    alone, helped, large = view_of(window).columns
    assert alone.exchange.trace.finish is Finish.END_OF_TEXT
    assert helped.exchange.trace.finish is Finish.END_OF_TEXT
    assert large.exchange.trace.finish is Finish.FAILED
    assert "was killed" in large.ending.text()
    assert large.verdict.text() == "no answer"


def test_a_click_on_a_step_shows_it_in_the_inspector(compare, qtbot):
    window = compare()
    column = view_of(window).columns[1]
    piece = next(piece for piece in column.exchange.trace.pieces if piece.author is Author.LARGE)
    place = column.steps.place_of(piece)
    assert place
    qtbot.mouseClick(column.steps.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(20, int(place.center().y())))
    assert window.chat.inspector.piece is piece
    assert window.chat.inspector.exchange is column.exchange
    view_of(window).columns[0].ribbon.segment_clicked.emit(0)
    assert window.chat.inspector.exchange is view_of(window).columns[0].exchange
    assert column.steps.selected is None


def test_the_menu_of_a_step_forks_and_copies_in_a_column_too(compare, qtbot):
    window = compare()
    column = view_of(window).columns[1]
    column.steps.menu_wanted.emit(column.exchange.trace.pieces[1], QPoint(10, 10))
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    next(action for action in menu.actions() if action.text() == "Fork here").trigger()
    menu.close()
    qtbot.waitUntil(lambda: window.session.ready)
    assert not window.chat.is_comparing
    forked = attempts(window)[-1]
    assert forked.trace.text.startswith(column.exchange.trace.pieces[0].text)
    assert len(attempts(window)) == 4


def test_everything_has_a_key(compare, qtbot):
    window = compare()
    commands = {command.title: command for command in window.commands if command.group == "Side by side"}
    assert all(command.key for command in commands.values())
    commands["Back to the conversation"].act()
    assert not window.chat.is_comparing
    commands["Compare attempts"].act()
    assert window.chat.is_comparing
    settle(window, qtbot)
    commands["Compare policies…"].act()
    dialog().reject()


def test_a_column_is_opened_as_the_conversation(compare):
    window = compare()
    first = view_of(window).columns[0]
    first.open.click()
    assert window.session.conversation.leaf is first.exchange
    assert window.chat.conversation.answer_of(first.exchange)
    assert not window.chat.is_comparing
    assert window.chat.sidebar.isVisible()


def test_the_composer_asks_the_same_arms(compare, qtbot):
    window = compare()
    window.chat.composer.edit.setPlainText("And 1 + 3?")
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_Return)
    settle(window, qtbot)
    assert [each.problem for each in attempts(window)] == [PROBLEM] * 3 + ["And 1 + 3?"] * 3
    assert [column.exchange for column in view_of(window).columns] == attempts(window)[3:]


def test_back_to_the_conversation_and_the_tries_side_by_side_again(compare, qtbot):
    window = compare()
    window.chat.comparison.leave()
    assert not window.chat.is_comparing
    assert window.chat.composer.edit.placeholderText() == "Ask something"
    written = window.models.pair.small, window.models.pair.large
    counts = [engine.written for engine in written if isinstance(engine, ScriptedEngine)]
    bubble = next(iter(window.chat.conversation._bubbles.values()))
    bubble._compare.click()
    settle(window, qtbot)
    assert [column.exchange for column in view_of(window).columns] == attempts(window)
    assert [engine.written for engine in written if isinstance(engine, ScriptedEngine)] == counts


def test_an_answer_that_grew_behind_a_comparison_is_up_to_date_when_it_is_left(make_window, qtbot):
    gate = threading.Event()
    gate.set()
    window = make_window(arms_loader(held_by(gate, after=30)))
    qtbot.waitUntil(lambda: window.session.ready and window.models.pair.small is not None)
    answer_to(window, qtbot, PROBLEM)
    gate.clear()
    window.session.ask_again(attempts(window)[0])
    again = attempts(window)[1]
    qtbot.waitUntil(lambda: again.trace.tokens > 3)
    window.chat.comparison.show_attempts(again)
    gate.set()
    settle(window, qtbot)
    window.chat.comparison.leave()
    answer = window.chat.conversation.answer_of(again)
    assert answer
    assert sum(width for _, width in answer.ribbon.segments) == again.trace.tokens
    assert answer.brief.text() == run_in_brief(again.trace)


def test_leaving_returns_to_the_answer_that_was_compared(compare, qtbot):
    window = compare()
    window.chat.comparison.leave()
    first = attempts(window)[0]
    window.session.show(first)
    window.chat.comparison.show_attempts(first)
    settle(window, qtbot)
    window.chat.comparison.leave()
    assert window.session.conversation.leaf is first
    window.chat.comparison.show_attempts(first)
    settle(window, qtbot)
    column = view_of(window).columns[1]
    column.ribbon.segment_clicked.emit(0)
    window.chat.comparison.leave()
    assert window.session.conversation.leaf is attempts(window)[1], "the answer whose step was chosen"


def test_words_are_found_in_all_columns(compare, qtbot):
    window = compare()
    view, bar = view_of(window), window.chat.find_bar
    window.chat.find_bar.open()
    bar.edit.setText("four")
    texts = [text for column in view.columns for text in (column.answer, column.steps)]
    expected = sum(text.toPlainText().lower().count("four") for text in texts)
    assert expected > 1
    qtbot.waitUntil(lambda: bar.count.text() == f"1 of {expected}")
    for number in range(2, expected + 1):
        qtbot.keyClick(bar.edit, Qt.Key.Key_Return)
        assert bar.count.text() == f"{number} of {expected}"
    assert window.chat.is_comparing
    window.chat.comparison.leave()
    window.session.show(view.exchanges[1])
    qtbot.waitUntil(lambda: "of" in bar.count.text() and not bar.count.text().endswith(f"of {expected}"))
    window.chat.close_find()


def test_columns_of_a_comparison_that_is_left_are_written_and_never_move_the_view(make_window, qtbot):
    gate = threading.Event()
    window = make_window(arms_loader(held_by(gate, after=30)))
    _begin(window, qtbot)
    qtbot.waitUntil(lambda: attempts(window)[0].trace.tokens > 3)
    window.chat.comparison.leave()
    paths: list[object] = []
    window.session.path_changed.connect(lambda: paths.append(window.session.conversation.leaf))
    assert window.session.conversation.leaf is attempts(window)[1], "the answer of both models"
    gate.set()
    qtbot.waitUntil(lambda: window.session.ready)
    assert [each.trace.finish for each in attempts(window)] == [Finish.END_OF_TEXT] * 3
    assert window.session.conversation.leaf is attempts(window)[1]
    assert paths == []


def test_a_step_that_was_chosen_meanwhile_stays_chosen(make_window, qtbot):
    gate = threading.Event()
    window = make_window(arms_loader(held_by(gate, after=30)))
    _begin(window, qtbot)
    qtbot.waitUntil(lambda: attempts(window)[0].trace.tokens > 3)
    first = view_of(window).columns[0]
    first.ribbon.segment_clicked.emit(0)
    gate.set()
    settle(window, qtbot)
    assert first.steps.selected is first.exchange.trace.pieces[0]
    assert view_of(window).columns[1].steps.selected is None


def test_a_column_can_be_opened_while_it_is_written(make_window, qtbot):
    gate = threading.Event()
    window = make_window(arms_loader(held_by(gate, after=30)))
    _begin(window, qtbot)
    qtbot.waitUntil(lambda: attempts(window)[0].trace.tokens > 3)
    view_of(window).columns[1].open.click()
    answer = window.chat.conversation.answer_of(attempts(window)[1])
    assert answer
    assert answer.ending.text() == "Waiting for its turn, after 1 other answer…"
    assert not window.chat.is_comparing
    gate.set()
    qtbot.waitUntil(lambda: window.session.ready)
    assert answer.ending.text() != "Waiting for its turn, after 1 other answer…"


def test_a_comparison_goes_on_while_another_conversation_is_read_and_is_shown_again(make_window, qtbot):
    gate = threading.Event()
    window = make_window(arms_loader(held_by(gate, after=30)))
    _begin(window, qtbot)
    qtbot.waitUntil(lambda: attempts(window)[0].trace.tokens > 3)
    comparing = window.session.conversation
    window.session.new()
    assert not window.chat.is_comparing
    assert window.session.ready
    gate.set()
    qtbot.waitUntil(lambda: window.session.runs.marks() == {comparing.id: RunMark.UNREAD})
    window.session.open(comparing.id)
    assert [column.exchange.trace.finish for column in view_of(window).columns] == [Finish.END_OF_TEXT] * 3
    assert window.session.runs.marks() == {}


def test_one_answer_alone_cannot_stand_side_by_side(make_window, qtbot):
    window = make_window(arms_loader())
    qtbot.waitUntil(lambda: window.session.ready and window.models.pair.small is not None)
    answer_to(window, qtbot, PROBLEM)
    window.chat.comparison.show_attempts(attempts(window)[0])
    assert window.notice.text.startswith("There is only one answer to this problem.")


def test_tries_that_were_kept_are_compared_after_a_restart(compare, make_window, qtbot):
    first = compare()
    first.close()
    window = make_window(arms_loader())
    qtbot.waitUntil(lambda: window.session.ready and bool(window.session.conversation.leaf))
    leaf = last_exchange(window)
    window.chat.comparison.show_attempts(leaf)
    assert len(view_of(window).columns) == 3
    qtbot.waitUntil(lambda: all(column.is_over for column in view_of(window).columns))
    settle(window, qtbot)
    assert view_of(window).columns[0].exchange.trace.text == ALONE


def test_an_answer_is_compared_with_other_arms_without_writing_it_again(make_window, qtbot):
    window = make_window(arms_loader())
    qtbot.waitUntil(lambda: window.session.ready and window.models.pair.small is not None)
    answer_to(window, qtbot, PROBLEM)
    answer = attempts(window)[0]
    window.chat.carry_out(answer, AnswerAction.COMPARE)
    assert [choice.exchange for choice in dialog().picked()] == [None, answer, None]
    dialog().go.click()
    settle(window, qtbot)
    assert [column.exchange for column in view_of(window).columns] == [attempts(window)[1], answer, attempts(window)[2]]


def test_the_same_twice_cannot_be_compared(compare):
    window = compare()
    window.chat.compare()
    chooser = dialog()
    assert chooser.go.text() == "Show side by side"
    chooser.boxes[1].setCurrentIndex(chooser.boxes[0].currentIndex())
    assert not chooser.go.isEnabled()
    chooser.boxes[1].setCurrentIndex(chooser.boxes[1].findText("Every step"))
    assert chooser.go.isEnabled()
    titles = [choice.title.split(",")[0] for choice in chooser.picked()]
    assert titles == ["Attempt 1: Small only", "Every step", "Attempt 3: Large only"]
    chooser.reject()


def test_without_a_problem_there_is_nothing_to_compare(make_window, qtbot):
    window = make_window(arms_loader())
    qtbot.waitUntil(lambda: window.session.ready)
    window.preferences.change(models=ModelChoice(small="a.gguf", large="b.gguf"))
    window.chat.compare()
    assert window.notice.text == "There is no problem yet to compare policies on. Write one first."


def test_nothing_is_compared_while_an_answer_is_written(make_window, qtbot):
    gate = threading.Event()
    window = make_window(arms_loader(held_by(gate)))
    qtbot.waitUntil(lambda: window.session.ready and window.models.pair.small is not None)
    window.session.ask(PROBLEM)
    window.chat.compare()
    assert window.notice.text == "An answer is being written. Stop it, or wait for its end."
    gate.set()
    qtbot.waitUntil(lambda: window.session.ready)


def test_closing_the_window_in_the_middle_loses_nothing(make_window, qtbot):
    gate = threading.Event()
    window = make_window(arms_loader(held_by(gate, after=30)))
    _begin(window, qtbot, at_once=True)
    qtbot.waitUntil(lambda: all(each.trace.tokens > 3 for each in attempts(window)) and len(attempts(window)) == 3)
    threading.Timer(0, gate.set).start()
    window.close()
    assert {each.trace.finish for each in attempts(window)} <= {Finish.STOPPED, Finish.END_OF_TEXT}


def test_every_control_has_a_name(compare):
    window = compare()
    window.chat.compare()
    for holder in (view_of(window), dialog()):
        for kind in (QAbstractButton, QComboBox, QLineEdit):
            for control in holder.findChildren(kind):
                text = control.text() if isinstance(control, QAbstractButton) else ""
                assert control.accessibleName() or text, control
    dialog().reject()


def test_models_that_cannot_be_loaded_leave_columns_that_were_not_begun(make_window, qtbot):
    loader = ScriptedLoader(error=EngineLost("small.gguf could not be loaded.", "Choose another file."))
    gate = loader.gate = threading.Event()
    window = make_window(loader)
    window.chat.composer.set_text(PROBLEM)
    window.chat.compare()
    dialog().go.click()
    assert not window.session.ready
    gate.set()
    qtbot.waitUntil(lambda: window.session.ready)
    assert [column.ending.text() for column in view_of(window).columns] == [NOT_BEGUN] * 3
    assert [each.trace.started for each in attempts(window)] == [None] * 3


BEFORE, AFTER = (
    "\n\n".join(f"We count number {number} and go on to the next." for number in numbers)
    for numbers in (range(1, 19), range(20, 34))
)


def long_loader(before_token: Callable[[str], None] = lambda _: None) -> ScriptedLoader:
    """Texts that are the same for 18 steps."""
    loader = ScriptedLoader()
    loader.small = ScriptedEngine(
        continue_with=rest_of(f"{BEFORE}\n\nThat makes 849.\n\n{AFTER}</think>\n\n\\boxed{{849}} and \\boxed{{7}}"),
        before_token=before_token,
    )
    loader.large = ScriptedEngine(
        continue_with=rest_of(f"{BEFORE}\n\nThat makes 149.\n\n{AFTER}</think>\n\n\\boxed{{149}}"),
        before_token=before_token,
        name="large",
    )
    return loader


def test_it_opens_at_the_first_difference_and_says_what_it_is(compare, qtbot):
    window = compare(long_loader())
    view, bar = view_of(window), view_of(window).area.verticalScrollBar()
    assert view.note.text() == "Columns 2 and 3 part at “That makes 849.”: 849 ≠ 149."
    marked = view.columns[2].steps
    qtbot.waitUntil(lambda: 0 < marked.mapTo(view.area.viewport(), QPoint(0, tops(view)[2] - marked.y())).y() < 300)
    assert len(set(tops(view))) == 1
    assert bar.value() < bar.maximum(), "not at the end"
    assert view.columns[0].result.text() == "849, 7", "both boxes are the answer"
    bar.setValue(0)
    before = marked.height()
    window.resize(window.minimumWidth(), window.height())
    qtbot.waitUntil(lambda: marked.height() > before and len(set(tops(view))) == 1)
    assert bar.value() == 0, "it never scrolls again by itself"


def test_what_is_being_written_does_not_move_the_view(make_window, qtbot):
    gate = threading.Event()
    window = make_window(long_loader(held_by(gate, after=850)))
    _begin(window, qtbot)
    qtbot.waitUntil(lambda: bool(attempts(window)) and attempts(window)[0].trace.length >= 850)
    view = view_of(window)
    qtbot.waitUntil(lambda: view.area.verticalScrollBar().maximum() > 0)
    assert view.area.verticalScrollBar().value() == 0
    assert view.note.text() == ""
    gate.set()
    settle(window, qtbot)


def test_esc_leaves_a_comparison(compare, qtbot):
    window = compare()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert not window.chat.is_comparing


def test_a_draft_stays_when_an_answer_is_compared(compare, qtbot):
    window = compare()
    window.chat.comparison.leave()
    window.chat.composer.set_text("And 3 + 3?")
    window.chat.comparison.choose(PROBLEM, attempts(window)[0])
    first, _, third = dialog().boxes
    first.setCurrentText("Every step")
    third.setCurrentIndex(0)
    dialog().go.click()
    settle(window, qtbot)
    assert len(attempts(window)) == 4
    assert window.chat.composer.edit.toPlainText() == "And 3 + 3?"


def test_the_next_problem_is_asked_under_the_settings_of_the_columns_that_are_shown(compare, qtbot):
    window = compare()
    window.chat.comparison.leave()
    window.session.ask_again(attempts(window)[2])
    qtbot.waitUntil(lambda: window.session.ready)
    window.chat.comparison.show_attempts(attempts(window)[3])
    shown = [column.exchange.settings for column in view_of(window).columns]
    assert [settings.policy.policy for settings in shown] == ["keywords", "always", "keywords"]
    window.chat.send("And 3 + 3?", None)
    settle(window, qtbot)
    assert [column.exchange.settings for column in view_of(window).columns] == shown
