"""Whatever is copied, the control that copies it says so for a moment, and a screen reader hears it."""

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QGuiApplication, QImage, QTextCursor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QMessageBox, QPushButton, QWidget

from baton_reasoning.app.inspector.panel import Tab
from baton_reasoning.app.toolkit import copying
from baton_reasoning.app.toolkit.chart_picture import ChartPicture
from baton_reasoning.app.toolkit.copying import COPIED, CopiedSign
from baton_reasoning.app.toolkit.tables import FigureTable
from baton_reasoning.core import charts
from baton_reasoning.core.table import Column, Table
from tests.app.conftest import ScriptedLoader, last_answer, press
from tests.fakes.scripted import ScriptedEngine

CODE = "x = 1"


@pytest.fixture
def heard(monkeypatch):
    """What a screen reader is told of copies."""
    heard: list[str] = []
    monkeypatch.setattr(copying, "announce", lambda _, text: heard.append(text))
    return heard


@pytest.fixture
def answered(answered_by):
    return answered_by(ScriptedLoader(ScriptedEngine(f"One step.\n\nDone.</think>\n\n```python\n{CODE}\n```")))


def sign_in(window):
    (sign,) = window.findChildren(CopiedSign)
    return sign


def confirmed_over(control, heard):
    """Whether the only sign lies over a control, and was read out."""
    sign = sign_in(control.window())
    middle = sign.mapTo(sign.window(), sign.rect().center())
    found = sign.isVisible() and sign.text() == COPIED and heard.pop() == COPIED and not heard
    return found and control.rect().contains(control.mapFrom(control.window(), middle))


def test_an_answer_a_step_code_and_a_command_are_copied_with_a_sign_over_what_was_pressed(answered, heard, qtbot):
    window, inspector = answered, answered.inspector
    answer, clipboard = last_answer(window), QGuiApplication.clipboard()
    icon = next(each for each in answer.findChildren(QWidget) if each.accessibleName() == COPY_ANSWER)
    icon.click()
    assert CODE in clipboard.text()
    assert confirmed_over(icon, heard)
    window.chat.step_through(1)
    press(inspector, "Copy")
    assert clipboard.text() == "One step."
    assert confirmed_over(named(inspector, "Copy"), heard)
    link = QTextCursor(answer.answer.document().find("Copy python"))
    sizes = [each.size() for each in (answer, answer.answer, inspector)]
    where = answer.answer.cursorRect(link).center() - QPoint(8, 0)
    QTest.mouseClick(answer.answer.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert clipboard.text() == CODE
    assert confirmed_over(answer.answer, heard)
    assert abs(sign_in(window).mapTo(window, QPoint()).y() - answer.answer.mapTo(window, where).y()) < 40
    assert [each.size() for each in (answer, answer.answer, inspector)] == sizes, "nothing moved"
    inspector.tabs.setCurrentIndex(Tab.RUN)
    named(inspector, "Copy command").click()
    assert clipboard.text() == inspector.run.command.toPlainText() != ""
    sign_in(window)._timer.timeout.emit()
    assert sign_in(window).isHidden()
    heard.clear()
    named(inspector, "Copy all").click()
    titles = [block.splitlines()[0] for block in clipboard.text().split("\n\n")]
    assert titles == ["Writing time", "● Small model", "◆ Large model", "Settings"]
    rows = [line.split("\t") for line in clipboard.text().splitlines() if "\t" in line]
    assert {"Time", "Tokens", "Runs on", "Policy"} <= {row[0] for row in rows}
    assert all(len(row) == 2 and row[1] for row in rows)
    assert confirmed_over(named(inspector, "Copy all"), heard)


def test_a_key_copies_with_the_same_sign_also_where_its_control_is_not_shown(answered, heard):
    commands = {command.title: command for command in answered.commands}
    answered.chat.step_through(1)
    answered.inspector.hide()
    for title, text in (("Copy the step", "One step."), ("Copy the answer", f"```python\n{CODE}\n```")):
        commands[title].act()
        assert QGuiApplication.clipboard().text() == text
        assert confirmed_over(answered, heard)


def test_cells_of_a_table_are_copied_with_the_sign_over_the_last_one(qtbot, heard):
    table = FigureTable()
    qtbot.addWidget(table)
    table.show_table(Table("Accuracy", (Column("policy", is_number=False),), (("Small only",), ("Large only",))))
    table.resize(600, 300)
    table.show()
    table.cells.selectAll()
    table.cells.setCurrentCell(1, 0)
    QTest.keyClick(table.cells, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "Large only"
    assert confirmed_over(table.cells, heard)


def test_a_sign_at_the_edge_stays_in_its_window(qtbot, heard):
    table = FigureTable()
    qtbot.addWidget(table)
    table.show()
    copying.copy_text("a", table, QRect(0, 0, 1, 1))
    assert table.rect().contains(sign_in(table).geometry())


COPY_ANSWER = "Copy the answer (Ctrl+Shift+C)"


def named(within, text):
    (button,) = [each for each in within.findChildren(QPushButton) if each.text() == text and each.isVisible()]
    return button


def test_a_chart_is_copied_and_saved_as_a_picture_and_why_it_cannot_be_saved_is_said(
    qtbot, heard, tmp_path, monkeypatch
):
    chart = ChartPicture("Accuracy")
    qtbot.addWidget(chart)
    chart.resize(300, 200)
    chart.show_drawing(lambda width: charts.svg(width, 100, [charts.text(8, 20, "% correct")], "Accuracy"), "")
    chart.show()
    chart.setFocus()
    qtbot.keyClick(chart, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().image().size() == chart.size() * 2
    assert heard == [COPIED]
    wanted: list[str] = []
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / wanted[-1]), ""))
    for name in ("chart.png", "chart.svg"):
        wanted.append(name)
        qtbot.keyClick(chart, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier)
    assert QImage(str(tmp_path / "chart.png")) == chart.picture()
    assert "% correct" in (tmp_path / "chart.svg").read_text()
    told: list[str] = []
    monkeypatch.setattr(QMessageBox, "warning", lambda *args: told.append(args[-1]))
    wanted.append("missing/chart.png")
    chart.save()
    assert f"{tmp_path / 'missing' / 'chart.png'} cannot be written: " in told[0]
    assert told[0].endswith("Choose another place.")
