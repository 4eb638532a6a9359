"""A step grows as plain letters and is set when it closes."""

from PySide6.QtGui import QTextDocument

from app.shared.rendering import LiveText, TextStyle, as_markdown
from app.shared.rendering.formula_object import OBJECT_CHARACTER


def test_a_growing_step_shows_its_letters_as_they_come(document: QTextDocument, style: TextStyle) -> None:
    live = LiveText(document, style)
    live.append("so $x")
    live.append("^2$ **is")
    assert document.toPlainText() == "so $x^2$ **is"


def test_a_closed_step_is_set(document: QTextDocument, style: TextStyle) -> None:
    live = LiveText(document, style)
    live.append("so $x^2$ **is**")
    live.close()
    assert document.toPlainText() == f"so {OBJECT_CHARACTER} is"


def test_earlier_steps_stay_as_they_are(document: QTextDocument, style: TextStyle) -> None:
    for text in ("one $x$", "- two\n- three", "four"):
        live = LiveText(document, style)
        live.append(text)
        live.close()
    assert as_markdown(document) == "one $x$\n\n- two\n- three\n\nfour"
