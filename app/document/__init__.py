"""Text and mathematics in Qt: Markdown in, a document out, and text with LaTeX when it is copied.

`RichText` is the widget; `render_into` and `append_plain` serve whoever fills documents by other means. Call
`warm_up` once the window is on the screen.
"""

from baton_reasoning.app.document.copying import as_plain_text, code_of
from baton_reasoning.app.document.finding import DocumentMatches, TextRange, pattern_of
from baton_reasoning.app.document.markdown import append_plain, prepare, render_at, render_into, warm_up
from baton_reasoning.app.document.rich_text import RichText
from baton_reasoning.app.document.style import TextStyle

__all__ = [
    "DocumentMatches",
    "RichText",
    "TextRange",
    "TextStyle",
    "append_plain",
    "as_plain_text",
    "code_of",
    "pattern_of",
    "prepare",
    "render_at",
    "render_into",
    "warm_up",
]
