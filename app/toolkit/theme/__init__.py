"""The look of the window. Widgets ask `current_theme()` and listen to its `changed`."""

from baton_reasoning.app.toolkit.theme.appearance import AUTHOR_ROLES, Role, Theme, current_theme, set_role
from baton_reasoning.app.toolkit.theme.bundled import icon, line_width, reading_font
from baton_reasoning.app.toolkit.theme.colours import DARK, LIGHT, Colours, blend, ink_of, tint_of

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
