"""Parses Markdown with markdown-it, and keeps where in the text each token stands.

markdown-it names the lines of a block, and no place within a line. Here each token of a line has one: `meta["at"]`, in
characters of the line's content, and `Places` tells where that is in the text.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from baton_reasoning.core.markdown.formulas import formula, hide_pipes, no_markup, paragraph

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_REPLACED = {"\r": "\n", "\u2028": " ", "\u2029": " "} | dict.fromkeys("\0\ue000\ufffc\ufdd0\ufdd1", "\ufffd")
_SEPARATORS = str.maketrans(_REPLACED)
"""Characters that Markdown or Qt would take for the end of a line or of a frame, and those that stand for others."""


class Parsed(NamedTuple):
    tokens: list[Token]
    open_at: int | None
    """Where the first displayed formula begins that what follows may close."""


class Places:
    """Where the characters of a content stand in the text: in stretches, each as long as it is there."""

    def __init__(self, stretches: Sequence[tuple[int, int]]) -> None:
        """`stretches`: where each begins in the content and in the text, in order."""
        self._stretches = stretches

    def of(self, at: int) -> int:
        """Return where in the text a character of the content stands."""
        begin, place = self._stretches[max(0, bisect_right(self._stretches, at, key=lambda each: each[0]) - 1)]
        return place + at - begin

    def cuts(self, start: int, end: int) -> list[int]:
        """Return where other stretches begin within a part of the content."""
        return [begin for begin, _ in self._stretches if start < begin < end]


def clean(written: str) -> str:
    """Return a text as it is parsed and shown: as long as it was, without what would break a line unseen."""
    return written.replace("\r\n", " \n").translate(_SEPARATORS)


def parse(text: str) -> Parsed:
    """Parse a text that was cleaned."""
    env: dict[str, Any] = {}
    tokens = _parser().parse(hide_pipes(text), env)
    return Parsed(tokens, env.get("open"))


def places_of(inline: Token, lines: Sequence[str], starts: Sequence[int], cell_from: int | None) -> Places:
    """Return where the content of an inline token stands in the text.

    `lines`, `starts`: all lines of the text, and where each begins. `cell_from`: where in its line
    the cell before this one ends; None outside of tables.
    """
    assert inline.map is not None  # all of markdown-it's have one
    first = inline.map[0]
    if cell_from is not None:
        return Places(_of_cell(inline.content, lines[first], starts[first], cell_from))
    stretches, at = [], 0
    for number, content in enumerate(inline.content.split("\n")):
        line = lines[first + number]
        # Only what stands before and after the content was removed from its line: markers, and white space.
        after = line.rfind(content.strip()) + len(content.strip()) if content.strip() else len(line.rstrip())
        stretches.append((at, starts[first + number] + after - len(content.rstrip())))
        at += len(content) + 1
    return Places(stretches)


def _of_cell(content: str, line: str, start: int, cell_from: int) -> list[tuple[int, int]]:
    """Find a cell in its row. A bar that a backslash keeps in the cell is written without it there."""
    written = content if line.find(content, cell_from) >= 0 else content.replace("|", "\\|")
    begin = max(cell_from, line.find(written, cell_from))
    bars = [at for at, letter in enumerate(content) if letter == "|"] if written != content else []
    return [(0, start + begin), *((at, start + begin + at + number) for number, at in enumerate(bars, 1))]


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # not at the start of a program, which it would delay
    from markdown_it.parser_inline import ParserInline
    from markdown_it.rules_inline import StateInline

    class PlacedLine(StateInline):
        """Notes where in its content each token of a line stands."""

        began = 0

        def append_pending(self, text: str) -> None:
            if not self.pending:
                self.began = self.pos
            super().append_pending(text)

        def pushPending(self) -> Token:  # noqa: N802 - markdown-it's
            token = super().pushPending()
            token.meta["at"] = self.began
            return token

        def push(self, ttype: str, tag: str, nesting: Any) -> Token:
            token = super().push(ttype, tag, nesting)
            token.meta["at"] = self.pos
            return token

    class PlacedInline(ParserInline):
        def parse(self, src: str, md: MarkdownIt, env: Any, tokens: list[Token]) -> list[Token]:
            state, end = PlacedLine(src, md, env, tokens), 0
            self.tokenize(state)
            for token in state.tokens:  # signs of emphasis are pushed one by one from one place
                if token.type == "text":
                    token.meta["at"] = max(token.meta["at"], end)
                    end = token.meta["at"] + len(token.content)
            for rule in self.ruler2.getRules(""):
                rule(state)
            return state.tokens

    # Models end lines where they mean it. They indent formulas, and underline with dashes; neither means code or a
    # heading.
    parser = MarkdownIt()
    parser.inline = PlacedInline()
    parser.configure("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    parser.disable(["code", "lheading", "reference", "html_block", "html_inline", "text_join", "fragments_join"])
    parser.inline.ruler.before("escape", "formula", formula)
    parser.inline.ruler.before("escape", "no_markup", no_markup)
    parser.block.ruler.at("paragraph", paragraph)
    parser.validateLink = _leads_to_the_web  # type: ignore[assignment, method-assign]
    return parser


def _leads_to_the_web(address: str) -> bool:
    try:
        return urlsplit(address).scheme in ("http", "https")
    except ValueError:
        return False
