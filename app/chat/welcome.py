"""The page of an empty conversation: legend, examples, and the button that starts the demo."""

from __future__ import annotations

import json
import random
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from baton_reasoning.app.shared.format import in_brief
from baton_reasoning.app.shared.theme import SIGN, Role
from baton_reasoning.app.shared.widgets.controls import ElidedButton, button, label, plain_tip
from baton_reasoning.app.shared.widgets.flow import FlowLayout
from baton_reasoning.app.shared.widgets.layout import STRETCH, Spacer, hbox, vbox
from baton_reasoning.core.engines.body import Author

EXAMPLES = (
    "Ed has 2 dogs, 3 cats and twice as many fish as cats and dogs combined. How many pets does Ed have in total?",
    "Convert the point $(0, 3)$ in rectangular coordinates to polar coordinates.",
    "How many positive whole-number divisors does 196 have?",
)


LEGEND = (
    (Author.SMALL, Role.SMALL, "the small model"),
    (Author.LARGE, Role.LARGE, "the large model"),
    (Author.INSERTED, Role.MUTED, "inserted by Baton"),
)


class Welcome(QWidget):
    example_chosen = Signal(str)
    """Put this problem into the composer."""
    demo_wanted = Signal(str)
    """Solve this problem of the demo pair now."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        title = label("A small model thinks. A large one writes the hard steps.", Role.TITLE, wrap=True)
        title.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        legend = FlowLayout(18)
        for author, role, words in LEGEND:
            legend.addWidget(label(f"{SIGN[author]} {words}", role))
        self._problem = label(wrap=True)
        self._problem.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._problem.setMaximumWidth(WIDEST_TEXT)
        self.solve = button("Solve this problem", lambda: self.demo_wanted.emit(self._offered[0]), Role.PRIMARY)
        self.solve.setAutoDefault(True)  # so that Enter presses it, too
        self._examples = QVBoxLayout()
        self._examples.setSpacing(8)
        self.demo = DemoNote()
        # Between stretches, not aligned: only so does Qt ask wrapped words how high they are at this width.
        self.setLayout(
            vbox(
                Spacer(2),
                title,
                legend,
                14,
                hbox(STRETCH, (self._problem, 1000), STRETCH),
                2,
                hbox(STRETCH, self.solve, STRETCH),
                18,
                self._examples,
                hbox(STRETCH, (self.demo, 1000), STRETCH),
                Spacer(3),
                margins=(26, 16, 26, 40),
                spacing=8,
            )
        )
        self._offered: tuple[str, ...] = ()
        self.offer(EXAMPLES)

    def offer(self, examples: tuple[str, ...], *, is_demo: bool = False) -> None:
        """Replace the example problems; of the demo pair's, the first has a button that solves it at once."""
        for part in (self._problem, self.solve, self.demo):
            part.setVisible(is_demo)
        if examples == self._offered:
            return
        self._offered = examples
        while item := self._examples.takeAt(0):
            if widget := item.widget():
                widget.hide()
                widget.deleteLater()
        self._problem.setText(examples[0])
        for example in examples[1:] if is_demo else examples:
            choose = ElidedButton(title_of_example(example))
            choose.clicked.connect(partial(self.example_chosen.emit, example))
            choose.setToolTip(plain_tip(example))
            choose.setAccessibleName(f"Ask: {example}")
            self._examples.addWidget(choose, 0, Qt.AlignmentFlag.AlignHCenter)


def title_of_example(example: str) -> str:
    """Return what the button of an example says: of the demo pair's problems only the number, which alone differs."""
    from baton_reasoning.core.demo_pair import DemoProblem

    problem = DemoProblem.of(example)
    return f"The same, starting from {problem.start}" if problem else in_brief(example).replace("$", "")


def demo_examples() -> tuple[str, ...]:
    """Return example problems for the demo pair, which can solve nothing else."""
    from baton_reasoning.core.demo_pair import READY_PROBLEMS

    lines = READY_PROBLEMS.read_text("utf-8").splitlines()[:3]
    return tuple(str(json.loads(line)["problem"]) for line in lines)


def another_problem() -> str:
    """Return a new held-out problem of the demo pair's kind."""
    from baton_reasoning.core.demo_pair import held_out_problems

    return next(held_out_problems(random.randrange(1 << 30))).question


DEMO_NOTE = (
    "The small model alone gets these examples wrong, which is why they were chosen: it halves well, but errs where "
    "it multiplies. It hesitates there, right or wrong, and the large model writes that step. Both models come with "
    "Baton, are tiny, and can do nothing else. For real questions, choose a pair of your own at the top."
)
WIDEST_TEXT = 560
"""Pixels."""


class DemoNote(QWidget):
    another_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        text = label(DEMO_NOTE, Role.MUTED, wrap=True)
        text.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.setMaximumWidth(WIDEST_TEXT)
        row = FlowLayout(10)
        row.addWidget(
            button("New example", self.another_wanted.emit, tip="Neither model has seen it, and it was not chosen")
        )
        self.setLayout(vbox(text, row, margins=(0, 10, 0, 0), spacing=10))
