"""A list of facts: a name in grey, a value beside it."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from baton_reasoning.app.toolkit.controls import label
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.words.labels import Fact

NAME_WIDTH = 104


class Facts(QWidget):
    def __init__(self, meanings: Mapping[str, str] | None = None) -> None:
        """`meanings`: tool tips of facts, by name."""
        super().__init__()
        self._meanings = meanings or {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(5)
        self._grid.setColumnMinimumWidth(0, NAME_WIDTH)
        self._grid.setColumnStretch(1, 1)
        self._rows: list[tuple[QLabel, QLabel]] = []

    def show_facts(self, facts: list[Fact]) -> None:
        """Show these facts; empty values are left out. Labels are reused: this is called many times a second."""
        facts = [fact for fact in facts if fact[1]]
        while len(self._rows) < len(facts):
            name, value = label("", Role.MUTED, wrap=True), label(wrap=True, selectable=True)
            for column, widget in enumerate((name, value)):
                self._grid.addWidget(widget, len(self._rows), column, Qt.AlignmentFlag.AlignTop)
            self._rows.append((name, value))
        for (name, value), fact in zip(self._rows, facts, strict=False):
            if name.text() != fact[0]:
                name.setText(fact[0])
                name.setToolTip(self._meanings.get(fact[0], ""))
                value.setToolTip(name.toolTip())
            if value.text() != fact[1]:
                value.setText(fact[1])
                value.setAccessibleName(f"{fact[0]}: {fact[1]}")
        for index, row in enumerate(self._rows):
            for widget in row:
                widget.setVisible(index < len(facts))
