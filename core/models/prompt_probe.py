"""What a model is given: a short conversation in its chat template, held against the one its family is known for.

Converters rewrite templates, so their sources differ where nothing else does. What they make of a conversation is what
a model reads; that is compared. A template comes from a file and may never end, so a process that can be killed
renders it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum
from functools import lru_cache

from core.engines.base import Message, ThinkingTags
from core.engines.templates import render_prompt
from core.errors import EngineRefused
from core.own_process import NoAnswer, answered_apart

PROBE = (
    Message("user", "‹first question›"),
    Message("assistant", "‹first answer›"),
    Message("user", "‹question›"),
)
BOS, EOS = "{bos}", "{eos}"
SECONDS = 5.0
LONGEST_PROMPT = 20_000
"""Characters; more is no template for a conversation."""

_PIECES = re.compile(r"(?=<[|｜])|(?<=\n)")


class Origin(Enum):
    BOTH = " "
    HERE = "+"
    KNOWN = "−"


@dataclass(frozen=True)
class Line:
    """A piece of a prompt: up to a line break, or to the next control token."""

    origin: Origin
    text: str


@lru_cache(maxsize=64)
def prompt_of(template: str, tags: ThinkingTags | None) -> str:
    """The probe as this template renders it, thinking opened as the engine opens it. Raises EngineRefused."""
    try:
        return answered_apart(_render, template, tags, seconds=SECONDS)
    except NoAnswer as error:
        raise EngineRefused(
            f"The chat template did not come to an end: {error}.",
            "Look for another conversion of the model.",
        ) from error


def compared(prompt: str, known: str) -> tuple[Line, ...]:
    """Both prompts in one list, in the order in which a difference is read: what is known first, then what is here."""
    ours, theirs = pieces(prompt), pieces(known)
    lines: list[Line] = []
    for kind, known_from, known_to, here_from, here_to in SequenceMatcher(None, theirs, ours, False).get_opcodes():
        if kind == "equal":
            lines += [Line(Origin.BOTH, text) for text in ours[here_from:here_to]]
            continue
        lines += [Line(Origin.KNOWN, text) for text in theirs[known_from:known_to]]
        lines += [Line(Origin.HERE, text) for text in ours[here_from:here_to]]
    return tuple(lines)


def pieces(prompt: str) -> list[str]:
    """One a line and one a control token; a line break is shown as ↵."""
    return [piece.replace("\n", "↵") for piece in _PIECES.split(prompt) if piece]


def _render(template: str, tags: ThinkingTags | None) -> str:
    return "".join(piece.text for piece in render_prompt(PROBE, template, BOS, EOS, tags))[:LONGEST_PROMPT]
