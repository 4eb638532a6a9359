import pytest
from PySide6.QtGui import QTextDocument

from baton_reasoning.app.document import TextStyle
from baton_reasoning.app.toolkit.theme import LIGHT, reading_font


@pytest.fixture
def style(qapp):
    return TextStyle.of(LIGHT, reading_font())


@pytest.fixture
def document(qapp):
    document = QTextDocument()
    document.setTextWidth(500)
    return document
