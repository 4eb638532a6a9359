"""Finds out how a chat template thinks, by rendering it: the exact tags, and the switch that turns the thinking off.

What a template names tells little: it may name `</think>` only to remove it from earlier turns, and a variable only to
ignore it. So a short conversation is rendered with the thinking on and off, and with an answer that has a reasoning.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple

from baton_reasoning.core.engines.templates import NO_THINK, turned, without_tools
from baton_reasoning.core.errors import EngineRefused
from baton_reasoning.core.models.thinking_tags import KNOWN_TAGS, R1_TURN, ThinkingTags, tags_in

_QUESTION, _REASONING, _ANSWER = "QUESTION", "REASONING", "ANSWER"
_TAG_AT_THE_END = re.compile(r"(?:<[^<>\s]*>[^<>\s]+)?(?:<[^<>]*>|\[[^\[\]]*\])\s*$")
_UNLISTED_OPENING = re.compile(r"(<|\[)([^<>\[\]/\n]*(?:think|reason|thought)[^<>\[\]\n]*)(>|\])\s*$", re.IGNORECASE)


class ThinkingSwitch(Enum):
    """What turns the thinking of a template off."""

    NONE = "none"
    VARIABLE = "a variable"
    SYSTEM_PROMPT = "a word in the system prompt"


class TemplateThinking(NamedTuple):
    """How a chat template thinks. `tags`: None if it does not, as far as it shows."""

    tags: ThinkingTags | None = None
    switch: ThinkingSwitch = ThinkingSwitch.NONE

    @property
    def is_switched(self) -> bool:
        """Whether the thinking can be turned off."""
        return self.switch is not ThinkingSwitch.NONE


class _Rendered(NamedTuple):
    """What a template makes of one question: the prompts to where the model writes, and its whole turn."""

    on: str
    off: str
    no_think: str
    """With the word in the system prompt that turns thinking off."""
    other_system: str
    """With another system prompt."""
    turn: str
    """With an answer and its reasoning."""


def thinking_of(template: str, effort: str = "") -> TemplateThinking:
    """Find out how a template thinks, with this reasoning effort: in milliseconds, once for each template.

    One that cannot be rendered does not think; whoever needs its prompt is told why.
    """
    try:
        return _rendered_thinking(template, effort)
    except EngineRefused:
        return TemplateThinking()


@lru_cache(maxsize=64)
def _rendered_thinking(template: str, effort: str) -> TemplateThinking:
    """Raises EngineRefused, which is not remembered: the fault may be the machine's."""
    question = {"role": "user", "content": _QUESTION}
    reasoning = dict.fromkeys(("reasoning_content", "reasoning", "thinking"), _REASONING)
    answered = [question, {"role": "assistant", "content": _ANSWER, **reasoning}]
    on = without_tools(template, _asked([question], turned(True, effort)))
    rendered = _Rendered(
        on,
        _text(template, _asked([question], turned(False))),
        _text(template, _asked([{"role": "system", "content": NO_THINK}, question], {})),
        _text(template, _asked([{"role": "system", "content": "/"}, question], {})),
        _text(template, _asked(answered, turned(True, effort)) | {"add_generation_prompt": False}),
    )
    switch = ThinkingSwitch.NONE
    if rendered.off not in ("", on):
        switch = ThinkingSwitch.VARIABLE
    elif _ending(rendered.no_think) not in ("", _ending(rendered.other_system)):
        switch = ThinkingSwitch.SYSTEM_PROMPT
    tags = _shown_tags(rendered) or _known_tags(rendered) or _unlisted_tags(on, template) or _tags_of_r1(on, template)
    return TemplateThinking(tags, switch)


def _asked(messages: list[dict[str, str]], variables: dict[str, Any]) -> dict[str, Any]:
    """Return the variables of a prompt for these messages, without a BOS."""
    return {"messages": messages, "bos_token": "", "eos_token": "", "add_generation_prompt": True, **variables}


def _text(template: str, variables: dict[str, Any]) -> str:
    """Render the template; empty if that fails."""
    try:
        return without_tools(template, variables)
    except EngineRefused:
        return ""


def _ending(prompt: str) -> str:
    return prompt.rpartition(_QUESTION)[2]


def _shown_tags(rendered: _Rendered) -> ThinkingTags | None:
    """Read the tags off a turn that the template renders with its reasoning and its answer."""
    before, reasoning, rest = rendered.turn.partition(_REASONING)
    closing, answer, _ = rest.partition(_ANSWER)
    if not (reasoning and answer and closing.strip() and before.startswith(rendered.on)):
        return None
    opening = before.removeprefix(rendered.on)
    if not opening.strip():  # the prompt has it
        opening = _last_tag(rendered.on)
    return ThinkingTags(opening, closing.strip()) if opening else None


def _last_tag(prompt: str) -> str:
    """Return the tag at the end of a prompt, with the blanks behind it; empty if there is none."""
    for tags in KNOWN_TAGS:
        if prompt.rstrip().endswith(opening := tags.opening.strip()):
            return prompt[prompt.rindex(opening) :]
    found = _TAG_AT_THE_END.search(_ending(prompt))
    return found.group() if found else ""


def _known_tags(rendered: _Rendered) -> ThinkingTags | None:
    """Find the known tags that the prompt opens, closes when the thinking is off, or tells the model to write."""
    on, turn = _ending(rendered.on), _ending(rendered.turn)
    off = _ending(rendered.off) + _ending(rendered.no_think)
    instructions = rendered.on.removesuffix(on)
    for tags in KNOWN_TAGS:
        opening = tags.opening.strip()
        if on.rstrip().endswith(opening):
            return ThinkingTags(_last_tag(on), tags.closing)
        is_closed_when_off = tags.closing in off and tags.closing not in on
        is_told = opening in instructions and tags.closing in instructions
        if is_closed_when_off or is_told or opening in turn:
            begins, found, _ = turn.removeprefix(on).partition(opening)
            is_exact = found and turn.startswith(on) and not begins.strip()
            return ThinkingTags(f"{begins}{opening}" if is_exact else tags.opening, tags.closing)
    return None


def _unlisted_tags(on: str, template: str) -> ThinkingTags | None:
    """Find tags that nobody has listed: the prompt ends with one, and the template names its counterpart."""
    if found := _UNLISTED_OPENING.search(_ending(on)):
        bracket, name, end = found.groups()
        closing = f"{bracket}/{name}{end}"
        return ThinkingTags(found.group(), closing) if closing in template else None
    return None


def _tags_of_r1(on: str, template: str) -> ThinkingTags | None:
    """The first R1 distills think, though their template says no more than how to remove it from earlier turns."""
    return tags_in(template) if on.endswith(R1_TURN) else None
