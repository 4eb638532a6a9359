import pytest
from PySide6.QtGui import QTextDocument
from PySide6.QtWidgets import QApplication

from baton_reasoning.app.document import TextStyle
from baton_reasoning.app.toolkit.theme import LIGHT, reading_font


@pytest.fixture
def style(qapp: QApplication) -> TextStyle:
    return TextStyle.of(LIGHT, reading_font())


@pytest.fixture
def document(qapp: QApplication) -> QTextDocument:
    document = QTextDocument()
    document.setTextWidth(500)
    return document
