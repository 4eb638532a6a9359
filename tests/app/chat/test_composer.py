"""The composer keeps what is typed in each conversation, and recalls earlier problems."""

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from tests.app.conftest import answer_to, last_exchange

CONTROL = Qt.KeyboardModifier.ControlModifier


def text_of(window):
    return window.chat.composer.edit.toPlainText()


def typed(window, text):
    """Types into the composer, key by key."""
    window.chat.composer.edit.setFocus()
    QTest.keyClicks(window.chat.composer.edit, text)


def test_each_conversation_keeps_what_is_typed_in_it_also_a_new_one_and_over_a_kill(make_window, qtbot):
    window = make_window()
    fish = answer_to(window, qtbot, "How many fish?")
    conversation = window.session.conversation
    typed(window, "And birds")
    window.chat.new()
    assert text_of(window) == ""
    typed(window, "How many cats")
    window.session.open(conversation.id)
    assert text_of(window) == "And birds"
    typed(window, "?")
    window.chat.composer.begin_edit(last_exchange(window))
    typed(window, "How many bees?")
    window.chat.new()
    assert text_of(window) == "How many cats"
    window.preferences.save()
    window._store.flush()  # of itself it does so after half a second
    again = make_window()  # beside the first one, which is as it was when its program is killed
    assert (again.session.conversation.leaf, text_of(again)) == (None, "How many cats")
    again.session.open(conversation.id)
    assert text_of(again) == "And birds?", "not the problem that was being edited"
    qtbot.waitUntil(lambda: again.session.ready)
    qtbot.keyClick(again.chat.composer.edit, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: again.session.ready and last_exchange(again).problem == "And birds?")
    assert last_exchange(again).parent.id == fish.id
    again.close()
    last = make_window()
    assert (last.session.conversation.id, text_of(last)) == (conversation.id, "")
    last.chat.new()
    assert text_of(last) == "How many cats"


def test_what_is_typed_goes_and_comes_back_with_its_conversation(ask):
    window = ask("How many fish?")
    deleted = window.session.conversation.id
    typed(window, "And birds?")
    restore = window.session.forget(deleted)
    assert text_of(window) == ""
    restore()
    assert (window.session.conversation.id, text_of(window)) == (deleted, "And birds?")


def test_what_is_typed_before_the_history_is_open_stays_in_view_and_is_saved(ask, make_window, qtbot, history_gate):
    ask("How many fish?").close()
    history_gate.clear()
    window = make_window(begin=False)
    window.begin_work()
    typed(window, "How many cats?")
    history_gate.set()
    qtbot.waitUntil(lambda: not window.session.is_opening)
    assert (window.session.conversation.leaf, text_of(window)) == (None, "How many cats?")
    window.close()
    assert text_of(make_window()) == "How many cats?"


def test_up_recalls_the_last_problems_and_down_or_escape_come_back_to_an_empty_field(window, qtbot):
    edit, conversation = window.chat.composer.edit, window.session.conversation

    def press(*keys):
        for key in keys:
            qtbot.keyClick(edit, key)
        return text_of(window)

    up, down, escape = Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Escape
    assert (press(up), press(down)) == ("", ""), "nothing was asked yet"
    for problem in ("How many\nfish?", "How many\u00a0cats?", "How many bees?", "How many bees?"):
        answer_to(window, qtbot, problem)
        window.chat.new()
    assert press(down) == ""
    assert press(up) == "How many bees?"
    assert press(up) == "How many cats?", "each once"
    assert press(up) == "How many\nfish?"
    assert press(up, up, up) == "How many\nfish?", "the oldest"
    assert edit.textCursor().blockNumber() == 0, "among its lines the cursor moves"
    assert press(down, down) == "How many cats?"
    assert press(down, down) == ""
    assert press(up, up, escape) == ""
    assert window.session.conversation.unsent == conversation.unsent == "", "it is no text of this conversation"
    press(up, up)
    typed(window, "!")
    assert press(up, down, escape) == window.session.conversation.unsent == "How many cats?!"
    edit.clear()
    press(up, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.session.ready and bool(window.session.conversation.leaf))
    assert (last_exchange(window).problem, text_of(window)) == ("How many bees?", "")
    press(up)
    qtbot.keyClick(edit, Qt.Key.Key_E, CONTROL)
    assert press(up, escape) == ""
