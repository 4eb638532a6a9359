"""The look of the window. Widgets ask `current_theme()` and listen to its `changed`."""

from baton_reasoning.app.toolkit.theme.appearance import Theme, current_theme
from baton_reasoning.app.toolkit.theme.bundled import icon, line_width, reading_font
from baton_reasoning.app.toolkit.theme.colours import DARK, LIGHT, Colours, blend, ink_of, tint_of
from baton_reasoning.app.toolkit.theme.stylesheet import AUTHOR_ROLES, Role, set_role

__all__ = [
    "AUTHOR_ROLES",
    "DARK",
    "LIGHT",
    "Colours",
    "Role",
    "Theme",
    "blend",
    "current_theme",
    "icon",
    "ink_of",
    "line_width",
    "reading_font",
    "set_role",
    "tint_of",
]
