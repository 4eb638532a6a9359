"""The field in which a step is edited."""

from PySide6.QtGui import QFont
from PySide6.QtWidgets import QPushButton, QWidget

from baton_reasoning.app.chat.step_editor import StepEditor
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.trace import Piece


def test_a_step_that_is_left_as_it_is_comes_back_to_the_letter(qtbot):
    parent = QWidget()
    qtbot.addWidget(parent)
    text = "So 12\u00a0km = 12\u202f000\u00a0m.\n\n"
    piece = Piece(Author.SMALL, 0, 0, 0.0)
    piece.insert(text)
    editor = StepEditor(piece, QFont(), parent)
    go_on = next(each for each in editor.findChildren(QPushButton) if each.text() == "Go on from here")
    with qtbot.waitSignal(editor.accepted) as accepted:
        go_on.click()
    assert accepted.args == [text]
