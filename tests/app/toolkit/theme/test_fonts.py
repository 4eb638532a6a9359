"""Inter comes with the program, with its licence, and text is set in lines that are good to read."""

from collections.abc import Callable

import pytest
from PySide6.QtGui import QFont, QFontInfo, QFontMetricsF
from PySide6.QtWidgets import QApplication

from baton_reasoning.app.toolkit.theme import line_width, reading_font
from baton_reasoning.app.toolkit.theme.fonts import FONT_FOLDER
from baton_reasoning.app.window.main_window import MainWindow
from tests.app.conftest import last_answer

PROSE = "It was a bright cold day in April, and the clocks were striking thirteen as he slipped in from the wind. "


@pytest.mark.parametrize("weight", [QFont.Weight.Normal, QFont.Weight.DemiBold, QFont.Weight.Bold])
def test_the_window_is_set_in_inter_whatever_is_installed(qapp: QApplication, weight: QFont.Weight) -> None:
    font = reading_font()
    font.setWeight(weight)
    found = QFontInfo(font)
    assert (found.family(), found.weight()) == ("Inter", weight)


def test_the_licence_lies_beside_the_font() -> None:
    assert "SIL OPEN FONT LICENSE Version 1.1" in (FONT_FOLDER / "OFL.txt").read_text("utf-8")


@pytest.mark.parametrize("text_size", [1.0, 1.5])
def test_a_line_has_75_to_80_characters_at_any_text_size(qapp: QApplication, text_size: float) -> None:
    font = reading_font(text_size)
    per_character = QFontMetricsF(font).horizontalAdvance(PROSE) / len(PROSE)
    assert 75 <= line_width(font) / per_character <= 80


def test_steps_and_answer_of_a_wide_window_keep_to_that_measure(
    ask: Callable[[str], MainWindow], qapp: QApplication
) -> None:
    window = ask("What is two and two?")
    answer = last_answer(window)
    per_character = QFontMetricsF(qapp.font()).horizontalAdvance(PROSE) / len(PROSE)
    assert answer.answer.width() / per_character <= 81
