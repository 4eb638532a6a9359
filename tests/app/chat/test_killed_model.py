"""The window on real models whose process is killed while it writes: nothing is lost, and the window lives."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from baton_reasoning.app.session.loaded_models import Loading
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.demo_pair import LARGE_MODEL
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.remote.status import StatusCallback
from baton_reasoning.core.models.options import LoadOptions
from baton_reasoning.core.run import Pair
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.policies.never import Never
from tests.app.conftest import ScriptedLoader

pytestmark = pytest.mark.real_models
TOKENS = 24


class RealLoader(ScriptedLoader):
    """The given file as the small model, the demo pair's large one beside it."""

    def __init__(self, small: Path) -> None:
        super().__init__()
        self._file = small

    def __call__(self, choice: ModelChoice, watcher: StatusCallback) -> Loading:
        self.choices.append(choice)
        options = LoadOptions(context=512, threads=1)
        self.model = LocalEngine(self._file, options)
        yield Pair(self.model, LocalEngine(LARGE_MODEL, options))


@pytest.fixture
def real(make_window, qtbot, smollm2):
    loader = RealLoader(smollm2)
    window = make_window(loader, begin=False)
    window.preferences.change(models=ModelChoice(small=str(smollm2), large=str(LARGE_MODEL)))
    window.preferences.change_run(
        policy=Never.Settings(), max_tokens=TOKENS, temperature=0, limits=Limits(repetition=False)
    )
    window.begin_work()
    qtbot.waitUntil(lambda: window.models.pair.small is not None and window.session.ready)
    return window, loader


def written(window: MainWindow) -> int:
    current = window.session.current
    return current.trace.tokens if current else 0


def test_a_model_killed_in_the_middle_is_started_again_and_the_answer_goes_on(real, qtbot):
    window, loader = real
    window.session.ask("Count from one to one hundred.")
    qtbot.waitUntil(lambda: written(window) > 5)
    exchange = window.session.current
    assert exchange
    before = exchange.trace.text
    pid = loader.model.process.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: window.session.ready)
    trace = exchange.trace
    assert trace.text.startswith(before)
    assert trace.tokens == TOKENS
    assert trace.finish is Finish.MAX_TOKENS
    assert len(trace.notices) == 1
    assert "killed" in trace.notices[0].text
    window.session.ask("And now?")
    qtbot.waitUntil(lambda: window.session.ready and window.session.current is not exchange)
    assert written(window) > 0
