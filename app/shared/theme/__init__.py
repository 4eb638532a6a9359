"""The look of the window. Start with `apply`; widgets ask `current_theme()` and listen to its `changed`."""

from app.shared.theme.appearance import Theme, apply, current_theme
from app.shared.theme.colours import DARK, LIGHT, SIGN, Colours, blend, ink_of, tint_of
from app.shared.theme.fonts import line_width, reading_font
from app.shared.theme.icons import icon
from app.shared.theme.stylesheet import AUTHOR_ROLES, Role, set_role

__all__ = [
    "AUTHOR_ROLES",
    "DARK",
    "LIGHT",
    "SIGN",
    "Colours",
    "Role",
    "Theme",
    "apply",
    "blend",
    "current_theme",
    "icon",
    "ink_of",
    "line_width",
    "reading_font",
    "set_role",
    "tint_of",
]
