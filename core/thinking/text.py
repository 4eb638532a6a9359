"""Keeps the text of a run while it is written: its steps, the end of the thinking, and the tokens of each author."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Sequence
from functools import partial

from baton_reasoning.core.engines.base import Token
from baton_reasoning.core.engines.body import Author, Body, Part
from baton_reasoning.core.thinking.steps import Boundary, Splitter, split

LONGEST_REPEATED = 2400
"""Characters at the end of a text in which a step is looked for that is there twice."""
_TAG_OF_THINKING = re.compile(r"\s*(?:<[^<>/]{0,20}think[^<>]{0,20}>|\[THINK\])", re.IGNORECASE)
"""What models open their thinking with, if they do it by themselves."""
Utf8Decoder = partial(codecs.getincrementaldecoder("utf-8"), errors="replace")
"""Makes a decoder of the bytes of tokens, which may split characters. Invalid bytes become U+FFFD."""


class Text:
    """A text that grows and may be truncated. Policies read it; only the driver changes it."""

    def __init__(
        self, closing_tags: Iterable[str] = (), written: Sequence[Part] = (), boundary: Boundary = Boundary.BLANK_LINE
    ) -> None:
        """`closing_tags`: the tags that end the thinking of either model. `written`: a text to continue."""
        self.closing_tags = tuple(closing_tags)
        self.boundary = boundary
        self.body = Body(written)
        self.answer_start: int | None = None
        """The position just after the closing tag; None inside the thinking."""
        self.tokens = {author: sum(part.author is author for part in written) for author in Author}
        self.discards = 0
        """Number of times that text was discarded."""
        self._edited_until = 0
        self._capped: set[int] = set()
        """Starts of steps that follow a cap instead of a boundary."""
        self._splitter = Splitter("", boundary)
        self._decoder = Utf8Decoder()
        self.inside_character = bool(written) and written[-1].author.is_model and not written[-1].text
        """Whether the last token ended inside a character, or its text comes with a later token: no decision and no
        handoff happens there. Of a text that is taken up nobody knows: a token without text is written again."""
        self._step_starts = [0]
        length = 0
        for part in written:
            if part.closing_tag:
                self.answer_start = length + part.closed_at
            length += len(part.text)
            if self._splitter.feed(part.text):
                self._step_starts.append(length - self._splitter.after)
            if part.author is Author.PERSON:
                self._edited_until = length

    @property
    def position(self) -> int:
        return len(self.body)

    @property
    def thinking(self) -> bool:
        return self.answer_start is None

    @property
    def is_open(self) -> bool:
        """Tell whether the text is in a thinking that has to be closed: the text of models without tags has none."""
        return self.thinking and bool(self.closing_tags)

    @property
    def closed_by(self) -> Author | None:
        """Return who closed the thinking; None if it is open."""
        return next((part.author for part in reversed(self.body.parts) if part.closing_tag), None)

    @property
    def large_share(self) -> float:
        """Return the large model's share of all tokens (the paper's modify ratio)."""
        return self.tokens[Author.LARGE] / max(1, self.kept)

    @property
    def kept(self) -> int:
        """Return the number of tokens of both models."""
        return self.tokens[Author.SMALL] + self.tokens[Author.LARGE]

    @property
    def repeats_step(self) -> bool:
        """Tell whether the last two steps are the same, as far as they are within the last characters."""
        steps = split(self.body.text[-LONGEST_REPEATED:], self.boundary)
        return len(steps) >= 2 and steps[-1].strip() == steps[-2].strip() != ""

    @property
    def at_boundary(self) -> bool:
        return self._splitter.at_boundary

    @property
    def step_start(self) -> int:
        """Return where the current step begins."""
        return self._step_starts[-1]

    @property
    def last_step_start(self) -> int:
        """Return where the step before the current one begins."""
        return self._step_starts[-2] if len(self._step_starts) > 1 else 0

    @property
    def steps_ended(self) -> int:
        """Return how many steps have ended."""
        return len(self._step_starts) - 1

    @property
    def step_begun(self) -> bool:
        """Tell whether more than white space follows the last boundary."""
        return bool(self.body.text[self.step_start :].strip())

    @property
    def within_step(self) -> bool:
        """Tell whether the text ends within a step: after its first character and before its boundary. After a cap,
        white space alone counts as a step; else the step before the cap would be rewritten instead."""
        return self.position > self.step_start and not self.at_boundary

    @property
    def rewritable_from(self) -> int:
        """Return where the step begins that may be rewritten; what a person wrote of it stays."""
        return max(self._edited_until, self.step_start if self.within_step else self.last_step_start)

    def append(self, token: Token, author: Author, vocabulary: str) -> tuple[str, bool]:
        """Add a token; returns its text and whether it completed a step boundary."""
        text = self._decoder.decode(token.data)
        self.inside_character = token.held or bool(self._decoder.getstate()[0])
        self.body.append(Part(text, author, token.id, vocabulary if token.id is not None else ""))
        self.tokens[author] += 1
        ends_step = self._splitter.feed(text)
        if ends_step:
            # The token may also hold the first word of the new step.
            self._step_starts.append(self.position - self._splitter.after)
        return text, ends_step

    def end_step(self) -> None:
        """End the step here, at its cap, though there is no boundary."""
        self._step_starts.append(self.position)
        self._capped.add(self.position)
        self._splitter = Splitter("", self.boundary)

    def insert(self, text: str, author: Author = Author.INSERTED) -> None:
        self.body.append(Part(text, author))
        self.inside_character = False
        if self._splitter.feed(text):
            self._step_starts.append(self.position - self._splitter.after)
        if author is Author.PERSON:
            self._edited_until = self.position

    def discard(self, position: int) -> tuple[str, int]:
        """Cut the text at `position`; returns the discarded text and its number of tokens."""
        text, gone = self.body.cut(position)
        self.discards += 1
        for part in gone:
            self.tokens[part.author] -= 1
        while len(self._step_starts) > 1 and self.step_start > position:
            self._step_starts.pop()
        if self.answer_start is not None and position < self.answer_start:
            self.answer_start = None
        self._capped = {start for start in self._capped if start <= position}
        begins = self.step_start if self.step_start in self._capped else self.last_step_start
        self._splitter = Splitter(self.body.text[begins:], self.boundary)
        self._decoder, self.inside_character = Utf8Decoder(), False
        return text, sum(part.author.is_model for part in gone)

    def unknown_tag_remark(self) -> str:
        """Say that a text of models without thinking tags begins with one all the same; empty if it does not."""
        found = None if self.closing_tags else _TAG_OF_THINKING.match(self.body.text)
        if not found:
            return ""
        return (
            f"The text begins with {found.group().strip()}, a thinking tag that no model's chat template shows. "
            "Set the model's thinking tags on its page, or choose a file with its own template."
        )

    def before_tag(self, end: int) -> int:
        """Return where a closing tag begins that the first `end` characters may hold a part of; `end` if there is none.

        What follows may be discarded: a tag that is complete may be none again, and the other way round.
        """
        if not self.closing_tags or (self.answer_start is not None and end >= self.answer_start):
            return end
        tail = self.body.text[max(0, end - max(map(len, self.closing_tags))) : end]
        for length in range(len(tail), 0, -1):
            if any(tag.startswith(tail[-length:]) for tag in self.closing_tags):
                return end - length
        return end

    def close_thinking(self) -> str:
        """End the thinking if the text has just completed a closing tag; returns the tag, or "".

        A tag inside `inline code` does not count.
        """
        if not self.thinking or not self.body.parts:
            return ""
        recent = len(self.body.parts[-1].text)
        for tag in self.closing_tags:
            start = self.body.text.find(tag, max(0, len(self.body) - len(tag) - recent))
            if start >= 0 and not self._quoted(start):
                self.answer_start = start + len(tag)
                self.body.mark_closing(tag, self.answer_start)
                return tag
        return ""

    def _quoted(self, position: int) -> bool:
        """Tell whether a back-tick is open on this line."""
        text = self.body.text
        return text.count("`", text.rfind("\n", 0, position) + 1, position) % 2 == 1
