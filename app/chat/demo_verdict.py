"""Below an answer of the demo pair: what the small model alone says, and who is right."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from baton_reasoning.app.shared.background import BackgroundTask
from baton_reasoning.app.shared.conversations.conversation import Exchange
from baton_reasoning.app.shared.theme import Role
from baton_reasoning.app.shared.widgets.controls import button, label
from baton_reasoning.app.shared.widgets.layout import STRETCH, hbox, vbox
from baton_reasoning.core.demo_pair import DemoProblem
from baton_reasoning.core.demo_pair.verdict import DemoAnswer, verdict_on
from baton_reasoning.core.engines.base import Conversation
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import BatonError
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.models.source import DemoModel
from baton_reasoning.core.run import Pair, RunSettings, run
from baton_reasoning.core.thinking.control import Control
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.trace import Trace

CONTEXT = 1024
"""Tokens: enough for every problem of the demo pair."""


class DemoVerdicts(QObject):
    """Solves a demo problem with the small model alone, in the background, each exchange once."""

    found = Signal(object, str)  # an Exchange and the line below it

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._found: dict[str, str] = {}
        """By the exchange's id; empty while it is being found."""

    def ask(self, exchange: Exchange) -> None:
        """Emit `found` if the demo pair finished this answer to one of its problems; at once if it is known.

        An answer in which a person wrote has no verdict: it would blame the models.
        """
        problem, trace = DemoProblem.of(exchange.problem), exchange.trace
        if problem is None or trace.finish is not Finish.END_OF_TEXT or not _is_by_demo_pair(trace):
            return
        if any(piece.author is Author.PERSON for piece in trace.pieces):
            return
        if exchange.id in self._found:
            if known := self._found[exchange.id]:
                self.found.emit(exchange, known)
            return
        from baton_reasoning.core.grading.extraction import (
            answer_of,  # not at the start of a window, which it would delay
        )

        def show(answers: list[DemoAnswer]) -> None:
            self._found[exchange.id] = verdict_on(answers, problem.answer)
            self.found.emit(exchange, self._found[exchange.id])

        shown = demo_answer(problem, answer_of(trace), trace.large_share)
        if shown.large_share == 0:
            show([shown])
            return
        self._found[exchange.id] = ""
        control = Control()

        def compare(small: str | None) -> None:
            if not control.stopped:
                show([demo_answer(problem, small, large_share=0), shown])

        def failed(_: BatonError) -> None:
            del self._found[exchange.id]  # the next time the answer is shown, it is tried again

        solve = partial(small_alone, exchange.messages(), exchange.settings, control)
        task = BackgroundTask(self, "small model alone", solve, cancel=control.stop)
        task.success(compare).failure(failed).start()


def demo_answer(problem: DemoProblem, answer: str | None, large_share: float) -> DemoAnswer:
    """Grade an answer by the problem's own: the demo models write it exactly so, or it is wrong."""
    return DemoAnswer(answer, Outcome.CORRECT if answer == problem.answer else Outcome.WRONG, large_share)


def small_alone(messages: Conversation, settings: RunSettings, control: Control) -> str | None:
    """Solve a problem with the demo's small model alone, with the seed of `settings`. Blocks about a second."""
    from baton_reasoning.core.batch.running.recipes import arms_of
    from baton_reasoning.core.engines.factory import EngineFactory, open_engine
    from baton_reasoning.core.grading.extraction import answer_of
    from baton_reasoning.core.models.loading import LoadOptions
    from baton_reasoning.core.models.preferences import LocalChoices

    # An engine of its own: the loaded pair stays free for the next problem.
    factory = EngineFactory(local=lambda _: LocalChoices(LoadOptions(context=CONTEXT)))
    arm = arms_of(["small"], settings)[0]
    engine = open_engine(DemoModel.SMALL, factory)
    try:
        return answer_of(Trace.of(run(Pair(engine, None), messages, arm.settings, control=control)))
    finally:
        engine.close()


BEYOND = "The demo pair solves only problems such as its examples. For this problem, choose real models."


def beyond_the_demo(exchange: Exchange) -> bool:
    """Whether the demo pair was asked something that it was not trained for."""
    return _is_by_demo_pair(exchange.trace) and DemoProblem.of(exchange.problem) is None


def _is_by_demo_pair(trace: Trace) -> bool:
    cards = (trace.started.small, trace.started.large) if trace.started else ()
    return [card.source for card in cards if card] == [DemoModel.SMALL, DemoModel.LARGE]


class DemoVerdictView(QWidget):
    """What stands below an answer with the verdict; hidden until there is one."""

    models_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = label("", Role.HEADING, wrap=True)
        self.choose = button("Choose real models…", self.models_wanted.emit)
        self.setLayout(vbox(self.text, hbox(self.choose, STRETCH), margins=0, spacing=6))
        self.hide()

    def show_beyond(self) -> None:
        """Say that the problem is beyond the demo pair."""
        self.text.setText(BEYOND)
        self.show()

    def show_verdict(self, line: str) -> None:
        self.text.setText(line.replace(" ✓", "\N{NO-BREAK SPACE}✓").replace(" ✗", "\N{NO-BREAK SPACE}✗"))
        self.show()
