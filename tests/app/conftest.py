"""The window with scripted models, in a folder of its own; and a fixture that finds what a test left behind."""

import gc
import multiprocessing
import os
import sys
import threading
import time
from functools import partial
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # before Qt is loaded; tests touch no display
if sys.platform == "win32":  # where that platform sees none of the system's fonts, and Qt warns of it
    os.environ.setdefault("QT_QPA_FONTDIR", str(Path(__file__).parents[2] / "resources" / "fonts"))

import pytest
import shiboken6
from PySide6.QtCore import QEvent, QMimeData, QPoint, Qt, QTimer, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QPushButton
from pytestqt.qtbot import QtBot

from baton_reasoning.app.document.clipboard import release_clipboard
from baton_reasoning.app.toolkit.background import MainThreadCollector
from baton_reasoning.app.toolkit.theme import current_theme
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.engines.remote.known_servers import KnownServers
from baton_reasoning.core.engines.templates import RENDERER
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.run import Pair
from baton_reasoning.core.secrets import Secrets
from baton_reasoning.core.settings import ColourScheme, ModelChoice
from baton_reasoning.core.store.store import Store
from tests.fakes.held import Gate
from tests.fakes.keyrings import NO_KEYRING
from tests.fakes.scripted import ScriptedEngine
from tests.patience import PATIENCE

SMALL = "First step.\n\nWait, that is", "\n\nDone.</think>\n\nThe answer is \\boxed{4}."
LARGE = (
    "Wait, let me see: two and two, which are what the problem gives us here, make four. "
    "No more of this is written, since the takeover ends with the sentence above.",
)

OWN_MODELS = ModelChoice(small="small.gguf", large="large.gguf")
"""Of a person; a batch of them runs on the chat's pair."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole windows are slow: half a second each."""
    for item in items:
        if isinstance(item, pytest.Function) and "make_window" in item.fixturenames:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def qtbot(qapp, request):
    """It waits long where pytest-qt gives up after five seconds."""
    bot = QtBot(request)
    for name in ("waitUntil", "waitSignal", "waitSignals", "waitActive"):
        setattr(bot, name, partial(getattr(bot, name), timeout=int(PATIENCE * 1000)))
    return bot


class ScriptedLoader:
    """Gives its pair; or its error, or waits until it is let go."""

    def __init__(self, small=None, large=None, *, error=None):
        self.small = small or ScriptedEngine(*SMALL)
        self.large = large or ScriptedEngine(*LARGE, name="large")
        self.error = error
        self.gate = None
        self.choices: list[ModelChoice] = []
        self.servers = KnownServers(Path("no-such-folder", "servers.json"))

    def __call__(self, choice, watcher):
        self.choices.append(choice)
        yield "Opening the small model…"
        if self.gate:
            self.gate.wait()
        if self.error:
            error, self.error = self.error, None
            raise error
        yield Pair(self.small, self.large)


@pytest.fixture(scope="session", autouse=True)
def collector(qapp):
    """Cycles are collected in the main thread only, as in the program."""
    collector = MainThreadCollector(qapp)
    yield collector
    collector.stop()
    release_clipboard()


@pytest.fixture
def no_leaks(qapp):
    """Fails a test that leaves behind a thread (daemon or not), a running timer, a top-level widget or a process."""
    before = set(threading.enumerate())
    widgets = {shiboken6.getCppPointer(widget) for widget in qapp.topLevelWidgets()}
    processes = set(multiprocessing.active_children())
    yield
    qapp.processEvents()
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    gc.collect()
    left_running = threads_left(before)
    assert not left_running, f"threads left: {left_running}"
    new = [widget for widget in qapp.topLevelWidgets() if shiboken6.getCppPointer(widget) not in widgets]
    assert not new, f"widgets left: {new}"
    active = [one for one in gc.get_objects() if type(one) is QTimer and shiboken6.isValid(one) and one.isActive()]
    timers = [timer for timer in active if not isinstance(timer.parent(), MainThreadCollector)]
    assert not timers, f"timers left: {[(timer, timer.parent()) for timer in timers]}"
    # The renderer of chat templates serves the whole program, and ends with it.
    started = {child for child in set(multiprocessing.active_children()) - processes if child.pid != RENDERER.pid}
    assert not started, f"processes left: {started}"
    gc.freeze()  # what is alive now is not the next test's, and need not be looked through again


def threads_left(before):
    """Names of threads that were not there before and do not end, daemon or not.

    They have `PATIENCE`, all together: a closing window does not wait for a silent server.
    """
    deadline = time.monotonic() + PATIENCE
    new = [thread for thread in threading.enumerate() if thread not in before]
    for thread in new:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [thread.name for thread in new if thread.is_alive()]


def last_exchange(window):
    exchange = window.session.conversation.leaf
    assert exchange
    return exchange


def last_answer(window):
    answer = window.chat.conversation.answer_of(last_exchange(window))
    assert answer
    return answer


def answer_to(window, qtbot, problem):
    """Asks as soon as the models are loaded, and waits for the end of the answer."""
    qtbot.waitUntil(lambda: window.session.ready)
    window.session.ask(problem)
    qtbot.waitUntil(lambda: window.session.ready and bool(window.session.conversation.leaf))
    return last_exchange(window)


def press(within, text):
    """Clicks the button of this text that is shown."""
    QApplication.processEvents()  # which lays it out
    (button,) = [each for each in within.findChildren(QAbstractButton) if each.text() == text and each.isVisible()]
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def pick(menu, title):
    """Clicks the entry of an open menu that begins so."""
    action = next(action for action in menu.actions() if action.text().startswith(title))
    QTest.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(action).center())


def offered(within):
    """The texts of the buttons that are shown."""
    return [each.text() for each in within.findChildren(QPushButton) if each.isVisible()]


def dragged(*paths):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return data


def drag_over(target, data, kind=QDragEnterEvent):
    """Drags files over a widget, or drops them there, as Qt reports it."""
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    event = kind(QPoint(600, 400), Qt.DropAction.CopyAction, data, left, none)
    QApplication.sendEvent(target, event)
    assert event.isAccepted()


def drop(target, *paths):
    data = dragged(*paths)
    drag_over(target, data)
    drag_over(target, data, QDropEvent)


@pytest.fixture
def make_window(qtbot, tmp_path, no_leaks):
    """Windows over one folder, closed at the end of the test."""
    windows: list[MainWindow] = []

    def make(loader=None, *, begin=True, width=1440, paths=None, models=None):
        loader = loader or ScriptedLoader()
        loader.servers = KnownServers(tmp_path / "servers.json", Secrets(NO_KEYRING))
        window = MainWindow(paths or Paths.under(tmp_path), loader)
        if models:
            window.preferences.change(models=models)
        windows.append(window)
        if width:
            window.resize(width, 900)
        window.show()
        if begin:
            window.begin_work()
            qtbot.waitUntil(lambda: not window.session.is_opening)
        return window

    yield make
    for window in windows:
        window._close_anyway()  # also with what a test has left unsaved
        window.deleteLater()
    QApplication.processEvents()
    current_theme().use(ColourScheme.LIGHT)  # it is the application's, and a test may have changed it


@pytest.fixture
def window(make_window):
    return make_window()


@pytest.fixture
def history_gate(monkeypatch):
    """Cleared, it keeps the history from being opened."""
    gate, opened = Gate(), Store.open
    gate.set()

    def open_at_the_gate(*arguments):
        gate.wait_at("")
        return opened(*arguments)

    monkeypatch.setattr(Store, "open", open_at_the_gate)
    return gate


@pytest.fixture
def ask(qtbot, window):
    """Asks, and waits for the end of the answer."""

    def ask(problem):
        answer_to(window, qtbot, problem)
        return window

    return ask


@pytest.fixture
def answered_by(make_window, qtbot):
    """Makes a window in which these models have answered a problem under these settings of a run."""

    def answered_by(loader, problem="2 + 2?", **settings):
        window = make_window(loader)
        window.preferences.change_run(**settings)
        answer_to(window, qtbot, problem)
        return window

    return answered_by
