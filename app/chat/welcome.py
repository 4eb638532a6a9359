"""What stands where no conversation stands yet."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.theme import SIGN, Role
from app.widgets.controls import button, label
from core.engines.body import Author

EXAMPLES = (
    "Ed has 2 dogs, 3 cats and twice as many fish as cats and dogs combined. How many pets does Ed have in total?",
    "Convert the point $(0, 3)$ in rectangular coordinates to polar coordinates.",
    "How many positive whole-number divisors does 196 have?",
)


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
        self._add(column, label("A small model thinks. A large one writes the hard steps.", Role.TITLE))
        row = QHBoxLayout()
        row.setSpacing(18)
        row.addStretch()
        for author, role, words in LEGEND:
            row.addWidget(label(f"{SIGN[author]} {words}", role))
        row.addStretch()
        column.addLayout(row)
        column.addSpacing(14)
        for example in EXAMPLES:
            words = example if len(example) < 78 else example[:76].rsplit(" ", 1)[0] + " …"
            choose = button(words.replace("$", ""), lambda text=example: self.example_chosen.emit(text), tip=example)  # type: ignore[misc]
            choose.setAccessibleName(f"Ask: {example}")
            self._add(column, choose)
        column.addStretch(3)

    def _add(self, column: QVBoxLayout, widget: QWidget) -> None:
        column.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
