"""Inter comes with the program, with its licence, and text is set in lines that are good to read."""

import pytest
from PySide6.QtGui import QFont, QFontDatabase, QFontInfo, QFontMetricsF
from PySide6.QtWidgets import QLabel

from baton_reasoning.app.chat.conversation_view import column_width
from baton_reasoning.app.toolkit.controls import IconButton
from baton_reasoning.app.toolkit.theme import Role, current_theme, line_width, reading_font, set_role
from baton_reasoning.app.toolkit.theme.fonts import FONT_FOLDER
from baton_reasoning.core.settings import ColourScheme
from tests.app.conftest import last_answer

PROSE = "It was a bright cold day in April, and the clocks were striking thirteen as he slipped in from the wind. "


@pytest.mark.parametrize("weight", [QFont.Weight.Normal, QFont.Weight.DemiBold, QFont.Weight.Bold])
def test_the_window_is_set_in_inter_whatever_is_installed(qapp, weight):
    font = reading_font()
    font.setWeight(weight)
    found = QFontInfo(font)
    assert (found.family(), found.weight()) == ("Inter", weight)


@pytest.mark.parametrize(("system", "pixels"), [(6.0, 13), (15.0, 20)])
def test_text_is_never_smaller_than_13_pixels(qapp, monkeypatch, system, pixels):
    monkeypatch.setattr(QFontDatabase, "systemFont", lambda _: QFont("Inter", round(system)))
    assert QFontInfo(reading_font()).pixelSize() == pixels
    assert QFontInfo(reading_font(2.0)).pixelSize() == 2 * pixels


def test_there_are_three_sizes_of_type(qapp, qtbot):
    current_theme().use(ColourScheme.LIGHT)
    sizes = set()
    for role in Role:
        label = QLabel("Text")
        qtbot.addWidget(label)
        set_role(label, role)
        label.ensurePolished()
        sizes.add(QFontInfo(label.font()).pixelSize())
    assert sizes == {13, 17, 24}


def test_icons_grow_with_the_text(qapp, qtbot):
    current_theme().use(ColourScheme.LIGHT)
    button = IconButton("copy", "Copy", bool)
    qtbot.addWidget(button)
    before = button.iconSize().width()
    current_theme().use(ColourScheme.LIGHT, 1.5)
    assert button.iconSize().width() == 1.5 * before
    current_theme().use(ColourScheme.LIGHT)


def test_the_licence_lies_beside_the_font():
    assert "SIL OPEN FONT LICENSE Version 1.1" in (FONT_FOLDER / "OFL.txt").read_text("utf-8")


@pytest.mark.parametrize("text_size", [1.0, 1.5])
def test_a_line_has_93_to_100_characters_at_any_text_size(qapp, text_size):
    font = reading_font(text_size)
    per_character = QFontMetricsF(font).horizontalAdvance(PROSE) / len(PROSE)
    assert 93 <= line_width(font) / per_character <= 100


def test_steps_and_answer_of_a_wide_window_keep_to_the_column(ask):
    window = ask("What is two and two?")
    window.resize(2 * column_width(), 800)
    assert last_answer(window).answer.width() <= column_width()
