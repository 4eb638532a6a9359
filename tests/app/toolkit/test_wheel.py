"""The wheel scrolls a form, and changes only the field that has the focus."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, QPointF
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractSpinBox, QApplication, QComboBox, QVBoxLayout, QWidget

from baton_reasoning.app.batch.preview import Preview
from baton_reasoning.app.toolkit.controls import combo_box, decimal_number, scrolling, whole_number
from baton_reasoning.app.toolkit.forms.form import SettingsForm
from baton_reasoning.core.settings import Settings

Field = QAbstractSpinBox | QComboBox


def turn_wheel(field: QWidget) -> None:
    """Turn the wheel one notch towards the person over the middle of `field`."""
    window = field.window()
    place = QPointF(field.mapTo(window, field.rect().center()))
    QTest.wheelEvent(window.windowHandle(), place, QPoint(0, -120))
    QApplication.processEvents()


def value(field: Field) -> str:
    return field.currentText() if isinstance(field, QComboBox) else field.text()


def fields_of(widget: QWidget) -> list[Field]:
    return [*widget.findChildren(QAbstractSpinBox), *widget.findChildren(QComboBox)]


@pytest.fixture
def page(qtbot):
    """A page of three fields, longer than its window."""
    content = QWidget()
    column = QVBoxLayout(content)
    choices = combo_box()
    choices.addItems(["a", "b", "c"])
    for field in (whole_number(-5, 5), decimal_number(-1, 1, 2), choices):
        column.addWidget(field)
    column.addSpacing(2000)
    area = scrolling(content)
    qtbot.addWidget(area)
    area.resize(300, 300)
    with qtbot.waitExposed(area):
        area.show()
    area.setFocus()
    assert area.verticalScrollBar().maximum()
    return area


def test_the_wheel_over_a_field_without_focus_scrolls_the_page(page):
    for field in fields_of(page):
        page.verticalScrollBar().setValue(0)
        page.ensureWidgetVisible(field)
        before, place = value(field), page.verticalScrollBar().value()
        turn_wheel(field)
        assert value(field) == before
        assert page.verticalScrollBar().value() > place


def test_the_wheel_changes_the_field_that_has_the_focus(page, qtbot):
    page.activateWindow()
    for field in fields_of(page):
        field.setFocus()
        qtbot.waitUntil(field.hasFocus)
        before = value(field)
        turn_wheel(field)
        assert value(field) != before


@pytest.mark.parametrize("make", [lambda: SettingsForm(Settings(), Settings()), Preview])
def test_no_form_of_the_program_is_changed_by_scrolling(make, qtbot):
    form = make()
    qtbot.addWidget(form)
    form.resize(1000, 900)  # all fields are in view
    with qtbot.waitExposed(form):
        form.show()
    form.setFocus()
    fields = fields_of(form)
    assert fields
    for field in fields:
        if not field.isVisible():
            continue
        if isinstance(field, QComboBox) and not field.count():
            field.addItems(["a", "b"])
        before = value(field)
        turn_wheel(field)
        assert value(field) == before
