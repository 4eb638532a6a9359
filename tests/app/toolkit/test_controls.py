"""What models and files wrote is shown as it is, never as HTML."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QTextDocumentFragment
from PySide6.QtWidgets import QWidget

from baton_reasoning.app.toolkit.controls import ElidedLabel, label, plain_tip, scrolling

HOSTILE = "<img src='http://example.org/x.png'>\n  <b>a</b> & b"


def test_a_tool_tip_shows_markup_as_it_was_written():
    assert QTextDocumentFragment.fromHtml(plain_tip(HOSTILE)).toPlainText() == HOSTILE


@pytest.mark.parametrize("text", ["", "a & b", "Two models\nand a policy"])
def test_a_tool_tip_without_markup_stays_as_it_is(text):
    assert plain_tip(text) == text


def test_labels_show_plain_text_and_so_do_their_tool_tips(qapp):
    elided = ElidedLabel(HOSTILE)
    assert label(HOSTILE).textFormat() is elided.textFormat() is Qt.TextFormat.PlainText
    assert elided.text() == HOSTILE
    assert QTextDocumentFragment.fromHtml(elided.toolTip()).toPlainText() == HOSTILE


def test_tab_passes_over_an_area_that_only_scrolls(qapp):
    area = scrolling(QWidget())
    assert not area.focusPolicy() & Qt.FocusPolicy.TabFocus
    area.deleteLater()
