"""A table of figures can be read by screen readers, selected and copied."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from baton_reasoning.app.toolkit.tables import FigureTable
from baton_reasoning.core.table import Column, Table

COLUMNS = (Column("policy", is_number=False), Column("correct (%)"))
TABLE = Table("Accuracy", COLUMNS, (("Small only", "50.0"), ("<b>Large</b>", "100.0")), ("p: an exact test.",))


def shown(qtbot: QtBot) -> FigureTable:
    widget = FigureTable()
    qtbot.addWidget(widget)
    widget.show_table(TABLE)
    return widget


def test_it_shows_title_headings_cells_and_notes(qtbot):
    widget = shown(qtbot)
    cells = widget.cells
    assert (widget.title.text(), cells.accessibleName(), widget.notes.text()) == (
        "Accuracy",
        "Accuracy",
        TABLE.notes[0],
    )
    heads = [cells.horizontalHeaderItem(column) for column in range(2)]
    assert [head.text() for head in heads if head] == ["policy", "correct (%)"]
    items = [[cells.item(row, column) for column in range(2)] for row in range(2)]
    assert [tuple(item.text() for item in row if item) for row in items] == [*TABLE.rows]
    number = items[0][1]
    assert number
    assert number.textAlignment() & Qt.AlignmentFlag.AlignRight
    widget.show_table(TABLE._replace(rows=TABLE.rows[:1], notes=()))
    assert cells.rowCount() == 1
    assert widget.notes.isHidden()


def test_figures_stand_beside_their_names_however_wide_the_table_is(qtbot):
    widget = shown(qtbot)
    widget.resize(1200, 300)
    widget.show()
    assert widget.cells.columnWidth(0) < 300
    assert widget.cells.horizontalHeader().length() < 600


def test_selected_cells_are_copied_and_stay_selected_when_nothing_changes(qtbot):
    widget = shown(qtbot)
    widget.cells.selectAll()
    widget.show_table(TABLE._replace())
    QTest.keyClick(widget.cells, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "Small only\t50.0\n<b>Large</b>\t100.0"
