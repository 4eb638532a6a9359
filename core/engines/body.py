"""The text that both models share: what has been written after the opening of thinking, token by token.

The canonical form is text. A part keeps the token id of the model that wrote it, so that a model with the same
vocabulary can take ids, and any other tokenises the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from itertools import groupby
from typing import NamedTuple, Protocol, TypeVar


class Author(Enum):
    """Who wrote a piece of text: the paper's speculative and target model, a policy that inserted it, or a person who
    edited the text."""

    SMALL = "small"
    LARGE = "large"
    INSERTED = "inserted"
    PERSON = "person"

    @property
    def is_model(self) -> bool:
        return self in (Author.SMALL, Author.LARGE)


class Part(NamedTuple):
    """A token, or an inserted text.

    Where a character is split across tokens, or a server does not tell the text of each, the token that completes it
    holds the text and the earlier ones hold none.
    """

    text: str
    author: Author
    id: int | None = None
    vocabulary: str = ""
    closing_tag: str = ""
    """Set if this part completes the tag that ends the thinking, as its author writes it; other models read their
    own."""
    closed_at: int = 0
    """Characters of this part up to the end of the tag."""


class OwnTag(str):
    """The tag that closes the thinking, as the model that reads it writes it: in a text, the only control token."""

    __slots__ = ()


class HasText(Protocol):
    """A token, with the text that it completes."""

    @property
    def text(self) -> str: ...


T = TypeVar("T", bound=HasText)


def cut_tokens(tokens: list[T], surplus: int, shortened: Callable[[T, str], T]) -> list[T]:
    """Cut the last `surplus` characters off a list of tokens; return the tokens that went as a whole, in order.

    `shortened` makes what is left of a token that lies across the cut, without its id. Tokens without text just before
    it lose their ids, too.
    """
    gone: list[T] = []
    while tokens and surplus >= len(tokens[-1].text):
        gone.append(tokens.pop())
        surplus -= len(gone[-1].text)
    if tokens and surplus > 0:
        start = len(tokens) - 1
        while start and not tokens[start - 1].text:
            start -= 1
        *unfinished, across = tokens[start:]
        tokens[start:] = [shortened(each, "") for each in unfinished]
        tokens.append(shortened(across, across.text[:-surplus]))
    return gone[::-1]


class Body:
    """A growing text that can be truncated. Lengths and positions are in characters."""

    def __init__(self, parts: Iterable[Part] = ()) -> None:
        self.parts = list(parts)
        self.text = "".join(part.text for part in self.parts)

    def __len__(self) -> int:
        return len(self.text)

    def append(self, part: Part) -> None:
        self.parts.append(part)
        self.text += part.text

    def cut(self, length: int) -> tuple[str, list[Part]]:
        """Truncate the body to `length` characters; return the text that went, and the tokens that went as a whole.

        A token that lies across the cut stays as a text without id.
        """
        text, gone = self.text[length:], cut_tokens(self.parts, len(self) - length, _shortened)
        self.text = self.text[:length]
        return text, gone

    def mark_closing(self, tag: str, end: int) -> None:
        """Mark the tag, complete since the last part and ending at `end`, so that any model can read it as its own."""
        last = self.parts[-1]
        self.parts[-1] = last._replace(closing_tag=tag, closed_at=end - len(self) + len(last.text))


def rendered_runs(
    parts: Sequence[Part], vocabulary: str, closing_tag: str, vocabulary_size: int | None = None
) -> list[tuple[int, ...] | str]:
    """Render the body as one model reads it: runs of ids of its own vocabulary, and texts that it has to tokenise.

    Neighbouring foreign parts join into one text, so that they are tokenised together. The closing of thinking
    is read as the model's own tag, if it has one, and stands by itself: elsewhere the same words are just a text. A
    model without tags reads what stands there. Ids beyond `vocabulary_size`, which a faulty server may send, are not
    passed on: their text is tokenised.
    """

    def own(part: Part) -> bool:
        if part.id is None or part.vocabulary != vocabulary or not vocabulary:
            return False
        return vocabulary_size is None or 0 <= part.id < vocabulary_size

    def kind(part: Part) -> tuple[bool, bool]:
        is_own = own(part)
        return is_own, not is_own and bool(part.closing_tag and closing_tag)

    runs: list[tuple[int, ...] | str] = []
    for (is_own, is_tag), group in groupby(_with_own_tag(parts, closing_tag, own), kind):
        if is_own:
            runs.append(tuple(part.id for part in group if part.id is not None))
        elif foreign := "".join(part.text for part in group):
            runs.append(OwnTag(foreign) if is_tag else foreign)
    return runs


def _with_own_tag(parts: Sequence[Part], closing_tag: str, own: Callable[[Part], bool]) -> Sequence[Part]:
    """Replace the tag that closes the thinking by a model's own, if it has one: a part of its own without id.

    What has the model's own ids stays, if the tag begins a token.
    """
    end = next((number for number, part in enumerate(parts, 1) if part.closing_tag), 0)
    if not end:
        return parts
    last = parts[end - 1]
    start, begins = tag_place(parts, end)
    if begins == 0 and start == end - 1 and (not closing_tag or (closing_tag == last.closing_tag and own(last))):
        return parts
    text = "".join(part.text for part in parts[start:end])
    tag = Part(closing_tag or last.closing_tag, last.author, closing_tag=closing_tag)
    before, after = (Part(each, last.author) for each in (text[:begins], text[begins + len(last.closing_tag) :]))
    return [*parts[:start], before, tag, after, *parts[end:]]


def tag_place(parts: Sequence[Part], end: int) -> tuple[int, int]:
    """Return the part in which the tag begins that the part before `end` completes, and the character in it, or in what
    earlier parts began of it: these are taken in, too."""
    start, begins = end - 1, parts[end - 1].closed_at - len(parts[end - 1].closing_tag)
    while begins < 0 or (begins and start and not parts[start - 1].text):
        start -= 1
        begins += len(parts[start].text)
    return start, begins


def parts_before(parts: Sequence[Part], length: int) -> list[Part]:
    """Return the first `length` characters of a body."""
    before = list(parts)
    cut_tokens(before, sum(len(part.text) for part in before) - length, _shortened)
    return before


def _shortened(part: Part, text: str) -> Part:
    """Return what is left of a token that lies across a cut."""
    is_closed = part.closing_tag and part.closed_at <= len(text)
    return part._replace(text=text, id=None, vocabulary="") if is_closed else Part(text, part.author)


def bytes_before(parts: Sequence[Part], start: int, closing_tag: str) -> int:
    """Count the UTF-8 bytes of the first `start` characters of a body, as a model with this closing tag reads it."""
    texts = rendered_runs([part._replace(id=None) for part in parts_before(parts, start)], "", closing_tag)
    return sum(len(text.encode(errors="replace")) for text in texts if isinstance(text, str))
