"""The current theme and how it changes: light, dark, or as the system."""

from PySide6.QtCore import QDir, QEvent, QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QApplication, QStyleFactory

from baton_reasoning.app.toolkit.theme.bundled import ICON_FOLDER, reading_font
from baton_reasoning.app.toolkit.theme.colours import DARK, LIGHT, Colours
from baton_reasoning.app.toolkit.theme.stylesheet import palette, stylesheet
from baton_reasoning.core.settings import ColourScheme

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
