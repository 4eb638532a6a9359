"""A stranger's hour with the demo pair, by keyboard: from the first start to a kill and the next start.

At each halt everything that can be reached has a name and a role for a screen reader, and no message stays in the way.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from baton_reasoning.app.batch.page import BatchPage
from baton_reasoning.app.batch.welcome import BatchRow
from baton_reasoning.app.chat.sidebar import ROW
from baton_reasoning.app.compare.chooser import Chooser
from baton_reasoning.app.session.pair_loader import PairLoader
from baton_reasoning.app.session.run_list import RunMark
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import Finish
from tests.app.conftest import drop, last_answer, last_exchange
from tests.app.slow_answers import SlowAnswers
from tests.app.test_geometry import nameless, visible_in

pytestmark = [pytest.mark.long, pytest.mark.real_models]
CONTROL, ALT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.AltModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
OWN = "Add 5, 8 and 9 modulo 10."
PROGRAM = "import sys; from tests.soak.window import main; sys.exit(main(sys.argv[1:]))"
SLOW = 25
"""Tokens a second, slow enough to act while an answer is written."""


class Hour:
    """The window and the hands of a person who has no mouse."""

    def __init__(self, folder, qtbot):
        self.folder, self.qtbot = folder, qtbot
        self.answers = SlowAnswers()
        self.answers.begin()
        self.start()

    def start(self):
        folder = self.folder
        self.window = MainWindow(Paths.under(folder), PairLoader(Paths.under(folder)))
        self.window.resize(1366, 768)
        self.window.show()
        self.window.begin_work()
        self.until(lambda: self.window.session.ready and self.window.models.pair.small is not None)
        self.until(self.window.isActiveWindow)

    def until(self, true):
        self.qtbot.waitUntil(true)

    def press(self, key, modifiers=Qt.KeyboardModifier.NoModifier):
        self.qtbot.keyClick(QApplication.focusWidget() or self.window, key, modifiers)

    def type(self, text):
        self.qtbot.keyClicks(QApplication.focusWidget(), text)

    def ask(self, problem):
        self.press(Qt.Key.Key_L, CONTROL)
        self.type(problem)
        self.press(Qt.Key.Key_Return)
        self.until(lambda: last_exchange(self.window).problem == problem)

    def go_slowly(self, tokens_per_second):
        self.answers.tokens_per_second = tokens_per_second

    def finished(self):
        self.until(lambda: self.window.session.ready and last_exchange(self.window).trace.ended is not None)

    def begun(self):
        self.until(lambda: last_exchange(self.window).trace.tokens > 5)

    def listed(self):
        model = self.window.chat.sidebar.list.model()
        indices = [model.index(row, 0) for row in range(model.rowCount())]
        return [index.data() for index in indices if index.data(ROW).conversation]

    def open(self, text):
        """Open a conversation of the list by its keys."""
        view = self.window.chat.sidebar.list
        view.setFocus(Qt.FocusReason.TabFocusReason)
        model = view.model()
        row = next(row for row in range(model.rowCount()) if str(model.index(row, 0).data()).startswith(text))
        for _ in range(model.rowCount()):
            if view.currentIndex().row() != row:
                self.press(Qt.Key.Key_Down if view.currentIndex().row() < row else Qt.Key.Key_Up)
        assert view.currentIndex().row() == row, (self.listed(), view.currentIndex().data(), QApplication.focusWidget())
        self.press(Qt.Key.Key_Return)

    def halt(self):
        """Look around: names, roles, and messages that stay."""
        QApplication.processEvents()
        faults = [fault for widget in visible_in(self.window) for fault in nameless(widget)]
        assert not faults
        assert not self.window.notice.text or self.window.notice.timer.isActive(), self.window.notice.text

    def close(self):
        self.window.close()
        self.window.deleteLater()
        QApplication.processEvents()


@pytest.fixture
def hour(qtbot, tmp_path, no_leaks):
    hour = Hour(tmp_path / "data", qtbot)
    yield hour
    hour.close()
    hour.answers.end()


def test_an_hour_loses_nothing_and_leaves_no_message(hour, tmp_path):
    the_demo(hour)
    an_own_question_stopped_and_continued(hour)
    an_edit_and_a_branch(hour)
    a_comparison_that_is_left(hour)
    a_deletion_taken_back(hour)
    two_batches(hour, tmp_path)
    dropped_files(hour, tmp_path)
    listed = set(hour.listed())
    hour.close()
    killed(hour, tmp_path)
    reopened(hour, listed)


def the_demo(hour):
    assert last_leaf(hour) is None, "nothing runs by itself"
    hour.halt()
    hour.press(Qt.Key.Key_Return)
    hour.begun()
    hour.finished()
    assert last_exchange(hour.window).trace.finish is Finish.END_OF_TEXT
    hour.halt()


def last_leaf(hour):
    return hour.window.session.conversation.leaf


def an_own_question_stopped_and_continued(hour):
    hour.go_slowly(SLOW)
    hour.press(Qt.Key.Key_N, CONTROL)
    hour.ask(OWN)
    hour.begun()
    hour.press(Qt.Key.Key_Escape)
    hour.finished()
    exchange = last_exchange(hour.window)
    kept = exchange.trace.text
    assert exchange.trace.finish is Finish.STOPPED
    hour.halt()
    hour.go_slowly(0)
    hour.press(Qt.Key.Key_Return, CONTROL | SHIFT)
    hour.until(lambda: hour.window.session.ready and exchange.trace.finish is not Finish.STOPPED)
    assert exchange.trace.text[: len(kept) // 2] == kept[: len(kept) // 2]


def an_edit_and_a_branch(hour):
    window = hour.window
    if last_answer(window).folded:
        hour.press(Qt.Key.Key_H, CONTROL)
    hour.press(Qt.Key.Key_Down, CONTROL)
    hour.press(Qt.Key.Key_F4)
    hour.until(lambda: last_answer(window).editor is not None)
    hour.halt()
    hour.press(Qt.Key.Key_A, CONTROL)
    hour.type("Mine. ")
    hour.press(Qt.Key.Key_Return, CONTROL)
    hour.until(lambda: last_exchange(window).trace.text.startswith("Mine. "))
    hour.finished()
    assert last_exchange(window).trace.pieces[0].author is Author.PERSON
    hour.press(Qt.Key.Key_R, CONTROL)
    hour.finished()
    hour.press(Qt.Key.Key_Left, ALT)
    assert last_exchange(window).trace.text.startswith("Mine. ")
    assert len(window.session.conversation.siblings(last_exchange(window))) == 3
    hour.halt()


def a_comparison_that_is_left(hour):
    window = hour.window
    hour.press(Qt.Key.Key_D, CONTROL)
    (chooser,) = [each for each in QApplication.topLevelWidgets() if isinstance(each, Chooser) and each.isVisible()]
    hour.until(lambda: chooser.isActiveWindow() and chooser.focusWidget() is QApplication.focusWidget())
    hour.press(Qt.Key.Key_Return)
    hour.until(lambda: window.chat.is_comparing)
    window.activateWindow()  # as a window manager does when a dialog closes
    hour.until(window.isActiveWindow)
    comparing = window.session.conversation
    hour.halt()
    hour.press(Qt.Key.Key_N, CONTROL)
    hour.ask("Another question.")
    hour.until(lambda: window.session.runs.is_idle)
    assert window.session.runs.marks() == {comparing.id: RunMark.UNREAD}
    hour.until(lambda: any(text.startswith(RunMark.UNREAD.value) for text in hour.listed()))
    hour.open(RunMark.UNREAD.value)
    assert window.chat.is_comparing
    assert all(column.is_over for column in window.chat.comparison.view.columns)
    hour.press(Qt.Key.Key_Up, ALT)
    assert not window.chat.is_comparing
    hour.halt()


def a_deletion_taken_back(hour):
    window = hour.window
    hour.go_slowly(SLOW)
    hour.press(Qt.Key.Key_N, CONTROL)
    hour.ask("To be deleted.")
    hour.begun()
    exchange = last_exchange(window)
    hour.until(lambda: any("To be deleted." in text for text in hour.listed()))
    hour.open(f"{RunMark.WRITING.value} To be deleted.")
    hour.press(Qt.Key.Key_Delete)
    hour.until(lambda: not any("To be deleted." in text for text in hour.listed()))
    hour.press(Qt.Key.Key_F6)  # to the message
    hour.press(Qt.Key.Key_Space)  # Undo
    hour.go_slowly(0)
    hour.until(lambda: last_leaf(hour) is exchange)
    hour.until(lambda: exchange.trace.finish not in (None, Finish.STOPPED))
    hour.until(lambda: any("To be deleted." in text for text in hour.listed()))
    hour.halt()


def two_batches(hour, folder):
    window = hour.window
    page = window.findChild(BatchPage)
    for name, count in (("first", 4), ("second", 24)):
        path = folder / f"{name}.jsonl"
        lines = [
            json.dumps({"problem": f"Add {n}, 8 and 9 modulo 10.", "answer": str((n + 17) % 10)}) for n in range(count)
        ]
        path.write_text("\n".join(lines))
        drop(window, path)
        hour.until(lambda: page.preview.isVisible() and page.preview.start.isEnabled())
        page.preview.start.setFocus(Qt.FocusReason.TabFocusReason)
        hour.press(Qt.Key.Key_Space)
        hour.press(Qt.Key.Key_Space)
        hour.until(lambda name=name: page.view.isVisible() and page.view.title.text() == name)
        if name == "first":
            hour.until(lambda: not page.session.executed)
            hour.halt()
    page.view.left.emit()
    rows = {each.batch.name: each for each in page.welcome.findChildren(BatchRow)}
    assert sorted(rows) == ["first", "second"]
    rows["first"]._choose.setFocus(Qt.FocusReason.TabFocusReason)
    hour.press(Qt.Key.Key_Space)
    hour.until(lambda: page.view.isVisible() and page.view.title.text() == "first")
    hour.halt()
    hour.until(lambda: not page.session.executed)
    assert {batch.name: batch.done == batch.jobs for batch in page.session.store.batches.all()} == {
        "first": True,
        "second": True,
    }


def dropped_files(hour, folder):
    window = hour.window
    broken = folder / "broken.gguf"
    broken.write_bytes(os.urandom(400))
    drop(window, broken)
    hour.until(lambda: "broken.gguf is not a" in window.notice.text)
    drop(window, SMALL_MODEL, LARGE_MODEL)
    hour.until(lambda: "can be a pair" in window.notice.text)
    hour.halt()
    while window.notice.close_newest():
        pass


def killed(hour, scratch):
    """Let another process show the window and write an answer, and kill it."""
    folder = hour.folder
    problems = scratch / "problems.json"
    problems.write_text(json.dumps(["Killed while it is written."]))
    arguments = [str(folder), str(problems), "0", str(SLOW)]
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stdin=subprocess.PIPE)
    try:
        with Store.open(Paths.under(folder).store) as store:
            hour.until(lambda: is_being_written(store))
    finally:
        program.send_signal(signal.SIGKILL)
        program.wait()
        if program.stdin:
            program.stdin.close()


def is_being_written(store):
    newest = store.conversations.open(store.conversations.recent()[0].id)
    return newest.name == "Killed while it is written." and store.runs.trace(newest.exchanges[0].id).tokens > 3


def reopened(hour, listed):
    hour.start()
    window = hour.window
    assert listed <= set(hour.listed())
    hour.press(Qt.Key.Key_1, CONTROL)
    hour.open("Killed while it is written.")
    hour.until(lambda: last_exchange(window).is_read)
    exchange = last_exchange(window)
    before = exchange.trace.text
    assert exchange.trace.finish is None
    hour.press(Qt.Key.Key_Return, CONTROL | SHIFT)
    hour.until(lambda: window.session.ready and exchange.trace.finish is not None)
    assert exchange.trace.text[: len(before) // 2] == before[: len(before) // 2]
    hour.halt()
