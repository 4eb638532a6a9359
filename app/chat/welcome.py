"""The page of an empty conversation: a problem of the demo pair, or questions for real models; a click asks one."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from baton_reasoning.app.toolkit.controls import ElidedButton, button, label, plain_tip
from baton_reasoning.app.toolkit.layout import STRETCH, Spacer, hbox, holder, vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.demo_pair import READY_PROBLEMS, WHAT_IT_SOLVES, held_out_problems
from baton_reasoning.core.words.numbers import in_brief

EXAMPLES = (
    "Ed has 2 dogs, 3 cats and twice as many fish as cats and dogs combined. How many pets does Ed have in total?",
    "Convert the point $(0, 3)$ in rectangular coordinates to polar coordinates.",
    "How many positive whole-number divisors does 196 have?",
)


class Welcome(QWidget):
    def __init__(self, solve: Callable[[str], object]) -> None:
        """`solve`: asks a problem now."""
        super().__init__()
        title = label("A small model thinks. A large one writes the hard steps.", Role.TITLE, wrap=True)
        title.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.problem = ""
        """The demo problem that is offered; "" for other models."""
        self.solve = button("Solve this problem", lambda: solve(self.problem), Role.PRIMARY)
        tip = "Solve a problem that neither model has seen, and that nobody has chosen"
        self.another = button(NEW_PROBLEM, lambda: solve(another_problem()), Role.FLAT, tip)
        self._text, note = label(wrap=True), label(NOTE, Role.MUTED, wrap=True)
        for text in (self._text, note):
            text.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            text.setMaximumWidth(WIDEST_TEXT)
        # Between stretches, not aligned: only so does Qt ask wrapped words how high they are at this width.
        self.demo = holder(
            vbox(
                hbox(STRETCH, (self._text, 1000), STRETCH),
                hbox(STRETCH, self.solve, self.another, STRETCH),
                hbox(STRETCH, (note, 1000), STRETCH),
                margins=0,
                spacing=14,
            )
        )
        self.examples = holder(_examples(solve))
        self.setLayout(
            vbox(Spacer(2), title, 14, self.demo, self.examples, Spacer(3), margins=(26, 16, 26, 40), spacing=8)
        )

    def offer(self, *, is_demo: bool) -> None:
        """Offer a problem of the demo pair, with a button that solves it; else questions for real models."""
        self.demo.setVisible(is_demo)
        self.examples.setVisible(not is_demo)
        if not is_demo:
            self.problem = ""
        elif not self.problem:
            self.problem = demo_problem()
            self._text.setText(self.problem)


def _examples(choose: Callable[[str], object]) -> QVBoxLayout:
    """Lay out a button for each example."""
    column = vbox(margins=0, spacing=8)
    for example in EXAMPLES:
        press = ElidedButton(in_brief(example).replace("$", ""))
        press.clicked.connect(partial(choose, example))
        press.setToolTip(plain_tip(example))
        press.setAccessibleName(f"Ask: {example}")
        column.addWidget(press, 0, Qt.AlignmentFlag.AlignHCenter)
    return column


NEW_PROBLEM = "New problem of this kind"
NOTE = (
    f"Both models come with Baton. {WHAT_IT_SOLVES} The small model errs on this one, which is why it was chosen; new "
    "ones are not chosen."
)
WIDEST_TEXT = 560
"""Pixels."""


def demo_problem() -> str:
    """Return the demo problem of the first start page."""
    with READY_PROBLEMS.open(encoding="utf-8") as lines:
        return str(json.loads(next(lines))["problem"])


def another_problem() -> str:
    """Return a new held-out problem of the demo pair's kind."""
    return next(held_out_problems(random.randrange(1 << 30))).question
