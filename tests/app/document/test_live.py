"""A text grows as plain letters, however long its lines are."""

import pytest
from PySide6.QtGui import QTextDocument
from pytestqt.qtbot import QtBot

from baton_reasoning.app.document import RichText, as_plain_text
from baton_reasoning.app.document.markdown import LONGEST_BLOCK


def lines_of(document: QTextDocument) -> int:
    """Lines on the screen."""
    document.documentLayout().documentSize()  # lays out all of it
    blocks = (document.findBlockByNumber(number) for number in range(document.blockCount()))
    return sum(block.layout().lineCount() for block in blocks)


@pytest.mark.parametrize("letters", ["x", "two words ", "😀"])
def test_a_long_line_is_laid_out_a_block_at_a_time_and_nothing_moves(qtbot: QtBot, letters: str) -> None:
    text = RichText()
    qtbot.addWidget(text)
    text.resize(400, 300)
    text.show()
    line = (letters * 20_000)[:20_000]
    longest = 0
    for start in range(0, len(line), 100):
        text.append_live(line[start : start + 100])
        longest = max(longest, text.document().lastBlock().length())
    assert longest < 3 * LONGEST_BLOCK, "Qt lays out all of the last block for each letter"
    assert text.document().blockCount() > 5
    assert as_plain_text(text.document()) == line.strip()
    lines = lines_of(text.document())
    text.set_markdown(text.markdown)
    assert text.document().blockCount() == 1
    assert lines_of(text.document()) == lines


def test_lines_after_a_long_one_are_lines_of_their_own(qtbot: QtBot) -> None:
    text = RichText()
    qtbot.addWidget(text)
    text.resize(400, 300)
    text.show()
    text.append_live("x" * 5_000 + "\nnext")
    assert as_plain_text(text.document()) == "x" * 5_000 + "\n\nnext"


def test_an_item_of_a_list_has_its_bullet_while_it_is_written(qtbot: QtBot) -> None:
    text = RichText()
    qtbot.addWidget(text)
    for token in ("So:", "\n", "*", " one", "\n  - ", "two", "\n5 - 3", "\n**bold**"):
        text.append_live(token)
    assert text.toPlainText() == "So:\n• one\n  • two\n5 - 3\n**bold**"
    assert text.markdown == "So:\n* one\n  - two\n5 - 3\n**bold**"


@pytest.mark.slow
def test_a_minus_where_a_long_line_wraps_is_no_bullet(qtbot: QtBot) -> None:
    text = RichText()
    qtbot.addWidget(text)
    text.resize(400, 300)
    text.show()
    for _ in range(2_000):
        text.append_live("- 1 ")
    assert text.document().blockCount() > 1
    assert text.toPlainText().count("•") == 1, "the line itself begins with one"
