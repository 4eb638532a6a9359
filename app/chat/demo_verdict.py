"""Below an answer of the demo pair: whether it is right, and what the small model alone says."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from app.shared.background import BackgroundTask
from app.shared.conversations.conversation import Exchange
from app.shared.theme import Role
from app.shared.widgets.controls import button, label
from app.shared.widgets.layout import hbox
from core.demo_pair import DemoProblem
from core.engines.base import Conversation
from core.errors import BatonError
from core.models.source import DemoModel
from core.run import Pair, RunSettings, run
from core.thinking.control import Control
from core.thinking.trace import Trace

CONTEXT = 1024
"""Tokens: enough for every problem of the demo pair."""


class DemoVerdict(NamedTuple):
    expected: str
    answer: str | None
    small_alone: str | None

    def __str__(self) -> str:
        """Return the verdict in a line: “✓ 129. The small model alone says 929 ✗”."""
        pair = f"{self._mark(self.answer)} {self.answer or 'No answer'}"
        if self.answer != self.expected:
            pair += f" (correct: {self.expected})"
        small = f"says {self.small_alone}" if self.small_alone else "finds no answer"
        return f"{pair}. The small model alone {small} {self._mark(self.small_alone)}"

    def _mark(self, answer: str | None) -> str:
        return "✓" if answer == self.expected else "✗"


class DemoVerdicts(QObject):
    """Solves a demo problem with the small model alone, in the background, each exchange once."""

    found = Signal(object, object)  # an Exchange and its DemoVerdict

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._found: dict[str, DemoVerdict | None] = {}

    def ask(self, exchange: Exchange) -> None:
        """Emit `found` if the demo pair finished this answer to one of its problems; at once if it is known."""
        problem, trace = DemoProblem.of(exchange.problem), exchange.trace
        if problem is None or trace.ended is None or not _is_by_demo_pair(trace):
            return
        if exchange.id in self._found:
            if known := self._found[exchange.id]:
                self.found.emit(exchange, known)
            return
        self._found[exchange.id] = None
        from core.grading.extraction import answer_of  # not at the start of a window, which it would delay

        control = Control()
        messages, settings, answer = exchange.messages(), exchange.settings, answer_of(trace)

        def show(small: str | None) -> None:
            if not control.stopped:
                verdict = self._found[exchange.id] = DemoVerdict(problem.answer, answer, small)
                self.found.emit(exchange, verdict)

        def failed(_: BatonError) -> None:
            del self._found[exchange.id]  # the next time the answer is shown, it is tried again

        solve = partial(small_alone, messages, settings, control)
        task = BackgroundTask(self, "small model alone", solve, cancel=control.stop)
        task.success(show).failure(failed).start()


def small_alone(messages: Conversation, settings: RunSettings, control: Control) -> str | None:
    """Solve a problem with the demo's small model alone, with the seed of `settings`. Blocks about a second."""
    from core.batch.running.recipes import arms_of
    from core.engines.factory import EngineFactory, open_engine
    from core.grading.extraction import answer_of
    from core.models.loading import LoadOptions
    from core.models.preferences import LocalChoices

    # An engine of its own: the loaded pair stays free for the next problem.
    factory = EngineFactory(local=lambda _: LocalChoices(LoadOptions(context=CONTEXT)))
    arm = arms_of(["small"], settings)[0]
    engine = open_engine(DemoModel.SMALL, factory)
    try:
        return answer_of(Trace.of(run(Pair(engine, None), messages, arm.settings, control=control)))
    finally:
        engine.close()


BEYOND = "The demo pair solves only lists of numbers such as its examples. For this problem, choose real models."


def beyond_the_demo(exchange: Exchange) -> bool:
    """Whether the demo pair was asked something that it was not trained for."""
    return _is_by_demo_pair(exchange.trace) and DemoProblem.of(exchange.problem) is None


def _is_by_demo_pair(trace: Trace) -> bool:
    cards = (trace.started.small, trace.started.large) if trace.started else ()
    return [card.source for card in cards if card] == [DemoModel.SMALL, DemoModel.LARGE]


class DemoVerdictRow(QWidget):
    """The row below an answer with the verdict; hidden until there is one."""

    models_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = label("", Role.HEADING, wrap=True)
        self.choose = button("Try it with real models", self.models_wanted.emit, tip="Choose the two models")
        self.setLayout(hbox((self.text, 1), self.choose, margins=0))
        self.hide()

    def show_beyond(self) -> None:
        """Say that the problem is beyond the demo pair."""
        self.text.setText(BEYOND)
        self.choose.setText("Choose models…")
        self.show()

    def show_verdict(self, verdict: DemoVerdict) -> None:
        self.text.setText(str(verdict))
        self.show()
