"""An answer on the screen: text and mathematics, with LaTeX when it is copied, and who wrote which step.

`RichText` is the widget for a text; `render_into`, `render_at` and `append_plain` serve whoever fills documents by
other means. Call `warm_up` once the window is on the screen.
"""

from baton_reasoning.app.document.markdown import append_plain, render_at, render_into, warm_up
from baton_reasoning.app.document.rich_text import RichText
from baton_reasoning.app.document.style import TextStyle

__all__ = ["RichText", "TextStyle", "append_plain", "render_at", "render_into", "warm_up"]
