"""The big numbers over the table: one arm at a glance."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.theme import Role, set_role
from app.widgets.controls import label
from app.widgets.elided import ElidedLabel
from core.batch.report import ArmReport

_SHARE = 1
"""The place of the large share."""


class Figures(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        self._figures: list[tuple[QLabel, QLabel]] = []
        for place in range(5):
            card = QFrame()
            set_role(card, Role.CARD)
            inside = QVBoxLayout(card)
            inside.setContentsMargins(12, 8, 12, 10)
            inside.setSpacing(2)
            figure, words = (
                label("–", Role.LARGE_FIGURE if place == _SHARE else Role.FIGURE),
                ElidedLabel("", Role.MUTED),
            )
            inside.addWidget(figure)
            inside.addWidget(words)
            row.addWidget(card, 1)
            self._figures.append((figure, words))
        self.show_arm(None)

    @property
    def words(self) -> str:
        """Everything shown, as one text."""
        return "; ".join(f"{figure.text()} {words.text()}" for figure, words in self._figures)

    def show_arm(self, arm: ArmReport | None) -> None:
        if arm is None or not arm.answers:
            told = [
                ("–", "correct"),
                ("–", "written by ◆ large"),
                ("–", "tokens per answer"),
                ("–", "tok/s"),
                ("–", "unscored"),
            ]
        else:
            accuracy = arm.accuracy
            share = f"{100 * accuracy.value:.1f}%" if accuracy else "–"
            low, high = (100 * end for end in accuracy.interval) if accuracy else (0, 0)
            told = [
                (share, f"correct ({low:.1f}–{high:.1f}) · {arm.name}" if accuracy else arm.name),
                (f"{100 * arm.large_share:.1f}%", "written by ◆ large"),
                (f"{arm.tokens_per_answer:,.0f}", "tokens per answer"),
                (f"{arm.tokens_per_second:,.1f}", "tok/s per problem"),
                (f"{arm.unscored:,}", f"unscored · {arm.failed:,} errors"),
            ]
        for (figure, words), (number, meaning) in zip(self._figures, told, strict=True):
            figure.setText(number)
            words.setText(meaning)
