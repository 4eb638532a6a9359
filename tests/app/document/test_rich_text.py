"""The widget is as tall as its text, copies sources, opens nothing and follows the theme."""

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QColor, QGuiApplication, QImage, QTextDocument
from PySide6.QtWidgets import QScrollArea, QTextBrowser, QVBoxLayout, QWidget

from baton_reasoning.app.document import RichText
from baton_reasoning.app.toolkit.theme import DARK, current_theme


@pytest.fixture
def window(qtbot):
    """As in a conversation: the page is longer than the window."""
    window = QScrollArea()
    qtbot.addWidget(window)
    window.setWidgetResizable(True)
    window.resize(400, 600)
    return window


@pytest.fixture
def view(window):
    page, view = QWidget(), RichText()
    QVBoxLayout(page).addWidget(view)
    window.setWidget(page)
    window.show()
    return view


def test_it_is_as_tall_as_its_text(view):
    view.set_markdown("one")
    low = view.height()
    view.set_markdown("one\n\ntwo\n\n\\[\\frac{a}{b}\\]")
    assert view.height() > 2 * low


def test_a_copied_selection_holds_the_source(view):
    view.set_markdown("so **that** $x^2$")
    view.selectAll()
    mime = view.createMimeDataFromSelection()
    assert mime.text() == "so that $x^2$"


def test_a_link_is_not_opened(view):
    view.set_markdown("[a](https://example.org)")
    view.anchorClicked.emit(QUrl("https://example.org"))
    assert view.document().toPlainText() == "a"
    assert not view.openLinks()
    assert not view.openExternalLinks()


def test_the_word_copy_copies_the_code(view):
    view.set_markdown("```\nx = 2\n```")
    word = view.document().find("Copy")
    view.anchorClicked.emit(QUrl(word.charFormat().anchorHref()))
    assert QGuiApplication.clipboard().text() == "x = 2"


def test_a_live_text_is_plain_until_it_closes(view):
    view.append_live("so $x")
    view.append_live("$")
    assert view.markdown == "so $x$"
    assert view.document().toPlainText() == "so $x$"
    view.set_markdown(view.markdown)
    assert view.document().toPlainText() == "so \ufffc"
    assert view.markdown == "so $x$"


def test_a_screen_reader_is_given_the_source(view):
    view.set_markdown("so $x^2$")
    assert view.accessibleName() == "Text"
    assert view.accessibleDescription() == "so $x^2$"


def ink_of_the_first_letter(document: QTextDocument) -> QColor:
    return document.begin().begin().fragment().charFormat().foreground().color()


@pytest.mark.parametrize("live", [False, True], ids=["set", "live"])
def test_it_follows_the_theme(view, qapp, live):
    theme = current_theme()
    (view.append_live if live else view.set_markdown)("so $x$")
    before = theme.colours
    theme.colours = DARK
    theme.changed.emit()
    assert ink_of_the_first_letter(view.document()) == QColor(DARK.text)
    theme.colours = before


def test_nothing_is_fetched(view, tmp_path):
    file = QUrl.fromLocalFile(str(tmp_path / "p.png"))
    QImage(2, 2, QImage.Format.Format_RGB32).save(str(tmp_path / "p.png"))
    picture = QTextDocument.ResourceType.ImageResource.value
    plain = QTextBrowser()
    assert plain.document().resource(picture, file) is not None, "Qt would load it"
    view.document().setHtml(f'<img src="{file.toString()}">')  # not ours to make
    for address in (file, QUrl("http://example.org/p.png")):
        loaded = view.document().resource(picture, address)
        assert isinstance(loaded, QImage)
        assert loaded.isNull()
