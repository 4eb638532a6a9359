"""Labels show what models and files wrote as it is; fields, tables and ribbons serve mouse, keys and screen readers."""

from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QAccessible, QColor, QGuiApplication, QHelpEvent, QImage, QPainter, QTextDocumentFragment
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractSpinBox, QApplication, QCheckBox, QComboBox, QPushButton, QToolTip

from baton_reasoning.app.batch.preview import Preview
from baton_reasoning.app.toolkit.controls import (
    Button,
    ElidedButton,
    ElidedCheckBox,
    ElidedLabel,
    SwitchButton,
    combo_box,
    decimal_number,
    label,
    plain_tip,
    scrolling,
    whole_number,
)
from baton_reasoning.app.toolkit.forms import SettingsForm
from baton_reasoning.app.toolkit.layout import holder, vbox
from baton_reasoning.app.toolkit.ribbon import Ribbon, RibbonLayout, paint_ribbon
from baton_reasoning.app.toolkit.tables import FigureTable
from baton_reasoning.app.toolkit.theme import LIGHT
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.settings import Settings
from baton_reasoning.core.table import Column, Table

HOSTILE = "<img src='http://example.org/x.png'>\n  <b>a</b> & b"


def test_markup_is_shown_as_it_was_written(qapp):
    elided = ElidedLabel(HOSTILE)
    assert label(HOSTILE).textFormat() is elided.textFormat() is Qt.TextFormat.PlainText
    assert elided.text() == HOSTILE
    assert elided.toolTip() == plain_tip(HOSTILE)
    assert QTextDocumentFragment.fromHtml(plain_tip(HOSTILE)).toPlainText() == HOSTILE
    assert plain_tip("Two models\na & b") == "Two models\na & b"


@pytest.mark.parametrize("make", [Button, ElidedButton, SwitchButton, ElidedCheckBox])
def test_an_ampersand_in_the_text_of_a_button_marks_no_key(qtbot, make):
    made, plain = make("R&D"), (QCheckBox if make is ElidedCheckBox else QPushButton)("R&&D")
    assert made.text() == "R&D"
    assert QAccessible.queryAccessibleInterface(made).text(QAccessible.Text.Name) == "R&D"
    for control in (made, plain):
        qtbot.addWidget(control)
        control.resize(120, 30)
    assert made.grab().toImage() == plain.grab().toImage()
    made.setText("Q&A && R&D")
    assert made.text() == "Q&A && R&D"


# The wheel scrolls a form, and changes only the field that has the focus.


def turn_wheel(field):
    """Turn the wheel one notch towards the person over the middle of `field`."""
    window = field.window()
    place = QPointF(field.mapTo(window, field.rect().center()))
    QTest.wheelEvent(window.windowHandle(), place, QPoint(0, -120))
    QApplication.processEvents()


def value(field):
    return field.currentText() if isinstance(field, QComboBox) else field.text()


def exposed(widget, qtbot, width, height):
    qtbot.addWidget(widget)
    widget.resize(width, height)
    with qtbot.waitExposed(widget):
        widget.show()
    widget.setFocus()
    return widget


def test_the_wheel_scrolls_the_page_over_a_field_without_focus_and_changes_one_with_it(qtbot):
    choices = combo_box()
    choices.addItems(["a", "b", "c"])
    fields = whole_number(-5, 5), decimal_number(-1, 1, 2), choices
    page = exposed(scrolling(holder(vbox(*fields, 2000))), qtbot, 300, 300)
    assert not page.focusPolicy() & Qt.FocusPolicy.TabFocus, "Tab passes over an area that only scrolls"
    for field in fields:
        page.verticalScrollBar().setValue(0)
        before = value(field)
        turn_wheel(field)
        assert value(field) == before
        assert page.verticalScrollBar().value() > 0
    page.activateWindow()
    page.verticalScrollBar().setValue(0)
    for field in fields:
        field.setFocus()
        qtbot.waitUntil(field.hasFocus)
        before = value(field)
        turn_wheel(field)
        assert value(field) != before


def preview():
    session: Any = None  # which a form that is only scrolled does not ask
    return Preview(session)


@pytest.mark.parametrize("make", [lambda: SettingsForm(Settings(), Settings()), preview])
def test_no_form_of_the_program_is_changed_by_scrolling(make, qtbot):
    form = exposed(make(), qtbot, 1000, 900)  # all fields are in view
    found = [*form.findChildren(QAbstractSpinBox), *form.findChildren(QComboBox)]
    fields = [field for field in found if field.isVisible()]
    assert fields
    for field in fields:
        if isinstance(field, QComboBox) and not field.count():
            field.addItems(["a", "b"])
        before = value(field)
        turn_wheel(field)
        assert value(field) == before


# A table of figures.

COLUMNS = (Column("policy", is_number=False), Column("correct (%)"))
TABLE = Table("Accuracy", COLUMNS, (("Small only", "50.0"), ("<b>Large</b>", "100.0")), ("p: an exact test.",))


def test_a_table_of_figures_is_read_selected_and_copied(qtbot):
    table = FigureTable()
    qtbot.addWidget(table)
    table.show_table(TABLE)
    cells = table.cells
    assert (table.title.text(), cells.accessibleName(), table.notes.text()) == ("Accuracy", "Accuracy", *TABLE.notes)
    heads = [cells.model().headerData(column, Qt.Orientation.Horizontal) for column in range(2)]
    assert heads == ["policy", "correct (%)"]
    assert cells.texts() == [list(row) for row in TABLE.rows]
    assert cells.model().index(0, 1).data(Qt.ItemDataRole.TextAlignmentRole) & Qt.AlignmentFlag.AlignRight
    table.resize(1200, 300)
    table.show()
    assert cells.columnWidth(0) < 300, "figures stand beside their names however wide the table is"
    assert cells.horizontalHeader().length() < 600
    cells.selectAll()
    table.show_table(TABLE._replace())
    QTest.keyClick(cells, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "Small only\t50.0\n<b>Large</b>\t100.0", "it stayed selected"
    table.show_table(TABLE._replace(rows=TABLE.rows[:1], notes=()))
    assert cells.rowCount() == 1
    assert table.notes.isHidden()


# The ribbon shows who wrote what, by shape as well as by colour.

SMALL, LARGE, INSERTED = Author.SMALL, Author.LARGE, Author.INSERTED
THREE = [(SMALL, 50), (LARGE, 30), (INSERTED, 20)]


@pytest.fixture
def ribbon(qtbot):
    ribbon = Ribbon("Who wrote it", lambda index: f"by {THREE[index][0].value}")
    qtbot.addWidget(ribbon)
    ribbon.resize(206, 20)  # 200 pixels of pieces: two for each token of THREE
    ribbon.set_segments(THREE)
    return ribbon


def drawn(segments):
    image = QImage(200, 20, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(QColor("white"))
    painter = QPainter(image)
    paint_ribbon(painter, QRectF(0, 0, 200, 20), RibbonLayout(segments), LIGHT)
    painter.end()
    return image


@pytest.mark.scaled
@given(st.lists(st.integers(0, 50), max_size=20), st.integers(1, 500))
def test_pieces_are_as_wide_as_their_tokens_and_found_under_the_mouse(tokens, width):
    layout = RibbonLayout([(SMALL, each) for each in tokens])
    total, ends = sum(tokens), [0, *accumulate(tokens)]
    for index in range(len(tokens)):
        left, right = layout.place(index, width)
        assert (left * total, right * total) == pytest.approx((ends[index] * width, ends[index + 1] * width))
        if tokens[index]:
            assert layout.index_at((left + right) / 2, width) == index
    assert layout.index_at(-1, width) == layout.index_at(width, width) == -1
    assert total or layout.index_at(0, width) == -1


def test_colour_height_and_sign_tell_the_authors_apart():
    def ink_height(x):
        return sum(image.pixelColor(x, y).lightness() < 200 for y in range(image.height()))

    image = drawn(THREE)
    inks = {50: LIGHT.small, 110: LIGHT.large, 180: LIGHT.inserted_tint, 129: LIGHT.surface}
    assert {x: image.pixelColor(x, 10).name() for x in inks} == inks
    assert ink_height(110) > ink_height(50) + 4
    assert drawn([(SMALL, 1), (SMALL, 1)]).pixelColor(99, 10).name() == "#ffffff", "a hairline parts neighbours"
    assert drawn([]).pixelColor(100, 10).name() == LIGHT.panel, "nothing written is an empty track"


def test_mouse_and_keys_choose_a_piece_while_the_text_grows_until_that_piece_is_gone(ribbon, qtbot):
    assert [ribbon.part_at(QPoint(x, 10)) for x in (1, 3, 102, 103, 202, 203)] == [-1, 0, 0, 1, 2, -1]
    with qtbot.assertNotEmitted(ribbon.chosen):
        QTest.keyClick(ribbon, Qt.Key.Key_Return)
    unchosen = ribbon.grab().toImage()
    with qtbot.waitSignal(ribbon.chosen) as told:
        QTest.mouseClick(ribbon, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(120, 10))
    assert told.args == [ribbon.selected] == [1]
    assert ribbon.grab().toImage() != unchosen, "it wears a ring"
    ribbon.select(-1)
    steps = []
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Left, Qt.Key.Key_Left, Qt.Key.Key_End):
        QTest.keyClick(ribbon, key)
        steps.append(ribbon.selected)
    QTest.keyClick(ribbon, Qt.Key.Key_Right)
    assert [*steps, ribbon.selected] == [0, 1, 0, 0, 2, 2]
    with qtbot.waitSignal(ribbon.chosen) as told:
        QTest.keyClick(ribbon, Qt.Key.Key_Return)
    assert told.args == [2]
    QTest.keyClick(ribbon, Qt.Key.Key_Home)
    assert ribbon.selected == 0
    ribbon.set_segments([*THREE, (SMALL, 100)])
    assert ribbon.part_at(QPoint(150, 10)) == 3
    ribbon.select(2)
    ribbon.set_segments(THREE[:1])
    assert ribbon.selected == -1


def test_a_tip_and_a_screen_reader_say_who_wrote_it(ribbon):
    for x, told in ((120, "by large"), (20, "by small")):
        at = QPoint(x, 10)
        QApplication.sendEvent(ribbon, QHelpEvent(QEvent.Type.ToolTip, at, ribbon.mapToGlobal(at)))
        assert (QToolTip.isVisible(), QToolTip.text()) == (True, told)
    assert ribbon.accessibleName() == "Who wrote it"
    assert ribbon.accessibleDescription() == "3 pieces; the large model wrote 38%."
    ribbon.select(1)
    assert "Piece 2: by large" in ribbon.accessibleDescription()
    ribbon.set_segments([])
    assert ribbon.accessibleDescription() == "Nothing written yet."
