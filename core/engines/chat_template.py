"""Renders a conversation by a model's chat template, with thinking opened.

What a person wrote is kept apart from the template's own text, so that "<|im_end|>" in a question stays text.
"""

from __future__ import annotations

from typing import NamedTuple

from baton_reasoning.core.engines.base import Conversation, Message
from baton_reasoning.core.engines.template_renderer import RENDERER, unusable
from baton_reasoning.core.errors import EngineRefused
from baton_reasoning.core.models.options import ThinkingTags

SWITCH = "enable_thinking"
"""The variable by which most templates turn the thinking on or off: those of Qwen3, SmolLM3, GLM and others."""
MOST_REPEATS = 4
"""Repeats of each message in a prompt; otherwise a short template could multiply a long question."""
_MARK = "\ue000{}\ue001"  # private-use characters, which have no meaning in a template


class PromptPiece(NamedTuple):
    """A part of a prompt. Control tokens are recognised in a template's own text only."""

    text: str
    from_template: bool


def has_switch(template: str) -> bool:
    """Tell whether the template can turn the thinking off."""
    return SWITCH in template


def render_prompt(
    conversation: Conversation, template: str, bos: str, eos: str, thinking: ThinkingTags | None, thinks: bool = True
) -> list[PromptPiece]:
    """Render the prompt up to where the model writes, with the generation prompt and the opening of thinking.

    `thinks`: False sets the template's switch to off and opens no thinking.

    Without a template the contents are joined by blank lines, which a base model can continue. A system prompt that
    the template has no place for stands at the head of the first question, as the makers of such models advise.
    Raises EngineRefused if the template cannot be rendered within the limits.
    """
    if not template:
        text = "".join(f"{message.content}\n\n" for message in conversation)
        return [PromptPiece(bos, True), PromptPiece(text, False)]
    text = _rendered(conversation, template, bos, eos, thinks)
    if not text and conversation[0].role == "system":
        conversation = _merged(conversation)
        text = _rendered(conversation, template, bos, eos, thinks)
    if thinking and thinks and not text.rstrip().endswith(thinking.opening):
        text += f"{thinking.opening}\n"
    return _fill_in(text, conversation)


def _rendered(conversation: Conversation, template: str, bos: str, eos: str, thinks: bool) -> str:
    """Render the template with a mark for each message; "" if it has no place for the system prompt."""
    marked = [{"role": message.role, "content": _MARK.format(index)} for index, message in enumerate(conversation)]
    variables = {"messages": marked, "bos_token": bos, "eos_token": eos, "add_generation_prompt": True, "tools": None}
    variables[SWITCH] = thinks
    if conversation[0].role != "system":
        return RENDERER.render(template, variables)
    try:
        text = RENDERER.render(template, variables)
    except EngineRefused:
        return ""  # such as “System role not supported”; any other error comes again without a system prompt
    head, mark, _ = text.partition(_MARK.format(0))
    # A template that never speaks of a system would show the prompt as what another role has said.
    return text if mark and ("system" in template or "system" in head.lower()) else ""


def _merged(conversation: Conversation) -> Conversation:
    """Move the system prompt to the head of the first question."""
    system, first, *others = conversation
    return (Message(first.role, f"{system.content}\n\n{first.content}"), *others)


def _fill_in(text: str, conversation: Conversation) -> list[PromptPiece]:
    """Replace the marks by the messages, each a piece of its own."""
    pieces: list[PromptPiece] = []
    head, *parts = text.split("\ue000")
    if head:
        pieces.append(PromptPiece(head, True))
    if len(parts) > MOST_REPEATS * len(conversation):
        raise unusable("it repeats what messages say too often")
    for part in parts:
        index, _, rest = part.partition("\ue001")
        if not (index.isdecimal() and int(index) < len(conversation)):
            raise unusable("it changes what a message says")
        pieces.append(PromptPiece(conversation[int(index)].content, False))
        if rest:
            pieces.append(PromptPiece(rest, True))
    return pieces
