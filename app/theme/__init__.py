"""The look of the window. Start with `apply`; widgets ask `current_theme()` and listen to its `changed`."""

from app.theme.appearance import Scheme, Theme, apply, current_theme, reading_font
from app.theme.colours import DARK, LIGHT, Colours, blend, contrast
from app.theme.icons import icon
from app.theme.signs import SIGN, ink_of, tint_of
from app.theme.stylesheet import Role, set_role

__all__ = [
    "DARK",
    "LIGHT",
    "SIGN",
    "Colours",
    "Role",
    "Scheme",
    "Theme",
    "apply",
    "blend",
    "contrast",
    "current_theme",
    "icon",
    "ink_of",
    "reading_font",
    "set_role",
    "tint_of",
]
