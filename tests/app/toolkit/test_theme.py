"""Whatever is read can be read, the authors differ for everybody, and one call dresses the window."""

from itertools import combinations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontInfo, QFontMetricsF, QPalette
from PySide6.QtWidgets import QLabel, QPushButton

from baton_reasoning.app.document.steps_view import column_width
from baton_reasoning.app.toolkit.controls import IconButton
from baton_reasoning.app.toolkit.theme import (
    DARK,
    FONT_FOLDER,
    ICON_FOLDER,
    LIGHT,
    Role,
    blend,
    current_theme,
    icon,
    ink_of,
    line_width,
    reading_font,
    set_role,
    tint_of,
)
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.settings import ColourScheme
from baton_reasoning.core.words.authors import SIGN
from tests.app.conftest import last_answer

both = pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])

# What deuteranopes and protanopes see, on linear RGB at full severity: Machado, Oliveira and Fernandes,
# "A physiologically-based model for simulation of color vision deficiency", IEEE TVCG 2009, table 1.
DEUTERANOPIA = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881))
PROTANOPIA = ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998))
PROSE = "It was a bright cold day in April, and the clocks were striking thirteen as he slipped in from the wind. "


def linear(colour):
    c = QColor(colour)
    parts = c.redF(), c.greenF(), c.blueF()
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def contrast(one, other):
    """Contrast ratio of two colours, 1 (equal) to 21 (black on white); WCAG 2.2, "contrast ratio"."""
    weights = (0.2126, 0.7152, 0.0722)
    darker, brighter = sorted(sum(w * c for w, c in zip(weights, linear(each), strict=True)) for each in (one, other))
    return (brighter + 0.05) / (darker + 0.05)


def lab(linear_rgb):
    """CIE L*a*b* under D65."""
    to_xyz = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    white = (0.9505, 1.0, 1.089)
    x, y, z = (
        max(sum(m * c for m, c in zip(row, linear_rgb, strict=True)) / w, 0.0) ** (1 / 3)
        for row, w in zip(to_xyz, white, strict=True)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def difference(one, other, sight):
    """CIE 1976 colour difference as somebody with that sight sees it; about 2.3 is just noticeable."""

    def seen(colour):
        rgb = linear(colour)
        return lab([min(max(sum(m * c for m, c in zip(row, rgb, strict=True)), 0.0), 1.0) for row in sight])

    return sum((a - b) ** 2 for a, b in zip(seen(one), seen(other), strict=True)) ** 0.5


@both
def test_every_ink_can_be_read_on_every_ground_and_edges_stand_out(colours):
    c = colours
    grounds = [c.background, c.surface, c.panel, c.small_tint, c.large_tint, c.inserted_tint, c.person_tint]
    inks = [c.text, c.muted, c.small, c.large, c.inserted, c.person, c.success, c.danger]
    pairs = [(ink, ground) for ink in inks for ground in grounds]
    pairs += [(c.on_accent, c.accent), (c.on_danger, c.danger)]
    pairs += [(c.text, ground) for ground in (c.selection, c.match, c.current_match)]
    assert [pair for pair in pairs if contrast(*pair) < 4.5] == []
    assert contrast(c.match, c.current_match) >= 1.3
    assert min(contrast(c.outline, ground) for ground in (c.background, c.surface)) >= 3


@both
@pytest.mark.parametrize("sight", [DEUTERANOPIA, PROTANOPIA], ids=["no green", "no red"])
def test_the_authors_differ_without_red_or_green_and_by_their_signs(colours, sight):
    authors = colours.small, colours.large, colours.inserted, colours.person
    assert min(difference(a, b, sight) for a, b in combinations(authors, 2)) > 20
    for told in (SIGN.get, lambda author: ink_of(author, colours), lambda author: tint_of(author, colours)):
        assert len(set(map(told, Author))) == len(Author)


def test_blending_goes_from_the_ground_to_the_ink():
    assert [blend("#000000", "#ffffff", share) for share in (0, 1)] == ["#000000", "#ffffff"]
    assert blend("#000000", "#ff0000", 0.5) in ("#7f0000", "#800000")


@pytest.fixture
def theme(qapp):
    """The application's, which is undressed at the end."""
    font, palette, style = qapp.font(), qapp.palette(), qapp.style().name()
    current_theme().use(ColourScheme.LIGHT)
    yield current_theme()
    current_theme().use(ColourScheme.LIGHT)
    qapp.setStyleSheet("")
    qapp.setStyle(style)
    qapp.setFont(font)
    qapp.setPalette(palette)


def test_the_one_theme_follows_the_system_only_if_asked_to(theme, qapp, qtbot):
    with qtbot.waitSignal(theme.changed):
        current_theme().use(ColourScheme.DARK)
    assert theme is current_theme()
    assert theme.colours is DARK
    assert qapp.palette().color(QPalette.ColorRole.Window).name() == DARK.background
    theme.use(ColourScheme.SYSTEM)
    assert theme.colours is LIGHT, "the system does not say"
    qapp.styleHints().colorSchemeChanged.emit(Qt.ColorScheme.Dark)
    assert theme.colours is DARK
    theme.use(ColourScheme.LIGHT)
    qapp.styleHints().colorSchemeChanged.emit(Qt.ColorScheme.Dark)
    assert theme.colours is LIGHT


def test_the_text_size_scales_font_and_icons_as_far_as_one_can_read(theme, qapp, qtbot):
    button = IconButton("copy", "Copy", bool)
    qtbot.addWidget(button)
    before = button.iconSize().width()
    theme.use(ColourScheme.LIGHT, text_size=1.5)
    assert qapp.font().pointSizeF() == pytest.approx(reading_font().pointSizeF() * 1.5)
    assert button.iconSize().width() == 1.5 * before
    for asked, held in ((0.01, 0.7), (99, 2.5)):
        theme.use(ColourScheme.LIGHT, asked)
        assert theme.text_size == held


def test_roles_give_colours_and_three_sizes_of_type_in_both_schemes(theme, qtbot):
    labels = {role: QLabel("Text") for role in Role}
    button = QPushButton("Stop")
    for each in (*labels.values(), button):
        qtbot.addWidget(each)
    for role, label in labels.items():
        set_role(label, role)
        label.ensurePolished()
    set_role(button, Role.PRIMARY)
    assert {QFontInfo(label.font()).pixelSize() for label in labels.values()} == {13, 17, 24}
    for scheme, colours in ((ColourScheme.LIGHT, LIGHT), (ColourScheme.DARK, DARK)):
        theme.use(scheme)  # Qt warns of a sheet that it cannot parse, and a warning fails the test
        button.ensurePolished()
        assert button.palette().color(QPalette.ColorRole.ButtonText).name() == colours.on_accent
        assert labels[Role.LARGE].palette().color(QPalette.ColorRole.WindowText).name() == colours.large


def test_every_icon_shows_something(qapp):
    files = [file.stem for file in ICON_FOLDER.glob("*.svg")]
    images = {name: icon(name, LIGHT.danger).pixmap(32, 32).toImage() for name in files}
    assert images
    for name, image in images.items():
        assert any(image.pixelColor(x, y).alpha() for x in range(32) for y in range(32)), name


@pytest.mark.parametrize("weight", [QFont.Weight.Normal, QFont.Weight.DemiBold, QFont.Weight.Bold])
def test_the_window_is_set_in_inter_which_comes_with_its_licence(qapp, weight):
    font = reading_font()
    font.setWeight(weight)
    found = QFontInfo(font)
    assert (found.family(), found.weight()) == ("Inter", weight)
    assert "SIL OPEN FONT LICENSE Version 1.1" in (FONT_FOLDER / "OFL.txt").read_text("utf-8")


@pytest.mark.parametrize(("system", "pixels"), [(6, 13), (15, 20)])
def test_text_is_never_smaller_than_13_pixels(qapp, monkeypatch, system, pixels):
    monkeypatch.setattr(QFontDatabase, "systemFont", lambda _: QFont("Inter", system))
    assert QFontInfo(reading_font()).pixelSize() == pixels
    assert QFontInfo(reading_font(2.0)).pixelSize() == 2 * pixels


@pytest.mark.parametrize("text_size", [1.0, 1.5])
def test_a_line_has_93_to_100_characters_at_any_text_size(qapp, text_size):
    font = reading_font(text_size)
    per_character = QFontMetricsF(font).horizontalAdvance(PROSE) / len(PROSE)
    assert 93 <= line_width(font) / per_character <= 100


def test_steps_and_answer_of_a_wide_window_keep_to_the_column(ask):
    window = ask("What is two and two?")
    window.resize(2 * column_width(), 800)
    assert last_answer(window).answer.width() <= column_width()
