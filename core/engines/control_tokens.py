"""Tokenizes prompts and texts so that control tokens are the template's alone.

What a person or another model wrote may spell "<|im_end|>", and has to stay text. llama.cpp recognises a token of type
CONTROL only if asked to, but one of type USER_DEFINED in any text; so converters made those of gpt-oss, and `</think>`
in Qwen3. A text is therefore cut where it spells a single token.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

Tokenize = Callable[[str, bool], Sequence[int]]
"""Makes tokens of a text on its own; control tokens are recognised if the second argument is true."""

_LIKE_CONTROL = re.compile(r"<[^<>\s]{1,80}>|\[[^\[\]\s]{1,80}\]|\[[A-Z][A-Z ]{1,80}\]|[\[\]]~[^\[\]\s]{0,80}[\[\]]")
"""How control tokens are spelt: "<|end|>", "<s>", "[INST]", "]~b]"."""
_LONGEST = 100


class PromptPiece(NamedTuple):
    """A part of a prompt. Control tokens are recognised in a template's own text only."""

    text: str
    from_template: bool


def prompt_ids(pieces: Iterable[PromptPiece], tokenize: Tokenize, begin: Tokenize) -> list[int]:
    """Tokenize a prompt as llama.cpp does: as one text, but for pieces that spell control tokens.

    `begin` tokenizes its beginning, where SentencePiece puts a blank.
    """
    ids: list[int] = []
    run = ""
    for piece in pieces:
        if not _may_join(run, piece, tokenize):
            ids += (tokenize if ids else begin)(run, True)
            run = ""
        if run or piece.from_template or _may_join("", piece, tokenize):
            run += piece.text
        else:
            ids += text_ids(piece.text, tokenize)
    return [*ids, *(tokenize if ids else begin)(run, True)]


def text_ids(text: str, tokenize: Tokenize) -> list[int]:
    """Tokenize a text that has no control tokens, whatever it spells."""
    ids: list[int] = []
    start = 0
    for found in _LIKE_CONTROL.finditer(text):
        if len(tokenize(found.group(), False)) == 1:
            ids += tokenize(text[start : found.start() + 1], False)
            start = found.start() + 1
    return [*ids, *tokenize(text[start:], False)]


def _may_join(run: str, piece: PromptPiece, tokenize: Tokenize) -> bool:
    """Return whether a piece can be tokenized together with what precedes it: no control token comes of it."""
    before = run[-_LONGEST:]
    for found in _LIKE_CONTROL.finditer(before + piece.text):
        crosses = found.start() < len(before) < found.end()
        is_inside = found.start() >= len(before) and not piece.from_template
        if (crosses or is_inside) and len(tokenize(found.group(), True)) == 1:
            return False
    return True
