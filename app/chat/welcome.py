"""What stands where no conversation stands yet."""

from __future__ import annotations

import json
import random
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.chat.demo_note import DemoNote
from app.theme import SIGN, Role
from app.widgets.controls import button, label
from core.engines.body import Author

EXAMPLES = (
    "Ed has 2 dogs, 3 cats and twice as many fish as cats and dogs combined. How many pets does Ed have in total?",
    "Convert the point $(0, 3)$ in rectangular coordinates to polar coordinates.",
    "How many positive whole-number divisors does 196 have?",
)


LONGEST = 96
LEGEND = (
    (Author.SMALL, Role.SMALL, "the small model"),
    (Author.LARGE, Role.LARGE, "the large model"),
    (Author.INSERTED, Role.MUTED, "inserted by the policy"),
)


class Welcome(QWidget):
    example_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        column = QVBoxLayout(self)
        column.setContentsMargins(26, 0, 26, 40)
        column.setSpacing(8)
        column.addStretch(2)
        title = label("A small model thinks. A large one writes the hard steps.", Role.TITLE)
        title.setWordWrap(True)
        title.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        column.addWidget(title)
        row = QHBoxLayout()
        row.setSpacing(18)
        row.addStretch()
        for author, role, words in LEGEND:
            row.addWidget(label(f"{SIGN[author]} {words}", role))
        row.addStretch()
        column.addLayout(row)
        column.addSpacing(14)
        self._examples = QVBoxLayout()
        self._examples.setSpacing(8)
        column.addLayout(self._examples)
        self.demo = DemoNote()
        # Between stretches, not aligned: only so does Qt ask wrapped words how high they are at this width.
        middle = QHBoxLayout()
        middle.addStretch(1)
        middle.addWidget(self.demo, 1000)
        middle.addStretch(1)
        column.addLayout(middle)
        column.addStretch(3)
        self._offered: tuple[str, ...] = ()
        self.offer(EXAMPLES)

    def offer(self, examples: tuple[str, ...]) -> None:
        """Problems to try, in place of those offered before."""
        if examples == self._offered:
            return
        self._offered = examples
        while item := self._examples.takeAt(0):
            if widget := item.widget():
                widget.hide()
                widget.deleteLater()
        for example in examples:
            words = in_brief(example).replace("$", "")
            choose = button(words, partial(self.example_chosen.emit, example), tip=example)
            choose.setAccessibleName(f"Ask: {example}")
            self._add(self._examples, choose)

    def _add(self, column: QVBoxLayout, widget: QWidget) -> None:
        column.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)


def in_brief(problem: str) -> str:
    """Beginning and end: the end is where problems of one kind differ."""
    if len(problem) <= LONGEST:
        return problem
    return f"{problem[: LONGEST // 3].rsplit(' ', 1)[0]} … {problem[-LONGEST // 2 :].split(' ', 1)[1]}"


def demo_examples() -> tuple[str, ...]:
    """Problems that the demo pair was made for: it can do nothing else."""
    from core.demo_pair import READY_PROBLEMS

    lines = READY_PROBLEMS.read_text("utf-8").splitlines()[:3]
    return tuple(str(json.loads(line)["problem"]) for line in lines)


def another_problem() -> str:
    """One that neither model of the demo pair saw in training, and another at each call."""
    from core.demo_pair import held_out_problems

    return next(held_out_problems(random.randrange(1 << 30))).question
