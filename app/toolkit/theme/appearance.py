"""The current theme and how it changes: light, dark, or as the system.

The palette colours what Fusion draws by itself; the style sheet does the rest. Both are made from `Colours`. A widget
gets its look with `set_role(widget, Role.CARD)`; nothing else in the program writes style sheets.
"""

from dataclasses import asdict
from enum import Enum
from string import Template

from PySide6.QtCore import QDir, QEvent, QObject, Qt, Signal, Slot
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory, QWidget

from baton_reasoning.app.toolkit.theme.bundled import BODY, ICON_FOLDER, RESOURCES, RESULT, TITLE, reading_font
from baton_reasoning.app.toolkit.theme.colours import DARK, LIGHT, Colours, blend
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.settings import ColourScheme

SHEET = RESOURCES / "window.qss"
_ASKED_OF_QT = {
    ColourScheme.SYSTEM: Qt.ColorScheme.Unknown,
    ColourScheme.LIGHT: Qt.ColorScheme.Light,
    ColourScheme.DARK: Qt.ColorScheme.Dark,
}


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
    LINE = "line"  # one pixel between two parts of the window
    MENU = "menu"  # a list that pops up


AUTHOR_ROLES = {Author.SMALL: Role.SMALL, Author.LARGE: Role.LARGE}


def set_role(widget: QWidget, role: Role) -> None:
    """Give the widget its look; may be called again when what it says changes."""
    if widget.property("role") == role.value:
        return  # to polish a widget again takes a tenth of a millisecond, thirty times a second while a text streams
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
