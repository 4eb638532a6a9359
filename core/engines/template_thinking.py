"""Finds out how a chat template thinks, by rendering it: the exact tags, and the switch that turns the thinking off.

What a template names tells little: it may name `</think>` only to remove it from earlier turns, and a variable only to
ignore it. So a short conversation is rendered with the thinking on and off, and with an answer that has a reasoning.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple

from baton_reasoning.core.engines.templates import NO_THINK, render_template, turned
from baton_reasoning.core.errors import EngineRefused
from baton_reasoning.core.models.options import KNOWN_TAGS, R1_TURN, ThinkingTags

_QUESTION, _REASONING, _ANSWER = "QUESTION", "REASONING", "ANSWER"
_UNKNOWN_OPENING = re.compile(r"(<|\[)([^<>\[\]/\n]*(?:think|reason|thought)[^<>\[\]\n]*)(>|\])\s*$", re.IGNORECASE)


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
    asked: str
    """As `no_think`, with another system prompt."""
    turn: str
    """With an answer and its reasoning."""

    @property
    def begins(self) -> str:
        """What stands before the reasoning beyond the prompt; empty if the template does not show it."""
        if self.turn.startswith(self.on) and _REASONING in self.turn:
            return self.turn[len(self.on) : self.turn.index(_REASONING)]
        return ""


@lru_cache(maxsize=64)
def thinking_of(template: str, effort: str = "") -> TemplateThinking:
    """Find out how a template thinks, with this reasoning effort. Takes some milliseconds; a broken one does not."""
    if not template:
        return TemplateThinking()
    question = {"role": "user", "content": _QUESTION}
    turn = [question, dict.fromkeys(("reasoning_content", "reasoning", "thinking"), _REASONING)]
    turn[1] |= {"role": "assistant", "content": _ANSWER}
    rendered = _Rendered(
        _text(template, [question], turned(True, effort)),
        _text(template, [question], turned(False)),
        _text(template, [{"role": "system", "content": NO_THINK}, question], {}),
        _text(template, [{"role": "system", "content": "/"}, question], {}),
        _text(template, turn, turned(True, effort), ends=True),
    )
    switch = ThinkingSwitch.NONE
    if rendered.on != rendered.off and rendered.off:
        switch = ThinkingSwitch.VARIABLE
    elif _ending(rendered.no_think) != _ending(rendered.asked) and _ending(rendered.no_think):
        switch = ThinkingSwitch.SYSTEM_PROMPT
    tags = _shown_tags(rendered) or _known_tags(rendered, template) or _opened_tags(rendered, template)
    return TemplateThinking(tags, switch)


def _text(template: str, messages: list[dict[str, str]], variables: dict[str, Any], *, ends: bool = False) -> str:
    """Render without a BOS; empty if that fails."""
    known = {"messages": messages, "bos_token": "", "eos_token": "", "add_generation_prompt": not ends, "tools": None}
    try:
        return render_template(template, known | variables)
    except EngineRefused:
        return ""


def _ending(prompt: str) -> str:
    return prompt.rpartition(_QUESTION)[2]


def _shown_tags(rendered: _Rendered) -> ThinkingTags | None:
    """Read the tags off a turn that the template renders with its reasoning and its answer."""
    _, reasoning, rest = rendered.turn.partition(_REASONING)
    closing, answer, _ = rest.partition(_ANSWER)
    if not (reasoning and answer and closing.strip() and rendered.turn.startswith(rendered.on)):
        return None
    opening = rendered.begins if rendered.begins.strip() else _last_tag(rendered.on)
    return ThinkingTags(opening, closing.strip()) if opening else None


def _last_tag(prompt: str) -> str:
    """Return the tag at the end of a prompt, with the blanks behind it; empty if there is none."""
    for tags in KNOWN_TAGS:
        if prompt.rstrip().endswith(opening := tags.opening.strip()):
            return prompt[prompt.rindex(opening) :]
    found = re.search(r"(?:<[^<>\s]*>[^<>\s]+)?(?:<[^<>]*>|\[[^\[\]]*\])\s*$", _ending(prompt))
    return found.group() if found else ""


def _known_tags(rendered: _Rendered, template: str) -> ThinkingTags | None:
    """Find the known tags that the prompt opens, closes when the thinking is off, or tells the model to write."""
    on, turn = _ending(rendered.on), _ending(rendered.turn)
    for tags in KNOWN_TAGS:
        opening = tags.opening.strip()
        opens = on.rstrip().endswith(opening)
        without = [_ending(each) for each in (rendered.off, rendered.no_think)]
        closes = any(tags.closing in each for each in without) and tags.closing not in on
        is_told = opening in rendered.on and tags.closing in rendered.on.replace(on, "")
        if opens:
            return ThinkingTags(_last_tag(rendered.on), tags.closing)
        if on.endswith(R1_TURN) and tags.closing in template:
            return tags
        if closes or is_told or (opening in turn and opening not in on):
            begins, found, _ = turn.removeprefix(on).partition(opening) if turn.startswith(on) else ("", "", "")
            exact = f"{begins}{opening}" if found and not begins.strip() else tags.opening
            return ThinkingTags(exact, tags.closing)
    return None


def _opened_tags(rendered: _Rendered, template: str) -> ThinkingTags | None:
    """Find tags that nobody has listed: the prompt ends with one, and the template names its counterpart."""
    if found := _UNKNOWN_OPENING.search(_ending(rendered.on)):
        bracket, name, end = found.groups()
        closing = f"{bracket}/{name}{end}"
        return ThinkingTags(found.group(), closing) if closing in template else None
    return None
