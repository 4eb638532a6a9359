"""The ribbon shows who wrote what, by shape as well as by colour, to mouse, keyboard and screen reader."""

import pytest
from PySide6.QtCore import QEvent, QPoint, QRectF, Qt
from PySide6.QtGui import QColor, QHelpEvent, QImage, QPainter
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QToolTip

from baton_reasoning.app.toolkit.ribbon import Ribbon, RibbonLayout, Segment, paint_ribbon
from baton_reasoning.app.toolkit.theme import LIGHT
from baton_reasoning.core.thinking.events import Author

SMALL, LARGE, INSERTED = Author.SMALL, Author.LARGE, Author.INSERTED
THREE = [(SMALL, 50), (LARGE, 30), (INSERTED, 20)]


@pytest.fixture
def ribbon(qtbot):
    ribbon = Ribbon("Who wrote it", lambda index: f"by {THREE[index][0].value}")
    qtbot.addWidget(ribbon)
    ribbon.resize(206, 20)  # 200 pixels of pieces: two for each token of THREE
    ribbon.set_segments(THREE)
    return ribbon


def drawn(segments: list[Segment], width: int = 200, height: int = 20) -> QImage:
    image = QImage(width, height, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(QColor("white"))
    painter = QPainter(image)
    paint_ribbon(painter, QRectF(0, 0, width, height), RibbonLayout(segments), LIGHT)
    painter.end()
    return image


def ink_height(image: QImage, x: int) -> int:
    return sum(image.pixelColor(x, y).lightness() < 200 for y in range(image.height()))


def test_each_piece_is_as_wide_as_its_tokens():
    layout = RibbonLayout(THREE)
    assert [layout.place(index, 200) for index in range(3)] == [(0, 100), (100, 160), (160, 200)]


def test_colour_height_and_sign_tell_the_authors_apart():
    image = drawn(THREE)
    assert image.pixelColor(50, 10).name() == LIGHT.small
    assert image.pixelColor(110, 10).name() == LIGHT.large
    assert image.pixelColor(180, 10).name() == LIGHT.inserted_tint
    assert ink_height(image, 110) > ink_height(image, 50) + 4
    assert image.pixelColor(129, 10).name() == LIGHT.surface


def test_neighbours_are_parted_by_a_hairline():
    image = drawn([(SMALL, 1), (SMALL, 1)])
    assert image.pixelColor(99, 10).name() == "#ffffff"


def test_nothing_written_is_an_empty_track():
    assert drawn([]).pixelColor(100, 10).name() == LIGHT.panel
    assert RibbonLayout([(SMALL, 0)]).index_at(3, 200) == -1


@pytest.mark.parametrize(("x", "index"), [(3, 0), (102, 0), (103, 1), (203, -1), (202, 2), (1, -1)])
def test_the_piece_under_the_mouse_is_found(ribbon, x, index):
    assert ribbon.segment_at(QPoint(x, 10)) == index


def test_a_click_chooses_a_piece_and_tells_which(ribbon, qtbot):
    with qtbot.waitSignal(ribbon.segment_clicked) as told:
        QTest.mouseClick(ribbon, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(120, 10))
    assert told.args == [1]
    assert ribbon.selected == 1


def test_arrows_walk_and_enter_tells(ribbon, qtbot):
    steps = []
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Left, Qt.Key.Key_End, Qt.Key.Key_Right):
        QTest.keyClick(ribbon, key)
        steps.append(ribbon.selected)
    assert steps == [0, 1, 0, 2, 2]
    with qtbot.waitSignal(ribbon.segment_clicked) as told:
        QTest.keyClick(ribbon, Qt.Key.Key_Return)
    assert told.args == [2]


def test_enter_without_a_choice_tells_nothing(ribbon, qtbot):
    with qtbot.assertNotEmitted(ribbon.segment_clicked):
        QTest.keyClick(ribbon, Qt.Key.Key_Return)


def test_the_chosen_piece_wears_a_ring(ribbon):
    before = ribbon.grab().toImage()
    ribbon.select(1)
    assert ribbon.grab().toImage() != before


def test_it_grows_while_a_text_is_written_and_a_choice_that_is_gone_falls_away(ribbon):
    ribbon.set_segments([*THREE, (SMALL, 100)])
    assert ribbon.segment_at(QPoint(150, 10)) == 3
    ribbon.select(2)
    ribbon.set_segments(THREE[:1])
    assert ribbon.selected == -1


def hover(ribbon: Ribbon, x: int) -> str:
    """The tooltip at that place; empty if there is none."""
    at = QPoint(x, 10)
    QApplication.sendEvent(ribbon, QHelpEvent(QEvent.Type.ToolTip, at, ribbon.mapToGlobal(at)))
    return QToolTip.text() if QToolTip.isVisible() else ""


def test_hovering_says_who(ribbon):
    assert hover(ribbon, 120) == "by large"
    assert hover(ribbon, 20) == "by small"


def test_a_screen_reader_hears_the_shares(ribbon):
    assert ribbon.accessibleName() == "Who wrote it"
    assert ribbon.accessibleDescription() == "3 pieces; the large model wrote 38%."
    ribbon.select(1)
    assert "Piece 2: by large" in ribbon.accessibleDescription()
    ribbon.set_segments([])
    assert ribbon.accessibleDescription() == "Nothing written yet."
