"""The style sheet and the palette, both made from `Colours`.

The palette colours what Fusion draws by itself; the sheet does the rest. A widget gets its look with
`set_role(widget, Role.CARD)`; nothing else in the program writes style sheets.
"""

from dataclasses import asdict
from enum import Enum
from string import Template

from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QWidget

from baton_reasoning.app.toolkit.theme.bundled import BODY, RESOURCES, RESULT, TITLE
from baton_reasoning.app.toolkit.theme.colours import Colours, blend
from baton_reasoning.core.engines.body import Author

SHEET = RESOURCES / "window.qss"


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
