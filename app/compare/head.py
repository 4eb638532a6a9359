"""The head of a column: which arm it is, what it answered, what that cost, and who wrote how much."""

from __future__ import annotations

from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QWidget

from app.chat.segments import RibbonFollower
from app.chat.typesetting import Typesetter
from app.compare.wording import Figure, title_of
from app.rendering import RichText
from app.theme import SIGN, Role, set_role
from app.widgets.controls import label
from app.widgets.ribbon import Ribbon
from core.engines.body import Author
from core.run import RunSettings
from core.thinking.policies import POLICIES
from core.thinking.trace import Trace

FIGURES_IN_A_ROW = 2
WIDEST_ANSWER, LEAST_ANSWER = 210, 26
"""Pixels in width and height."""


class ColumnHead:
    """Four widgets, one below the other. They are laid in a grid, so that those of all columns stand level."""

    def __init__(self, settings: RunSettings, typesetter: Typesetter) -> None:
        self._typesetter = typesetter
        self.title = title_of(settings)
        self.state = label("", Role.MUTED)
        self.state.setWordWrap(True)
        self.answer = RichText()
        self.answer.setAccessibleName(f"Answer of {self.title}")
        self.standing = label("", Role.HEADING)
        self.written = {Author.SMALL: label("", Role.SMALL), Author.LARGE: label("", Role.LARGE)}
        self.ribbon = Ribbon()
        self.ribbon.setAccessibleName(f"Who wrote it, {self.title}")
        self.segments = RibbonFollower(self.ribbon)
        self._figures: list[tuple[QLabel, QLabel, QLabel]] = []
        self._grid = QGridLayout()
        self._shown_answer = ""
        self.parts = (self._name_row(settings), self._answer_row(), self.ribbon, self._figures_block())

    def follow(self, trace: Trace) -> None:
        """Ribbon and shares, which grow with every token."""
        self.segments.follow(trace)
        for author, told in self.written.items():
            kept = trace.totals[author].kept
            words = f"{SIGN[author]} {kept:,} · {kept / trace.tokens:.0%}" if kept else ""
            if words != told.text():
                told.setText(words)
                told.setVisible(bool(words))
                told.setAccessibleName(f"{kept:,} tokens by the {author.value} model")

    def show_answer(self, boxed: str | None, answer: str | None) -> None:
        """The final answer, as a formula if it was boxed."""
        self._shown_answer = f"\\(\\boxed{{{boxed}}}\\)" if boxed else (answer or "")
        self._typesetter.prepare(self._shown_answer, self.answer.formula_size, self._set_answer, self.answer)

    def show_state(self, words: str, failed: bool) -> None:
        """What is going on, or how it ended, if that needs a word."""
        if words == self.state.text():
            return
        self.state.setText(words)
        self.state.setVisible(bool(words))
        set_role(self.state, Role.DANGER if failed else Role.MUTED)

    def show_standing(self, words: str) -> None:
        if words != self.standing.text():
            self.standing.setText(words)
            self.standing.setAccessibleName(f"{self.title}: {words}")
            roles = {"✓": Role.SUCCESS, "✗": Role.DANGER}
            set_role(self.standing, roles.get(words[:1], Role.HEADING))

    def show_figures(self, figures: list[Figure]) -> None:
        while len(self._figures) < len(figures):
            self._add_figure()
        for index, (name, value, difference) in enumerate(self._figures):
            figure = figures[index] if index < len(figures) else Figure("", "")
            for widget, words in ((name, figure.name), (value, figure.value), (difference, figure.difference)):
                if widget.text() != words:
                    widget.setText(words)
            value.setAccessibleName(f"{figure.name}: {figure.value} {figure.difference}".strip())

    def _set_answer(self) -> None:
        """As wide as it needs to be, so that the verdict stands beside it."""
        self.answer.set_markdown(self._shown_answer)
        self.answer.fit_width(WIDEST_ANSWER)
        self.answer.setVisible(bool(self._shown_answer))

    def _name_row(self, settings: RunSettings) -> QWidget:
        row, inside = _row()
        kind = POLICIES.get(settings.policy)
        for author, needed in ((Author.SMALL, kind and kind.needs_small), (Author.LARGE, kind and kind.needs_large)):
            if needed:
                inside.addWidget(label(SIGN[author], Role.SMALL if author is Author.SMALL else Role.LARGE))
        name = label(self.title, Role.HEADING)
        name.setWordWrap(True)
        inside.addWidget(name, 1)
        inside.addWidget(label(f"seed {settings.seed}", Role.MUTED))
        return row

    def _answer_row(self) -> QWidget:
        row, inside = _row()
        row.setMinimumHeight(LEAST_ANSWER)
        self.answer.hide()
        inside.addWidget(self.answer)
        self.standing.setWordWrap(True)
        inside.addWidget(self.standing, 1)
        return row

    def _figures_block(self) -> QWidget:
        block = QWidget()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(3)
        for side in range(FIGURES_IN_A_ROW):
            self._grid.setColumnStretch(4 * side + 3, 1)
        shares, inside = _row()
        shares.setMinimumHeight(shares.fontMetrics().height())
        for told in self.written.values():
            told.hide()
            inside.addWidget(told)
        inside.addStretch(1)
        self._grid.addWidget(shares, 0, 0, 1, 4 * FIGURES_IN_A_ROW)
        self._grid.addWidget(self.state, 3, 0, 1, 4 * FIGURES_IN_A_ROW)
        block.setLayout(self._grid)
        return block

    def _add_figure(self) -> None:
        place = len(self._figures)
        row, column = 1 + place // FIGURES_IN_A_ROW, 4 * (place % FIGURES_IN_A_ROW)
        made = (label("", Role.MUTED), label(), label("", Role.HEADING))
        for offset, widget in enumerate(made):
            self._grid.addWidget(widget, row, column + offset)
        self._figures.append(made)


def _row() -> tuple[QWidget, QHBoxLayout]:
    row = QWidget()
    inside = QHBoxLayout(row)
    inside.setContentsMargins(0, 0, 0, 0)
    inside.setSpacing(7)
    return row, inside
