"""A stranger without a mouse, with the demo pair: from the first start to a kill and the next start."""

import json
import subprocess
import sys

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from baton_reasoning.app.session.pair_loader import PairLoader
from baton_reasoning.core.demo_pair import DemoProblem
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import Finish
from tests.app.chat.test_history import rows
from tests.app.conftest import last_exchange
from tests.app.slow_answers import SlowAnswers
from tests.app.test_geometry import nameless, visible_in

pytestmark = [pytest.mark.long, pytest.mark.real_models]
CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
SLOW = 25
"""Tokens a second, slow enough to act while an answer is written."""
STOPPED, KILLED = (DemoProblem(start).question for start in (60_836, 84_894))
PROGRAM = "import sys; from tests.soak.window import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def answers():
    answers = SlowAnswers()
    answers.begin()
    yield answers
    answers.end()


@pytest.fixture
def start(make_window, qtbot, tmp_path, answers):
    """Opens a window of one home."""

    def start():
        window = make_window(PairLoader(Paths.under(tmp_path)), width=1366)
        qtbot.waitUntil(lambda: window.session.ready and window.models.pair.small is not None)
        qtbot.waitUntil(window.isActiveWindow)
        return window

    return start


def look_around(window):
    """All that can be reached has a name and a role for a screen reader, and no message stays in the way."""
    QApplication.processEvents()
    assert not [fault for widget in visible_in(window) for fault in nameless(widget)]
    assert not window.notice.text or window.notice.timer.isActive(), window.notice.text


def test_what_was_written_with_keys_outlives_a_kill_and_goes_on_and_no_message_stays(start, qtbot, answers, tmp_path):
    window = start()
    assert window.session.conversation.leaf is None, "nothing runs by itself"

    def press(key, modifiers=Qt.KeyboardModifier.NoModifier):
        qtbot.keyClick(QApplication.focusWidget() or window, key, modifiers)

    def wait_for_the_end():
        qtbot.waitUntil(lambda: window.session.ready and last_exchange(window).trace.ended is not None)
        return last_exchange(window).trace

    def continue_it():
        before = last_exchange(window).trace.text
        press(Qt.Key.Key_Return, CONTROL | SHIFT)
        interrupted = (None, Finish.STOPPED)
        qtbot.waitUntil(lambda: window.session.ready and last_exchange(window).trace.finish not in interrupted)
        kept = len(before) // 2
        assert last_exchange(window).trace.text[:kept] == before[:kept]
        look_around(window)

    press(Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.session.conversation.leaf is not None)
    assert wait_for_the_end().finish is Finish.END_OF_TEXT
    look_around(window)
    answers.tokens_per_second = SLOW
    press(Qt.Key.Key_N, CONTROL)
    press(Qt.Key.Key_L, CONTROL)
    qtbot.keyClicks(QApplication.focusWidget(), STOPPED)
    press(Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.session.conversation.leaf is not None)
    qtbot.waitUntil(lambda: last_exchange(window).trace.tokens > 5)
    press(Qt.Key.Key_Escape)
    assert wait_for_the_end().finish is Finish.STOPPED
    answers.tokens_per_second = 0
    continue_it()

    kill_while_it_writes(tmp_path, qtbot)
    window.close()
    window = start()
    press(Qt.Key.Key_1, CONTROL)
    view = window.chat.sidebar.list
    view.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.waitUntil(lambda: len(rows(window)) == 3)
    _, newest = rows(window)[0]
    view.setCurrentIndex(newest)
    press(Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: last_exchange(window).problem == KILLED and last_exchange(window).is_read)
    assert last_exchange(window).trace.finish is None
    continue_it()


def kill_while_it_writes(folder, qtbot):
    """Let another process show the window and write an answer, and kill it."""
    problems = folder / "problems.json"
    problems.write_text(json.dumps([KILLED]))
    arguments = [str(folder), str(problems), "0", str(SLOW)]
    with (
        subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stdin=subprocess.PIPE) as program,
        Store.open(Paths.under(folder).store) as store,
    ):

        def is_written():
            newest = store.conversations.open(store.conversations.recent()[0].id).roots[0]
            return newest.problem == KILLED and store.runs.trace(newest.id).tokens > 3

        try:
            qtbot.waitUntil(is_written)
        finally:
            program.kill()
