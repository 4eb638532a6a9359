"""The look of the window: colours, typeface, icons, sheet. Widgets ask `current_theme()` and listen to its `changed`.

Two rules of the colours, both held by the tests: whatever is read has a contrast of at least 4.5 to 1 on every ground
it may stand on (WCAG 2.2, 1.4.3), and the authors differ for people who see no red or no green. A colour is never the
only sign: each author also has a mark (`core.words.authors`).

The palette colours what Fusion draws by itself; the style sheet does the rest. Both are made from `Colours`. A widget
gets its look with `set_role(widget, Role.CARD)`; nothing else in the program writes style sheets.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from functools import lru_cache
from string import Template

from PySide6.QtCore import QByteArray, QDir, QEvent, QObject, QRectF, Qt, Signal, Slot
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontDatabase,
    QFontInfo,
    QFontMetricsF,
    QGuiApplication,
    QIcon,
    QPainter,
    QPalette,
    QPixmap,
)
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication, QStyleFactory, QWidget

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.settings import ColourScheme
from baton_reasoning.resources import FOLDER, resource_table

FONT_FOLDER, ICON_FOLDER = FOLDER / "fonts", FOLDER / "icons"
BODY, TITLE, RESULT = 13, 17, 24
"""The three sizes of type, in pixels at a text size of 100%."""
LINE_LENGTH = 95
"""Characters of a full line: 75 to 80 are the most comfortable to read, but most steps fit into one of these."""
_ORDINARY_TEXT = "The small model writes most of the steps, and the large one takes over where thinking is hard. "
_SIZES = 16, 24, 32, 48, 64  # of icons: enough for 16 and 24 points at one, two and nearly three times
SHEET = FOLDER / "window.qss"
_ASKED_OF_QT = {
    ColourScheme.SYSTEM: Qt.ColorScheme.Unknown,
    ColourScheme.LIGHT: Qt.ColorScheme.Light,
    ColourScheme.DARK: Qt.ColorScheme.Dark,
}


@dataclass(frozen=True)
class Colours:
    """One complete set, as `#rrggbb`. Grounds come first, then what is written and drawn on them."""

    background: str  # behind the conversation
    surface: str  # bars, lists, cards, menus
    panel: str  # a bubble, a chosen row, a pressed button
    border: str  # hairlines; decoration only
    outline: str  # edges of things one can press or type into, 3 to 1
    text: str
    muted: str
    accent: str  # primary buttons, focus, the chosen tab: ink, so that it is never taken for an author
    on_accent: str
    selection: str  # behind selected text, which keeps its colour
    match: str  # behind words that were found, written in the colour of text
    current_match: str  # behind the one that a person has gone to
    small: str
    small_tint: str
    large: str
    large_tint: str
    inserted: str
    inserted_tint: str
    person: str
    person_tint: str
    success: str
    danger: str
    on_danger: str


_PAIRS = list(resource_table("tables/colours.txt"))
LIGHT = Colours(**{name: light for name, light, _ in _PAIRS})
DARK = Colours(**{name: dark for name, _, dark in _PAIRS})


def blend(ground: str, ink: str, share: float) -> str:
    """Return `ink` laid over `ground` with an opacity of `share` (0 to 1)."""
    below, above = QColor(ground), QColor(ink)
    return QColor.fromRgbF(
        below.redF() + (above.redF() - below.redF()) * share,
        below.greenF() + (above.greenF() - below.greenF()) * share,
        below.blueF() + (above.blueF() - below.blueF()) * share,
    ).name()


def ink_of(author: Author, colours: Colours) -> str:
    """Return the colour in which the author's sign, bar and name are drawn: the role that is named after the author."""
    return str(getattr(colours, author.value))


def tint_of(author: Author, colours: Colours) -> str:
    """Return the background of what the author wrote, where it is set off from the rest."""
    return str(getattr(colours, f"{author.value}_tint"))


@lru_cache(maxsize=1)
def bundled_family() -> str:
    """Load Inter into Qt and return its family name, "" if Qt cannot read the files. Needs a `QGuiApplication`."""
    families = [
        family
        for path in sorted(FONT_FOLDER.glob("*.otf"))
        for family in QFontDatabase.applicationFontFamilies(QFontDatabase.addApplicationFont(str(path)))
    ]
    return families[0] if families else ""


def reading_font(text_size: float = 1.0) -> QFont:
    """Return Inter at `text_size` times the system's size, or `BODY` if the system's is smaller.

    Characters that Inter lacks come from the system's font.
    """
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
    smallest = BODY * 72 / QGuiApplication.primaryScreen().logicalDotsPerInch()
    size = max(QFontInfo(font).pointSizeF(), smallest)
    if family := bundled_family():
        font.setFamilies([family, font.family()])
    font.setPointSizeF(size * text_size)
    return font


def line_width(font: QFont) -> int:
    """Return the width in pixels of `LINE_LENGTH` characters of ordinary English."""
    return round(QFontMetricsF(font).horizontalAdvance(_ORDINARY_TEXT) / len(_ORDINARY_TEXT) * LINE_LENGTH)


@lru_cache(maxsize=128)
def icon(name: str, colour: str) -> QIcon:
    """`resources/icons/NAME.svg` in a colour (`#rrggbb`); raises `FileNotFoundError` if there is none."""
    source = (ICON_FOLDER / f"{name}.svg").read_text("utf-8").replace("currentColor", colour)
    renderer = QSvgRenderer(QByteArray(source.encode()))
    result = QIcon()
    for size in _SIZES:
        pixmap = QPixmap(size, size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        renderer.render(painter, QRectF(0, 0, size, size))
        painter.end()
        result.addPixmap(pixmap)
    return result


class Theme(QObject):
    """The look of one application; lives as long as it. Widgets repaint at `changed`."""

    changed = Signal()  # colours or text size

    def __init__(self, application: QApplication) -> None:
        super().__init__(application)
        self._application = application
        self._scheme = ColourScheme.LIGHT
        self.text_size = 1.0
        """A factor: 1.0 is the size that a person has not changed."""
        self.colours: Colours = LIGHT
        application.styleHints().colorSchemeChanged.connect(self._follow_system)

    def scaled(self, pixels: int) -> int:
        """Return a length that grows with the text, such as the side of an icon."""
        return round(pixels * self.text_size)

    def use(self, scheme: ColourScheme, text_size: float = 1.0, with_sheet: bool = True) -> None:
        """Change the look of the whole application. `text_size` is a factor, held between 0.7 and 2.5.

        `with_sheet=False` is for a window that is being built: Qt would apply a style sheet again to each widget that
        is put into a layout. Style, colours and font must be there before the widgets are.
        """
        self._scheme = scheme
        self.text_size = min(max(text_size, 0.7), 2.5)
        hints = self._application.styleHints()
        hints.setColorScheme(_ASKED_OF_QT[scheme])  # for the title bar and the system's own dialogs
        system = hints.colorScheme() if scheme is ColourScheme.SYSTEM else _ASKED_OF_QT[scheme]
        self._apply_colours(_colours_under(system), with_sheet)

    def _apply_colours(self, colours: Colours, with_sheet: bool = True) -> None:
        self.colours = colours
        QDir.setSearchPaths("icons", [str(ICON_FOLDER)])
        font = reading_font(self.text_size)
        # An old sheet is taken off first: it would follow every change of palette and font, which takes twice as long.
        self._application.setStyleSheet("")
        if self._application.style().name() != "fusion":
            self._application.setStyle(QStyleFactory.create("Fusion"))
        self._application.setPalette(palette(colours))
        self._application.setFont(font)
        if with_sheet:
            self._application.setStyleSheet(stylesheet(colours, font.pointSizeF()))
        else:
            for widget in self._application.topLevelWidgets():  # which Qt itself informs only once its event loop runs
                for change in (QEvent.Type.ApplicationFontChange, QEvent.Type.ApplicationPaletteChange):
                    QApplication.sendEvent(widget, QEvent(change))
        self.changed.emit()

    @Slot(Qt.ColorScheme)
    def _follow_system(self, system: Qt.ColorScheme) -> None:
        # `use` itself makes Qt report a change; only a real one may change the look again.
        if self._scheme is ColourScheme.SYSTEM and _colours_under(system) is not self.colours:
            self._apply_colours(_colours_under(system))


def _colours_under(system: Qt.ColorScheme) -> Colours:
    """Return the colours of a scheme; light if the desktop does not say."""
    return DARK if system is Qt.ColorScheme.Dark else LIGHT


def current_theme() -> Theme:
    """Return the theme of the running application; plain light until `Theme.use` was called.

    Raises `RuntimeError` without a `QApplication`.
    """
    application = QApplication.instance()
    if isinstance(application, QApplication):
        known = application.findChild(Theme, options=Qt.FindChildOption.FindDirectChildrenOnly)
        return known if isinstance(known, Theme) else Theme(application)
    raise RuntimeError("a theme needs a QApplication")


class Role(Enum):
    """What a widget is to the reader, where its class does not already say so."""

    BAR = "bar"  # a strip at the window's edge
    CARD = "card"  # a rounded sheet on the background
    FIELD = "field"  # one that a person writes in, with the edges of a field
    DROP = "drop"  # a frame around what a file is being dragged over
    BUBBLE = "bubble"  # what the person wrote
    RESULT = "result"  # what an answer comes to
    TITLE = "title"  # the head of a page
    HEADING = "heading"  # the head of a section
    REPLACED = "replaced"  # what a takeover replaced
    MUTED = "muted"
    SMALL = "small"  # says something of the small model
    LARGE = "large"  # says something of the large model
    SUCCESS = "success"
    DANGER = "danger"  # a label that warns, a button that destroys
    PRIMARY = "primary"  # the button that Enter presses
    FLAT = "flat"  # a button without edges: an icon, or one of a row of actions
    EDGE = "edge"  # the first of such a row, level with the text above it
    TAB = "tab"  # a checkable button that turns to a page: text, underlined while it is the page that is shown
    BARE = "bare"  # a field without edges, inside a card that has them
    COPIED = "copied"  # says over a control that it has copied
    LINE = "line"  # one pixel between two parts of the window
    MENU = "menu"  # a list that pops up


AUTHOR_ROLES = {Author.SMALL: Role.SMALL, Author.LARGE: Role.LARGE}


def set_role(widget: QWidget, role: Role) -> None:
    """Give the widget its look; may be called again when what it says changes."""
    if widget.property("role") == role.value:
        return  # to polish a widget again takes a tenth of a millisecond, thirty times a second while a text streams
    if role is Role.BAR:
        widget.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)  # which a plain widget of ours would not paint
    widget.setProperty("role", role.value)
    widget.style().unpolish(widget)
    widget.style().polish(widget)


def palette(c: Colours) -> QPalette:
    """Return the same colours for everything that Fusion paints by itself."""
    result = QPalette()
    roles = QPalette.ColorRole
    for role, colour in (
        (roles.Window, c.background),
        (roles.WindowText, c.text),
        (roles.Base, c.surface),
        (roles.AlternateBase, c.background),
        (roles.Text, c.text),
        (roles.PlaceholderText, c.muted),
        (roles.Button, c.surface),
        (roles.ButtonText, c.text),
        (roles.BrightText, c.danger),
        (roles.ToolTipBase, c.surface),
        (roles.ToolTipText, c.text),
        (roles.Highlight, c.selection),
        (roles.HighlightedText, c.text),
        (roles.Accent, c.accent),
        (roles.Link, c.small),
        (roles.LinkVisited, c.small),
        (roles.Light, c.surface),
        (roles.Midlight, c.panel),
        (roles.Mid, c.border),
        (roles.Dark, c.outline),
        (roles.Shadow, c.border),
    ):
        result.setColor(role, QColor(colour))
    faint = QColor(_faint(c))
    for role in (roles.WindowText, roles.Text, roles.ButtonText, roles.HighlightedText):
        result.setColor(QPalette.ColorGroup.Disabled, role, faint)
    return result


def stylesheet(c: Colours, point_size: float) -> str:
    """Return the sheet for the whole application (resources/window.qss); `point_size` is that of running text."""
    derived = {
        "faint": _faint(c),
        "handle": blend(c.background, c.outline, 0.55),
        "accent_hover": blend(c.accent, c.on_accent, 0.12),
        "tick": "white" if c.on_accent == "#ffffff" else "black",
        "result_size": f"{point_size * RESULT / BODY:.2f}",
        "title_size": f"{point_size * TITLE / BODY:.2f}",
    }
    return Template(SHEET.read_text("utf-8")).substitute(asdict(c) | derived)


def _faint(c: Colours) -> str:
    """Return the colour of disabled text."""
    return blend(c.surface, c.muted, 0.6)
