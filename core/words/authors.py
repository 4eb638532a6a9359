"""The signs and names of authors, for the window, the terminal, Markdown and HTML."""

from __future__ import annotations

from baton_reasoning.core.engines.body import Author

SIGN = {Author.SMALL: "●", Author.LARGE: "◆", Author.INSERTED: "▣", Author.PERSON: "✎"}

WHO = {
    Author.SMALL: "the small model",
    Author.LARGE: "the large model",
    Author.INSERTED: "Baton",
    Author.PERSON: "a person",
}
