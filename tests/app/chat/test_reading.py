"""What is in view while an answer is written and afterwards: where one reads, what one finds, which step one edits."""

import threading
from unittest.mock import Mock

import pytest
from PySide6.QtCore import SIGNAL, QEvent, QObject, QPoint, Qt
from PySide6.QtGui import QColor, QFont, QTextCursor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu, QPushButton, QTextEdit, QWidget

from baton_reasoning.app.chat.answer_view import ChatActions, StepEditor
from baton_reasoning.app.chat.conversation_view import Bubble, ConversationView, column_width
from baton_reasoning.app.document.rich_text import Layer
from baton_reasoning.app.document.typeset import Typesetter
from baton_reasoning.app.session.conversation import Conversation, Exchange, ShownComparison
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.toolkit.theme import current_theme
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.settings import Appearance
from baton_reasoning.core.thinking.events import Finish, RunStarted, StepEnded, TokenWritten, WriteStarted
from baton_reasoning.core.thinking.policies.alone import Never
from baton_reasoning.core.thinking.trace import Piece
from baton_reasoning.core.words.authors import SIGN, WHO
from tests.app.conftest import ScriptedLoader, answer_to, last_answer, last_exchange
from tests.core.thinking.running import run
from tests.fakes.held import Gate
from tests.fakes.scripted import ScriptedEngine
from tests.patience import PATIENCE

STEPS = "".join(f"This is step {number} of many.\n\n" for number in range(40))
ANSWER = "".join(f"This is line {number} of the answer.\n\n" for number in range(40)) + "It is \\boxed{4}."


class Gates:
    """Holds the small model back, once before its answer and once before the end of that."""

    def __init__(self):
        self.answer, self.end = threading.Event(), threading.Event()
        self.loader = ScriptedLoader()
        self.loader.small = ScriptedEngine(f"{STEPS}</think>\n\n{ANSWER}", before_token=self._wait)

    def _wait(self, body):
        gate = self.answer if "step 39" in body and "</think>" not in body else self.end if "boxed" in body else None
        assert gate is None or gate.wait(PATIENCE)

    def open(self):
        self.answer.set()
        self.end.set()


@pytest.fixture
def gates():
    gates = Gates()
    yield gates
    gates.open()


@pytest.fixture
def reasoned(make_window, gates, qtbot):
    """An answer of which all steps are written."""
    window = make_window(gates.loader)
    window.preferences.change_run(max_tokens=5000)
    qtbot.waitUntil(lambda: window.session.ready)
    window.session.ask("How many?")
    qtbot.waitUntil(lambda: "step 39" in last_answer(window).steps.toPlainText())
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
    gates.answer.set()
    qtbot.waitUntil(lambda: "line 39" in answer.answer.toPlainText() and bottom_in_view(reasoned, answer.answer))
    gates.end.set()
    qtbot.waitUntil(lambda: reasoned.session.ready and answer.result.text() == "4")
    qtbot.waitUntil(lambda: 0 <= top_in_view(reasoned, answer.result) < reasoned.chat.conversation.height() // 2)


def test_whoever_scrolled_up_keeps_their_place(reasoned, gates, qtbot):
    answer, bar = last_answer(reasoned), reasoned.chat.conversation.verticalScrollBar()
    qtbot.waitUntil(lambda: bottom_in_view(reasoned, answer.steps))
    bar.setValue(bar.maximum() // 2)
    before = top_in_view(reasoned, answer.steps)
    assert before < 0
    gates.answer.set()
    qtbot.waitUntil(lambda: "line 39" in answer.answer.toPlainText())
    qtbot.waitUntil(lambda: top_in_view(reasoned, answer.steps) == before)
    gates.end.set()
    qtbot.waitUntil(lambda: reasoned.session.ready and answer.result.isVisibleTo(answer))
    qtbot.waitUntil(lambda: top_in_view(reasoned, answer.steps) == before)
    assert not answer.folded, "what is read does not go"


def test_reasoning_is_folded_or_open_as_a_person_left_it(make_window, qtbot):
    window = make_window()
    answer_to(window, qtbot, "2 + 2?")
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


# The measure

PROBLEM = "How many positive whole-number divisors does the product of 196, 225 and 1001 have? " * 3


def test_a_long_problem_is_not_clipped_at_the_right(ask, qtbot):
    window = ask(PROBLEM)
    view = window.chat.conversation
    content, bubble = view.widget(), view.findChild(Bubble)

    def is_in_view():
        right = bubble.mapTo(content, bubble.rect().bottomRight()).x()
        return content.width() <= view.viewport().width() and right < content.width()

    for width in (900, 1280):
        window.resize(width, 800)
        qtbot.waitUntil(is_in_view)


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
        self._answer = answer
        self.spare: list[int] = []
        answer.steps.viewport().installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() is QEvent.Type.Paint:
            self.spare.append(self._answer.height() - self._answer.minimumSizeHint().height())
        return super().eventFilter(watched, event)


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
    events = run(Never(), [written]).trace.events
    of_growth = RunStarted, WriteStarted, TokenWritten, StepEnded
    for number, event in enumerate(event for event in events if isinstance(event, of_growth)):
        exchange.trace.apply(event)
        if number % 5 == 0:
            answer.follow(live=True)
            QApplication.processEvents()
    assert len(painted.spare) > 20
    assert min(painted.spare) >= 0


# Find

LINES = "".join(f"This is step {number} of very many.\n\n" for number in range(120))
CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def answered(make_window, qtbot):
    """A window with one answer of 120 steps."""
    loader = ScriptedLoader()
    loader.small = ScriptedEngine(LINES + "So $2 + 3 = 5$.</think>\n\nThe answer is 5, after step 7.")
    window = make_window(loader)
    window.preferences.change_run(max_tokens=5000)
    qtbot.waitUntil(lambda: window.session.ready)
    window.session.ask("How many steps are there?")
    qtbot.waitUntil(lambda: window.session.ready and last_answer(window).steps.complete)
    return window


def expand(window, qtbot):
    """Show all steps, from the first on."""
    last_answer(window).keep_open()
    bar = window.chat.conversation.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 1000)
    bar.setValue(0)


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
    marked = []
    for text in window.chat.conversation.texts():
        lit = [each for each in text.extraSelections() if each.format.background().color() == ground]
        marked += [(text, QTextCursor(each.cursor)) for each in lit]
    assert len(marked) == 1
    return marked[0]


def in_sight(window):
    """Whether the current match is within the viewport."""
    text, cursor = current(window)
    area = window.chat.conversation.viewport()
    start = QTextCursor(cursor)
    start.setPosition(cursor.selectionStart())
    place = text.mapTo(area, text.cursorRect(start).center())
    return area.rect().contains(QPoint(area.rect().center().x(), place.y()))


def test_all_matches_are_counted_and_return_goes_through_them(answered, qtbot):
    expand(answered, qtbot)
    find(answered, qtbot, "step 7", "1 of 12")  # the answer, 7, and 70 to 79
    edit, count = answered.chat.find_bar.edit, answered.chat.find_bar.count
    assert current(answered)[0] is last_answer(answered).answer
    for number in range(2, 13):
        qtbot.keyClick(edit, Qt.Key.Key_Return)
        qtbot.waitUntil(lambda number=number: count.text() == f"{number} of 12")
        qtbot.waitUntil(lambda: in_sight(answered))
    assert current(answered)[0] is last_answer(answered).steps
    qtbot.keyClick(edit, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: count.text() == "1 of 12")
    qtbot.keyClick(edit, Qt.Key.Key_Return, SHIFT)
    qtbot.waitUntil(lambda: count.text() == "12 of 12")
    qtbot.keyClick(edit, Qt.Key.Key_F3, SHIFT)
    qtbot.waitUntil(lambda: count.text() == "11 of 12")
    qtbot.keyClick(edit, Qt.Key.Key_F3)
    qtbot.waitUntil(lambda: count.text() == "12 of 12")


def test_another_conversation_is_searched_when_it_is_opened(answered, qtbot):
    find(answered, qtbot, "steps", "1 of 1")
    answered.session.new()
    qtbot.waitUntil(lambda: answered.chat.find_bar.count.text() == "No matches")
    answered.session.ask("How many steps, and which steps?")
    qtbot.waitUntil(lambda: answered.session.ready)
    qtbot.waitUntil(lambda: answered.chat.find_bar.count.text().endswith("of 2"))


def test_words_are_found_in_either_case_through_marks_and_not_as_a_pattern(answered, qtbot):
    problem = answered.chat.conversation.texts()[0]
    problem.set_markdown("**Wait**, so (a.b)*\n\nlet me WAIT. AXB await, 😀 wait")
    find(answered, qtbot, "wait", "1 of 4")
    answered.chat.find_bar.edit.setText("wait, SO")
    assert current(answered)[1].selectedText() == "Wait, so"
    answered.chat.find_bar.edit.setText("(a.b)*")
    assert answered.chat.find_bar.count.text() == "1 of 1"


def test_searching_leaves_nothing_connected_behind(answered, qtbot):
    """Each comparison once left two more receivers of the scroll bar."""
    bar, steps = answered.chat.conversation.verticalScrollBar(), last_answer(answered).steps

    def receivers():
        document = steps.document()
        signals = ((bar, "valueChanged(int)"), (bar, "rangeChanged(int,int)"), (document, "contentsChanged()"))
        return [sender.receivers(SIGNAL(signal)) for sender, signal in signals]

    find(answered, qtbot, "steps", "1 of 1")
    before = receivers()
    for _ in range(3):
        answered.chat.comparison.open(ShownComparison((last_exchange(answered),)))
        answered.chat.comparison.leave()
        answered.chat.close_find()
        answered.chat.find_bar.open()
    assert receivers() == before


def test_the_latest_is_one_key_away(answered, qtbot):
    conversation = answered.chat.conversation
    last_answer(answered).keep_open()
    bar = conversation.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 500)
    bar.setValue(bar.maximum())
    assert last_answer(answered).result.visibleRegion().isEmpty()
    qtbot.keyClick(answered.chat.composer.edit, Qt.Key.Key_End, Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(lambda: not last_answer(answered).result.visibleRegion().isEmpty())


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


def test_what_is_found_and_highlighted_is_limited(answered, qtbot, monkeypatch):
    monkeypatch.setattr("baton_reasoning.app.chat.find.MOST", 50)
    find(answered, qtbot, "very many", "1 of 50+")
    assert len(last_answer(answered).steps.extraSelections()) == 50


# Edit a step


def choose_first_step(window, qtbot):
    answer = last_answer(window)
    if answer.folded:
        qtbot.keyClick(window, Qt.Key.Key_H, CONTROL)
    steps = answer.steps
    place = steps.place_of(steps.shown[0].piece)
    assert place is not None
    qtbot.mouseClick(steps.viewport(), Qt.MouseButton.LeftButton, pos=place.center().toPoint())


def opened_editor(window, qtbot):
    choose_first_step(window, qtbot)
    qtbot.keyClick(window, Qt.Key.Key_F4)
    editor = last_answer(window).editor
    assert editor
    assert editor.isVisible()
    return editor


def replace_text(editor, qtbot, text):
    qtbot.keyClick(editor.edit, Qt.Key.Key_A, CONTROL)
    qtbot.keyClicks(editor.edit, text) if text else qtbot.keyClick(editor.edit, Qt.Key.Key_Delete)


def press_go_on(editor):
    next(each for each in editor.findChildren(QPushButton) if each.text() == "Go on from here").click()


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
    window.chat.choose(second, second.trace.pieces[1])
    assert window.inspector.step.sentence.text() == "You edited this step."
    ribbon = last_answer(window).ribbon
    assert ribbon.segments[1][0] is Author.PERSON
    assert f"{SIGN[Author.PERSON]} {WHO[Author.PERSON]}\nEdited by a person" in ribbon.accessibleDescription()


def test_the_editor_stays_over_its_step_and_is_as_high_as_its_text(ask, qtbot):
    window = ask("2 + 2?")
    choose_first_step(window, qtbot)
    qtbot.keyClick(window, Qt.Key.Key_H, CONTROL)
    answer = last_answer(window)
    assert answer.folded
    qtbot.keyClick(window, Qt.Key.Key_F4)
    editor = answer.editor
    assert editor
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


def test_escape_or_an_unchanged_step_makes_no_other_attempt_and_an_empty_one_is_written_again(ask, qtbot):
    window = ask("2 + 2?")
    first = last_exchange(window)
    editor = opened_editor(window, qtbot)
    replace_text(editor, qtbot, "Mine.")
    qtbot.keyClick(editor.edit, Qt.Key.Key_Escape)
    assert last_answer(window).editor is None
    window.chat.open_menu(last_answer(window), first.trace.pieces[0], QPoint(0, 0))
    menu = next(menu for menu in window.chat.findChildren(QMenu) if menu.isVisible())
    action = next(action for action in menu.actions() if action.text().startswith("Edit this step"))
    QTest.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(action).center())
    press_go_on(last_answer(window).editor)
    assert last_answer(window).editor is None
    assert window.session.conversation.siblings(first) == [first]
    editor = opened_editor(window, qtbot)
    replace_text(editor, qtbot, "")
    qtbot.keyClick(editor.edit, Qt.Key.Key_Return, CONTROL)
    qtbot.waitUntil(lambda: window.session.ready)
    second = last_exchange(window)
    assert second is not first
    assert all(piece.author is not Author.PERSON for piece in second.trace.pieces)
    assert second.settings.seed != first.settings.seed


def test_while_an_answer_is_written_the_text_stays_in_the_editor(make_window, qtbot):
    gate, loader = Gate(), ScriptedLoader()
    window = make_window(loader)
    answer_to(window, qtbot, "2 + 2?")
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
    gate.set()
    qtbot.waitUntil(lambda: window.session.ready)


def test_without_models_the_text_is_kept_and_continue_goes_on_from_it(make_window, qtbot):
    loader = ScriptedLoader()
    window = make_window(loader)
    answer_to(window, qtbot, "2 + 2?")
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


def test_a_step_that_is_left_as_it_is_comes_back_to_the_letter(qtbot):
    parent = QWidget()
    qtbot.addWidget(parent)
    text = "So 12\u00a0km = 12\u202f000\u00a0m.\n\n"
    piece = Piece(Author.SMALL, 0, 0, 0.0)
    piece.insert(text)
    editor = StepEditor(piece, QFont(), parent)
    with qtbot.waitSignal(editor.accepted) as accepted:
        press_go_on(editor)
    assert accepted.args == [text]
