"""The window, used as a person would for hours: asks, continues what was interrupted, loads again what was lost.

A line on standard input closes it; what happens goes out as JSON lines.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QApplication, QPushButton

from baton_reasoning.app.__main__ import SWITCH_INTERVAL
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.session.pair_loader import PairLoader
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.thinking.events import Finish, RunEnded
from tests.app.slow_answers import SlowAnswers

STALL = 0.1
LOOK_MS = 50
AGAIN_AFTER = 0.5
"""Seconds until a person answers an error."""
LOAD_AGAIN = "Load the model again"
AGREE = "Continue"
"""Whether a model that has replaced another may go on with its answer."""
INTERRUPTED = (None, Finish.STOPPED, Finish.FAILED)


def say(event: str, **facts: Any) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)


class Stalls(QObject):
    """Beats in the main thread; a gap between two is a stall, less the time that the thread waited for a core."""

    def __init__(self) -> None:
        super().__init__()
        self._last, self._waited = time.perf_counter(), waited_for_a_core()
        self._began = self._last
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._timer.start(5)

    def _beat(self) -> None:
        now, waited = time.perf_counter(), waited_for_a_core()
        if (stalled := now - self._last - (waited - self._waited)) > STALL:
            say("stall", seconds=round(stalled, 3), what=f"{now - self._began:.1f} s after the start")
        self._last, self._waited = now, waited


def waited_for_a_core() -> float:
    """Seconds that this thread could have run and was not let (Documentation/scheduler/sched-stats.rst)."""
    return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9


class Person(QObject):
    told_to_close = Signal()

    def __init__(self, window: MainWindow, problems: list[str], first: int) -> None:
        super().__init__()
        self._window = window
        self._problems = problems
        self._next = first
        self._shown = ""
        self._idle_since = time.monotonic()
        self._reloaded_after: RunEnded | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look)
        self._timer.start(LOOK_MS)
        self.told_to_close.connect(self._close)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for _ in sys.stdin:
            self.told_to_close.emit()

    def _close(self) -> None:
        began = time.monotonic()
        self._window._close_anyway()
        say("closed", seconds=round(time.monotonic() - began, 3))
        QApplication.exit()

    def _look(self) -> None:
        session, models = self._window.session, self._window.models
        self._read_notice()
        if not session.ready:
            self._idle_since = time.monotonic()
            return
        if time.monotonic() - self._idle_since < AGAIN_AFTER:
            return
        self._idle_since = time.monotonic()
        if models.state in (LoadState.FAILED, LoadState.NONE):
            self._window.page_actions.reload_models()
        elif models.state is LoadState.READY:
            leaf = session.conversation.leaf
            if leaf and leaf.trace.finish in INTERRUPTED:
                ended = leaf.trace.ended
                if ended and ended is not self._reloaded_after and LOAD_AGAIN in str(ended):
                    self._reloaded_after = ended
                    self._window.page_actions.reload_models()
                else:
                    session.go_on(leaf)
            else:
                session.new()
                session.ask(self._problems[self._next % len(self._problems)])
                self._next += 1

    def _read_notice(self) -> None:
        notice = self._window.notice
        text = notice.text if notice.isVisible() and "saved again" not in notice.text else ""
        if text and (agrees := next((each for each in notice.findChildren(QPushButton) if each.text() == AGREE), None)):
            agrees.click()
        elif text and text != self._shown:
            say("notice", text=text)
        self._shown = text


def main(arguments: list[str]) -> int:
    """FOLDER PROBLEMS FIRST PACE [CONVERSATION]: the folder of settings and store, a JSON list of problems, the number
    of the next, tokens a second, and which conversation to open."""
    folder, problems, first, pace = Path(arguments[0]), Path(arguments[1]), int(arguments[2]), float(arguments[3])
    SlowAnswers(pace).begin()
    sys.setswitchinterval(SWITCH_INTERVAL)
    application = QApplication(sys.argv[:1])
    paths = Paths.under(folder)
    window = MainWindow(paths, PairLoader(paths))
    window.resize(1440, 900)
    window.show()
    application.processEvents()
    if len(arguments) > 4:
        window.preferences.change_window(conversation=arguments[4])
    window.begin_work()
    _stalls = Stalls()
    _person = Person(window, json.loads(problems.read_text(encoding="utf-8")), first)
    return application.exec()
