"""Which rows of the results are shown: by how they went, and by words of their problems."""

from __future__ import annotations

from functools import partial

from baton_reasoning.app.batch.result_table import ResultTable, RowFilter
from baton_reasoning.app.toolkit.controls import SwitchButton, line_edit
from baton_reasoning.app.toolkit.layout import FlowRow
from baton_reasoning.app.toolkit.theme import Role, current_theme, set_role
from baton_reasoning.core.text import one_line

LONGEST_TITLE = 24
"""Characters of a policy on a button."""
WIDTH = 190
"""Pixels of the field at the usual text size."""


class RowFilters(FlowRow):
    def __init__(self, model: ResultTable) -> None:
        self._model = model
        self.buttons = {each: SwitchButton(each.value) for each in RowFilter}
        for wanted, press in self.buttons.items():
            set_role(press, Role.FLAT)
            press.setAutoExclusive(True)
            press.setChecked(wanted is RowFilter.ALL)
            press.clicked.connect(partial(model.choose, wanted))
        self.search = line_edit("Find problems by their words", "Find problems")
        super().__init__(*self.buttons.values(), self.search, gap=4)
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(model.search)
        current_theme().changed.connect(self._fit)
        self._fit()

    def reset(self) -> None:
        """Show every row."""
        self.buttons[RowFilter.ALL].click()
        self.search.clear()

    def name(self) -> None:
        """Say how many rows each button shows."""
        main = self._model.main
        for each, rows in ((RowFilter.WRONG, self._model.wrong), (RowFilter.DIFFERENT, self._model.different)):
            text = each.value.format(one_line(main, LONGEST_TITLE))
            self.buttons[each].setText(f"{text} ({len(rows):,})")
        self.buttons[RowFilter.WRONG].setToolTip(f"Problems that “{main}” did not get right")

    def _fit(self) -> None:
        self.search.setFixedWidth(current_theme().scaled(WIDTH))
