"""Every author has a mark, an ink and a tint."""

from baton_reasoning.app.toolkit.theme import DARK, LIGHT, ink_of, tint_of
from baton_reasoning.core.thinking.events import Author
from baton_reasoning.core.words.authors import SIGN


def test_no_two_authors_share_a_sign_or_an_ink():
    assert len({SIGN[author] for author in Author}) == len(Author)
    for colours in (LIGHT, DARK):
        assert len({ink_of(author, colours) for author in Author}) == len(Author)
        assert len({tint_of(author, colours) for author in Author}) == len(Author)
