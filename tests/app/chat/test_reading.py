"""What is in view while an answer is written and afterwards: where one reads, what one finds, which step one edits."""

from unittest.mock import Mock

import pytest
from PySide6.QtCore import QEvent, QObject, QPoint, Qt
from PySide6.QtGui import QColor, QTextCursor
from PySide6.QtWidgets import QApplication, QTextEdit

from baton_reasoning.app.chat.answer_view import ChatActions
from baton_reasoning.app.chat.conversation_view import ConversationView
from baton_reasoning.app.document.rich_text import Layer
from baton_reasoning.app.document.steps_view import column_width
from baton_reasoning.app.document.typeset import Typesetter
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.toolkit.theme import current_theme
from baton_reasoning.core.conversation import Conversation, Exchange
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.settings import Appearance
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.policies.alone import Never
from tests.app.conftest import ScriptedLoader, answer_to, last_answer, last_exchange, pick, press
from tests.core.thinking.running import run
from tests.fakes.held import Gate
from tests.fakes.scripted import ScriptedEngine

STEPS = "".join(f"This is step {number} of very many.\n\n" for number in range(120))
ANSWER = "".join(f"This is line {number} of the answer.\n\n" for number in range(40)) + "It is \\boxed{4}."
CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def gates():
    """They hold the small model back once before its answer and once before the end of that."""
    gates = Gate(after=len(STEPS)), Gate(after=len(STEPS + ANSWER))
    yield gates
    for gate in gates:
        gate.set()


@pytest.fixture
def reasoned(make_window, gates, qtbot):
    """An answer of which all steps are written."""

    def hold(body):
        for gate in gates:
            gate.wait_at(body)

    window = make_window(ScriptedLoader(ScriptedEngine(f"{STEPS}</think>\n\n{ANSWER}", before_token=hold)))
    window.preferences.change_run(max_tokens=5000)
    window.session.ask("How many?")
    qtbot.waitUntil(lambda: "step 119" in last_answer(window).steps.toPlainText())
    return window


def bottom_in_view(window, part):
    """Whether the end of a part stands in the view."""
    view = window.chat.conversation.viewport()
    y = part.mapTo(view, QPoint(0, part.height())).y()
    return 0 < y <= view.height() + 2


def top_in_view(window, part):
    return part.mapTo(window.chat.conversation.viewport(), QPoint()).y()


def test_the_view_follows_the_steps_then_the_answer_and_ends_at_the_result(reasoned, gates, qtbot):
    answer = last_answer(reasoned)
    qtbot.waitUntil(lambda: bottom_in_view(reasoned, answer.steps))
    gates[0].set()
    qtbot.waitUntil(lambda: "line 39" in answer.answer.toPlainText() and bottom_in_view(reasoned, answer.answer))
    gates[1].set()
    qtbot.waitUntil(lambda: reasoned.session.ready and answer.result.text() == "4")
    qtbot.waitUntil(lambda: 0 <= top_in_view(reasoned, answer.result) < reasoned.chat.conversation.height() // 2)


def test_whoever_scrolled_up_keeps_their_place(reasoned, gates, qtbot):
    answer, bar = last_answer(reasoned), reasoned.chat.conversation.verticalScrollBar()
    qtbot.waitUntil(lambda: bottom_in_view(reasoned, answer.steps))
    bar.setValue(bar.maximum() // 2)
    before = top_in_view(reasoned, answer.steps)
    assert before < 0
    gates[0].set()
    qtbot.waitUntil(lambda: "line 39" in answer.answer.toPlainText())
    qtbot.waitUntil(lambda: top_in_view(reasoned, answer.steps) == before)
    gates[1].set()
    qtbot.waitUntil(lambda: reasoned.session.ready and answer.result.isVisibleTo(answer))
    qtbot.waitUntil(lambda: top_in_view(reasoned, answer.steps) == before)
    assert not answer.folded, "what is read does not go"


def test_a_problem_of_several_lines_is_in_view_as_soon_as_it_is_sent(reasoned, gates, qtbot):
    for gate in gates:
        gate.set()
    qtbot.waitUntil(lambda: reasoned.session.ready)
    first, composer = last_answer(reasoned), reasoned.chat.composer
    reasoned.chat.conversation.verticalScrollBar().setValue(0)
    composer.edit.setPlainText("And\nhow\nmany\nlines?")  # which the composer grows for, and shrinks when it is sent
    QApplication.processEvents()
    qtbot.keyClick(composer.edit, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: reasoned.session.ready and last_answer(reasoned) is not first)
    qtbot.waitUntil(lambda: 0 <= top_in_view(reasoned, last_answer(reasoned).result) < 400)


def test_reasoning_is_folded_or_open_as_a_person_left_it(ask, make_window, qtbot):
    window = ask("2 + 2?")
    assert last_answer(window).folded
    last_answer(window).toggle_fold()
    answer_to(window, qtbot, "3 + 3?")
    assert not last_answer(window).folded
    window.close()
    again = make_window()
    qtbot.waitUntil(lambda: again.session.ready and bool(again.session.conversation.leaf))
    assert not last_answer(again).folded
    last_answer(again).toggle_fold()
    answer_to(again, qtbot, "4 + 4?")
    assert last_answer(again).folded


def test_the_composer_is_as_wide_as_the_conversation_at_every_text_size(window):
    usual = column_width()
    for text_size in (1.5, 1.0):
        window.preferences.change(appearance=Appearance(text_size=text_size))
        assert window.chat.composer.maximumWidth() == column_width()
        assert (column_width() > usual) is (text_size > 1)


class PaintedRoom(QObject):
    """Measures at each paint of the steps how much more height the answer has than its parts need."""

    def __init__(self, answer):
        super().__init__(answer)
        self.answer, self.spare = answer, []
        answer.steps.viewport().installEventFilter(self)

    def eventFilter(self, _, event):
        if event.type() is QEvent.Type.Paint:
            self.spare.append(self.answer.height() - self.answer.minimumSizeHint().height())
        return False


def test_growing_steps_never_lie_over_what_is_below_them(window, qtbot):
    written = "\n\n".join(f"Step {number} is long enough to be wrapped. " * 4 for number in range(20))
    view = ConversationView(window.session, Typesetter(), Mock(spec=ChatActions))
    qtbot.addWidget(view)
    conversation = Conversation()
    exchange = Exchange("Count.", RunSettings())
    conversation.add(exchange)
    view.resize(700, 600)
    view.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)  # else the text is wrapped anew half-way
    view.show_path(conversation)
    view.show()
    answer = view.answer_of(exchange)
    assert answer
    painted = PaintedRoom(answer)
    for number, event in enumerate(run(Never(), [written]).trace.events[:-1]):
        exchange.trace.apply(event)
        if number % 5 == 0:
            answer.follow(live=True)
            QApplication.processEvents()
    assert len(painted.spare) > 20
    assert min(painted.spare) >= 0


# Find


@pytest.fixture
def answered(answered_by, qtbot):
    """A window with one answer of 120 steps."""
    small = ScriptedEngine(STEPS + "So $2 + 3 = 5$.</think>\n\nThe answer is \\boxed{5}, after step 7.")
    window = answered_by(ScriptedLoader(small), "How many steps are there?", max_tokens=5000)
    qtbot.waitUntil(lambda: last_answer(window).steps.complete)
    return window


def find(window, qtbot, words, count):
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_F, CONTROL)
    bar = window.chat.find_bar
    assert bar.isVisible()
    qtbot.keyClicks(bar.edit, words)
    qtbot.waitUntil(lambda: bar.count.text() == count)


def current(window):
    """The text and the place of the match that is marked as the current one."""
    ground = QColor(current_theme().colours.current_match)
    texts = window.chat.conversation.texts()
    laid = [(text, each) for text in texts for each in text.extraSelections()]
    ((text, mark),) = [(text, each) for text, each in laid if each.format.background().color() == ground]
    return text, QTextCursor(mark.cursor)


def in_sight(window):
    """Whether the current match is within the viewport."""
    text, cursor = current(window)
    area = window.chat.conversation.viewport()
    start = QTextCursor(cursor)
    start.setPosition(cursor.selectionStart())
    place = text.mapTo(area, text.cursorRect(start).center())
    return area.rect().contains(QPoint(area.rect().center().x(), place.y()))


def test_all_matches_are_counted_and_keys_go_through_them_and_to_the_latest(answered, qtbot):
    answer, bar, field = last_answer(answered), answered.chat.find_bar, answered.chat.composer.edit
    answer.keep_open()
    scroll_bar = answered.chat.conversation.verticalScrollBar()
    qtbot.waitUntil(lambda: scroll_bar.maximum() > 1000)
    scroll_bar.setValue(0)
    find(answered, qtbot, "step 7", "1 of 12")  # the answer, 7, and 70 to 79
    assert current(answered)[0] is answer.answer
    for number in [*range(2, 13), 1]:
        qtbot.keyClick(bar.edit, Qt.Key.Key_Return)
        qtbot.waitUntil(lambda number=number: bar.count.text() == f"{number} of 12")
        qtbot.waitUntil(lambda: in_sight(answered))
    for key, count in ((Qt.Key.Key_Return, "12 of 12"), (Qt.Key.Key_F3, "11 of 12")):
        qtbot.keyClick(bar.edit, key, SHIFT)
        qtbot.waitUntil(lambda count=count: bar.count.text() == count)
    qtbot.keyClick(bar.edit, Qt.Key.Key_F3)
    qtbot.waitUntil(lambda: bar.count.text() == "12 of 12")
    assert current(answered)[0] is answer.steps
    qtbot.waitUntil(lambda: answer.result.visibleRegion().isEmpty())
    qtbot.keyClick(field, Qt.Key.Key_End, Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(lambda: not answer.result.visibleRegion().isEmpty())


def test_words_are_found_in_either_case_through_marks_and_in_what_is_opened(answered, qtbot, monkeypatch):
    monkeypatch.setattr("baton_reasoning.app.chat.find.MOST", 50)
    bar = answered.chat.find_bar
    find(answered, qtbot, "very many", "1 of 50+")
    assert len(last_answer(answered).steps.extraSelections()) == 50
    answered.chat.conversation.texts()[0].set_markdown("**Wait**, so (a.b)*\n\nlet me WAIT. AXB await, 😀 wait")
    for words, count in (("wait", "1 of 4"), ("(a.b)*", "1 of 1"), ("wait, SO", "1 of 1")):
        bar.edit.setText(words)
        qtbot.waitUntil(lambda count=count: bar.count.text() == count)
    assert current(answered)[1].selectedText() == "Wait, so"
    answered.session.new()
    qtbot.waitUntil(lambda: bar.count.text() == "No matches")
    answered.session.ask("Wait, so what? And wait, so why?")
    qtbot.waitUntil(lambda: bar.count.text().endswith("of 2"))


def test_a_match_in_collapsed_reasoning_expands_it_and_escape_leaves_the_marks_of_others(answered, qtbot):
    steps, mark = last_answer(answered).steps, QTextEdit.ExtraSelection()
    assert last_answer(answered).folded
    find(answered, qtbot, "step 42 of", "1 of 1")
    assert not last_answer(answered).folded
    qtbot.waitUntil(lambda: in_sight(answered))
    mark.cursor = steps.document().find("step 3")
    steps.lay(Layer.OPINION, [mark])
    assert len(steps.extraSelections()) == 2
    qtbot.keyClick(answered.chat.find_bar.edit, Qt.Key.Key_Escape)
    assert not answered.chat.find_bar.isVisible()
    assert answered.chat.composer.edit.hasFocus()
    texts = answered.chat.conversation.texts()
    assert [each.cursor.selectedText() for text in texts for each in text.extraSelections()] == ["step 3"]


# Edit a step


def choose_first_step(window, qtbot):
    answer = last_answer(window)
    if answer.folded:
        qtbot.keyClick(window, Qt.Key.Key_J, CONTROL)
    steps = answer.steps
    place = steps.place_of(steps.pieces[0])
    assert place is not None
    qtbot.mouseClick(steps.viewport(), Qt.MouseButton.LeftButton, pos=place.center().toPoint())


def opened_editor(window, qtbot):
    choose_first_step(window, qtbot)
    qtbot.keyClick(window, Qt.Key.Key_F4)
    editor = last_answer(window).editor
    assert editor.isVisible()
    return editor


def replace_text(editor, qtbot, text):
    qtbot.keyClick(editor.edit, Qt.Key.Key_A, CONTROL)
    qtbot.keyClicks(editor.edit, text) if text else qtbot.keyClick(editor.edit, Qt.Key.Key_Delete)


def test_the_answer_goes_on_from_the_edited_step_as_another_attempt(ask, qtbot):
    window = ask("2 + 2?")
    first = last_exchange(window)
    with qtbot.waitSignal(window.session.failed) as failed:
        qtbot.keyClick(window, Qt.Key.Key_F4)
    assert "Ctrl+Down" in str(failed.args[0]), "no step is chosen yet"
    editor = opened_editor(window, qtbot)
    assert editor.edit.toPlainText() == first.trace.pieces[0].text
    assert editor.edit.hasFocus()
    replace_text(editor, qtbot, "First of all: ")
    qtbot.keyClick(editor.edit, Qt.Key.Key_Return, CONTROL)
    qtbot.waitUntil(lambda: window.session.ready)
    second = last_exchange(window)
    assert window.session.conversation.siblings(second) == [first, second]
    assert second.trace.text.startswith("First of all: ")
    assert [piece.author for piece in second.trace.pieces][:2] == [Author.SMALL, Author.PERSON], "First is the model's"
    assert second.trace.finish is Finish.END_OF_TEXT
    assert "of all:" in last_answer(window).steps.toPlainText()


def test_the_editor_stays_over_its_step_and_is_as_high_as_its_text(ask, qtbot):
    window = ask("2 + 2?")
    choose_first_step(window, qtbot)
    qtbot.keyClick(window, Qt.Key.Key_J, CONTROL)
    answer = last_answer(window)
    assert answer.folded
    qtbot.keyClick(window, Qt.Key.Key_F4)
    editor = answer.editor
    qtbot.waitUntil(editor.isVisible)
    replace_text(editor, qtbot, "One line.")
    height, line = editor.height(), editor.edit.fontMetrics().lineSpacing()
    assert editor.edit.height() < 3 * line
    editor.edit.setPlainText("One line.\n\n")
    assert (editor.height(), editor.edit.verticalScrollBar().isVisible()) == (height, False)
    editor.edit.setPlainText("One.\nTwo.\nThree.")
    assert editor.height() == height + 2 * line
    window.resize(900, 700)
    qtbot.waitUntil(lambda: answer.rect().contains(editor.geometry()))


def test_the_editor_of_code_has_its_font_and_what_is_in_view_stays_there(answered_by, qtbot):
    small = ScriptedEngine(f"{STEPS}```python\nx = 4\n```\n\n</think>\n\nIt is 4.")
    window = answered_by(ScriptedLoader(small), max_tokens=5000)
    exchange = last_exchange(window)
    answer, bar = last_answer(window), window.chat.conversation.verticalScrollBar()
    code = next(piece for piece in exchange.trace.pieces if "```" in piece.text)

    def edit(piece):
        window.chat.choose(exchange, piece)
        window.chat.edit_step()
        qtbot.waitUntil(lambda: not answer.editor.visibleRegion().isEmpty())
        return answer.editor

    assert answer.folded
    assert edit(code).edit.font() == answer.steps._style().code_font
    bar.setValue(answer.steps.mapTo(answer.parentWidget(), QPoint()).y() - 30)
    place = bar.value()
    editor = edit(exchange.trace.pieces[0])
    assert editor.edit.font().family() == answer.steps.font().family()
    QApplication.processEvents()
    assert bar.value() == place


@pytest.mark.parametrize("key", [Qt.Key.Key_Tab, Qt.Key.Key_Backtab])
def test_by_tab_one_comes_into_a_long_text_where_one_reads_it(answered, qtbot, key):
    answer, bar = last_answer(answered), answered.chat.conversation.verticalScrollBar()
    answer.keep_open()
    qtbot.waitUntil(lambda: bar.maximum() > 2000)
    beside = answer.ribbon if key is Qt.Key.Key_Tab else answer._icons[0]
    beside.setFocus()
    bar.setValue(top_of(answer.steps) + 400)
    qtbot.keyClick(beside, key)
    assert answered.focusWidget() is answer.steps
    assert bar.value() == top_of(answer.steps) + 400
    beside.setFocus()
    bar.setValue(0 if key is Qt.Key.Key_Tab else bar.maximum())
    qtbot.keyClick(beside, key)
    assert not answer.steps.visibleRegion().isEmpty()


def top_of(part):
    return part.mapTo(part.parentWidget().parentWidget(), QPoint()).y()


def test_escape_or_an_unchanged_step_makes_no_other_attempt_and_an_empty_one_is_written_again(answered_by, qtbot):
    small = ScriptedEngine("So 12\u00a0km = 12\u202f000\u00a0m.\n\nDone.</think>\n\nThe answer is 12.")
    window = answered_by(ScriptedLoader(small))
    first = last_exchange(window)
    editor = opened_editor(window, qtbot)
    replace_text(editor, qtbot, "Mine.")
    qtbot.keyClick(editor.edit, Qt.Key.Key_Escape)
    assert last_answer(window).editor is None
    press(opened_editor(window, qtbot), "Go on from here")
    assert last_answer(window).editor is None
    assert window.session.conversation.siblings(first) == [first]
    window.chat.open_menu(last_answer(window), first.trace.pieces[0], QPoint(0, 0))
    pick(QApplication.activePopupWidget(), "Edit this step")
    editor = last_answer(window).editor
    replace_text(editor, qtbot, "")
    qtbot.keyClick(editor.edit, Qt.Key.Key_Return, CONTROL)
    qtbot.waitUntil(lambda: window.session.ready)
    second = last_exchange(window)
    assert second is not first
    assert all(piece.author is not Author.PERSON for piece in second.trace.pieces)
    assert second.settings.seed != first.settings.seed


def test_while_an_answer_is_written_a_second_one_is_refused_and_the_text_stays_in_the_editor(answered_by, qtbot):
    gate, loader = Gate(), ScriptedLoader()
    window = answered_by(loader)
    first = last_exchange(window)
    editor = opened_editor(window, qtbot)
    replace_text(editor, qtbot, "Mine.")
    answer = last_answer(window)
    loader.small.before_token = gate.wait_at
    window.session.ask("3 + 3?")
    with qtbot.waitSignal(window.session.failed) as failed:
        qtbot.keyClick(editor.edit, Qt.Key.Key_Return, CONTROL)
    assert "is being written" in str(failed.args[0])
    assert editor.edit.toPlainText() == "Mine."
    assert answer.editor is editor
    window.notice.close_newest()
    window.session.go_on(first)
    assert window.notice.text == "An answer is being written. Stop it, or wait for its end."
    window.chat.choose(first, first.trace.pieces[0])
    window.session.activity_changed.emit()  # as when an answer elsewhere ends
    assert window.inspector.piece is first.trace.pieces[0]
    gate.set()
    qtbot.waitUntil(lambda: window.session.ready)
    assert len(loader.choices) == 1, "models were loaded for an answer that is not written"


def test_without_models_the_text_is_kept_and_continue_goes_on_from_it(answered_by, qtbot):
    loader = ScriptedLoader()
    window = answered_by(loader)
    loader.error = EngineLost("No memory.", "Close other programs.")
    window.models.load(window.preferences.value.models)
    qtbot.waitUntil(lambda: window.models.state is LoadState.FAILED)
    loader.error = EngineLost("No memory.", "Close other programs.")
    editor = opened_editor(window, qtbot)
    replace_text(editor, qtbot, "Mine.")
    qtbot.keyClick(editor.edit, Qt.Key.Key_Return)
    qtbot.keyClick(editor.edit, Qt.Key.Key_Return)
    qtbot.keyClick(editor.edit, Qt.Key.Key_Return, CONTROL)
    qtbot.waitUntil(lambda: window.models.state is LoadState.FAILED and window.session.ready)
    kept = last_exchange(window).trace
    assert kept.text == "Mine.\n\n"
    assert "Your text is kept" in last_answer(window).ending.text()
    qtbot.keyClick(window, Qt.Key.Key_Return, CONTROL | Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: window.session.ready and kept.finish is not None)
    assert kept.text.startswith("Mine.\n\n")
    assert kept.finish is Finish.END_OF_TEXT
