"""The mark of each author, so that a colour is never the only sign."""

from app.theme.colours import Colours
from core.thinking.events import Author

SIGN = {Author.SMALL: "●", Author.LARGE: "◆", Author.INSERTED: "▣"}


def ink_of(author: Author, colours: Colours) -> str:
    """The colour in which the author's sign, bar and name are drawn."""
    inks = {Author.SMALL: colours.small, Author.LARGE: colours.large, Author.INSERTED: colours.inserted}
    return inks[author]


def tint_of(author: Author, colours: Colours) -> str:
    """The ground behind what the author wrote, where it is set off from the rest."""
    tints = {
        Author.SMALL: colours.small_tint,
        Author.LARGE: colours.large_tint,
        Author.INSERTED: colours.inserted_tint,
    }
    return tints[author]
