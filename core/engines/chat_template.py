"""A conversation as the text that one model was trained on: its chat template, and thinking opened.

Templates come from model files, so they run in an immutable sandbox and may only read what they are given. What
a person wrote is kept apart from the template's own text, so that "<|im_end|>" in a question stays a question.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from core.child_process import NoAnswer, answered_apart
from core.engines.base import Conversation, Message
from core.errors import EngineRefused
from core.models.overrides import ThinkingTags

_MARK = "\ue000{}\ue001"  # private-use characters: no template and no tokenizer gives them a meaning


class PromptPiece(NamedTuple):
    """A part of a prompt. Control tokens are recognised in a template's own text only."""

    text: str
    from_template: bool


def render_prompt(
    conversation: Conversation, template: str, bos: str, eos: str, thinking: ThinkingTags | None
) -> list[PromptPiece]:
    """The prompt up to where the model writes, the generation prompt and the opening of thinking included.

    Without a template the contents follow each other, parted by blank lines: what a base model can go on from.
    Raises EngineRefused if the template cannot be rendered.
    """
    if not template:
        text = "".join(f"{message.content}\n\n" for message in conversation)
        return [PromptPiece(bos, True), PromptPiece(text, False)]
    marked = [{"role": message.role, "content": _MARK.format(index)} for index, message in enumerate(conversation)]
    text = _render(template, messages=marked, bos_token=bos, eos_token=eos, add_generation_prompt=True)
    if thinking and not text.rstrip().endswith(thinking.opening):
        text += f"{thinking.opening}\n"
    return _fill_in(text, conversation)


def _render(template: str, **variables: Any) -> str:
    try:
        return _compiled(template).render(tools=None, **variables)
    except (jinja2.TemplateError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise EngineRefused(
            f"The model's chat template cannot be used: {error}.",
            "Another conversion of the model may have a working one.",
        ) from error


@lru_cache(maxsize=8)
def _compiled(template: str) -> jinja2.Template:
    """Compiling takes milliseconds, and every session of a model has the same template."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    helpers: dict[str, Callable[..., str]] = {"raise_exception": _refuse, "strftime_now": _today}
    environment.globals.update(helpers)
    return environment.from_string(template)


def _refuse(reason: str) -> str:
    raise jinja2.TemplateError(reason)


def _today(form: str) -> str:
    return datetime.now().astimezone().strftime(form)


def _fill_in(text: str, conversation: Conversation) -> list[PromptPiece]:
    """Put the contents back in place of their marks, each as a piece of its own."""
    pieces: list[PromptPiece] = []
    head, *parts = text.split("\ue000")
    if head:
        pieces.append(PromptPiece(head, True))
    for part in parts:
        index, _, rest = part.partition("\ue001")
        pieces.append(PromptPiece(conversation[int(index)].content, False))
        if rest:
            pieces.append(PromptPiece(rest, True))
    return pieces


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


class PromptOrigin(Enum):
    BOTH = " "
    HERE = "+"
    KNOWN = "−"


@dataclass(frozen=True)
class PromptLine:
    """A piece of a prompt: up to a line break, or to the next control token."""

    origin: PromptOrigin
    text: str


@lru_cache(maxsize=64)
def prompt_of(template: str, tags: ThinkingTags | None) -> str:
    """The probe as this template renders it, thinking opened as the engine opens it. Raises EngineRefused."""
    try:
        return answered_apart(_render_probe, template, tags, seconds=SECONDS)
    except NoAnswer as error:
        raise EngineRefused(
            f"The chat template did not come to an end: {error}.",
            "Look for another conversion of the model.",
        ) from error


def compared(prompt: str, known: str) -> tuple[PromptLine, ...]:
    """Both prompts in one list, in the order in which a difference is read: what is known first, then what is here."""
    ours, theirs = pieces(prompt), pieces(known)
    lines: list[PromptLine] = []
    for kind, known_from, known_to, here_from, here_to in SequenceMatcher(None, theirs, ours, False).get_opcodes():
        if kind == "equal":
            lines += [PromptLine(PromptOrigin.BOTH, text) for text in ours[here_from:here_to]]
            continue
        lines += [PromptLine(PromptOrigin.KNOWN, text) for text in theirs[known_from:known_to]]
        lines += [PromptLine(PromptOrigin.HERE, text) for text in ours[here_from:here_to]]
    return tuple(lines)


def pieces(prompt: str) -> list[str]:
    """One a line and one a control token; a line break is shown as ↵."""
    return [piece.replace("\n", "↵") for piece in _PIECES.split(prompt) if piece]


def _render_probe(template: str, tags: ThinkingTags | None) -> str:
    return "".join(piece.text for piece in render_prompt(PROBE, template, BOS, EOS, tags))[:LONGEST_PROMPT]
