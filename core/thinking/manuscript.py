"""The text that a run is writing, and what is known of it: steps, thinking, and who wrote how much."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.engines.base import Token
from core.engines.body import Author, Body, Part
from core.thinking.steps import Decoder, Splitter


class Manuscript:
    def __init__(self, closing_tags: Iterable[str] = (), written: Sequence[Part] = ()) -> None:
        """`closing_tags`: what ends the thinking of either model. `written`: a text to go on from."""
        self.closing_tags = tuple(closing_tags)
        self.body = Body(written)
        self.thinking = not any(part.closing_tag for part in written)
        self.tokens = {author: sum(p.author is author for p in written) for author in Author}
        self.step_start = len(self.body)
        """Where the step that is being written begins."""
        self.last_step_start = self.step_start
        self._splitter = Splitter(self.body.text)
        self._decoder = Decoder()

    @property
    def position(self) -> int:
        return len(self.body)

    @property
    def inside_character(self) -> bool:
        """The last token ended inside a UTF-8 character: nobody may decide or hand over here."""
        return self._decoder.inside_character

    @property
    def at_boundary(self) -> bool:
        return self._splitter.at_boundary

    def begin_write(self) -> None:
        self._decoder = Decoder()

    def append(self, token: Token, author: Author, vocabulary: str) -> tuple[str, bool]:
        """Add a token; returns its text and whether it completed a step boundary."""
        text = self._decoder.feed(token.data)
        self.body.append(Part(text, author, token.id, vocabulary))
        self.tokens[author] += 1
        return text, self._splitter.feed(text)

    def begin_step(self) -> None:
        """A boundary is complete. A token may hold the first word of the new step as well."""
        self.last_step_start, self.step_start = self.step_start, self.body.text.rfind("\n") + 1

    @property
    def rewritable_from(self) -> int:
        """Where the step begins that a person or a policy may want to have written again."""
        return self.step_start if self.position > self.step_start else self.last_step_start

    def insert(self, text: str) -> None:
        self.body.append(Part(text, Author.INSERTED))
        self._splitter.feed(text)

    def discard(self, position: int) -> tuple[str, int]:
        """Cut the text at `position`; returns the text that went and how many tokens it was."""
        gone = self.body.cut(position)
        for part in gone:
            self.tokens[part.author] -= 1
        self.step_start = min(self.step_start, position)
        self.last_step_start = min(self.last_step_start, position)
        self._splitter = Splitter(self.body.text)
        self._decoder = Decoder()
        return "".join(part.text for part in gone), sum(p.author is not Author.INSERTED for p in gone)

    def close_thinking(self) -> str:
        """If the text has just completed a closing tag: the thinking is over. Returns the tag, or ""."""
        if not self.thinking:
            return ""
        last = len(self.body.parts[-1].text) if self.body.parts else 0
        for tag in self.closing_tags:
            if tag in self.body.text[-len(tag) - last :]:
                self.body.mark_closing(tag)
                self.thinking = False
                return tag
        return ""
