"""One call dresses the window; widgets hear of it and read the colours anew."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QLabel, QPushButton

from baton_reasoning.app.toolkit.theme import DARK, LIGHT, Role, current_theme, icon, reading_font, set_role
from baton_reasoning.app.toolkit.theme.icons import ICON_FOLDER
from baton_reasoning.core.settings import ColourScheme


@pytest.fixture(autouse=True)
def undress(qapp):
    font, palette, style = qapp.font(), qapp.palette(), qapp.style().name()
    yield
    qapp.setStyleSheet("")
    qapp.setStyle(style)
    qapp.setFont(font)
    qapp.setPalette(palette)


def test_the_dark_scheme_darkens_the_palette_and_tells_it(qapp, qtbot):
    theme = current_theme()
    theme.use(ColourScheme.LIGHT)
    with qtbot.waitSignal(theme.changed):
        current_theme().use(ColourScheme.DARK)
    assert theme.colours is DARK
    assert qapp.palette().color(QPalette.ColorRole.Window).name() == DARK.background


def test_there_is_one_theme_which_is_light_where_the_system_does_not_say(qapp):
    theme = current_theme()
    theme.use(ColourScheme.DARK)
    theme.use(ColourScheme.SYSTEM)
    assert theme is current_theme()
    assert theme.colours is LIGHT


def test_it_follows_the_system_at_dusk_only_if_asked_to(qapp):
    theme = current_theme()
    theme.use(ColourScheme.SYSTEM)
    qapp.styleHints().colorSchemeChanged.emit(Qt.ColorScheme.Dark)
    assert theme.colours is DARK
    current_theme().use(ColourScheme.LIGHT)
    qapp.styleHints().colorSchemeChanged.emit(Qt.ColorScheme.Dark)
    assert theme.colours is LIGHT


def test_the_text_size_scales_the_font_of_the_system_as_far_as_one_can_read(qapp):
    current_theme().use(ColourScheme.LIGHT, text_size=1.5)
    assert qapp.font().pointSizeF() == pytest.approx(reading_font().pointSizeF() * 1.5)
    for asked, held in ((0.01, 0.7), (99, 2.5)):
        current_theme().use(ColourScheme.LIGHT, asked)
        assert current_theme().text_size == held


def test_the_role_of_a_label_colours_it(qapp, qtbot):
    current_theme().use(ColourScheme.LIGHT)
    label = QLabel("large wrote 17%")
    qtbot.addWidget(label)
    set_role(label, Role.LARGE)
    assert label.palette().color(QPalette.ColorRole.WindowText).name() == LIGHT.large


def test_the_style_sheet_parses_in_both_schemes(qapp, qtbot):
    button = QPushButton("Stop")
    qtbot.addWidget(button)
    set_role(button, Role.PRIMARY)
    for scheme, colours in ((ColourScheme.LIGHT, LIGHT), (ColourScheme.DARK, DARK)):
        current_theme().use(scheme)  # Qt warns of a sheet that it cannot parse, and a warning fails the test
        button.ensurePolished()
        assert button.palette().color(QPalette.ColorRole.ButtonText).name() == colours.on_accent


@pytest.mark.parametrize("name", sorted(file.stem for file in ICON_FOLDER.glob("*.svg")))
def test_every_icon_shows_something(qapp, name):
    image = icon(name, LIGHT.danger).pixmap(32, 32).toImage()
    assert any(image.pixelColor(x, y).alpha() for x in range(32) for y in range(32))
