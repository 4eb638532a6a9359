"""Problems and answers alone, as plain text."""

from __future__ import annotations

from baton_reasoning.core.conversation import Conversation


def to_text(conversation: Conversation) -> str:
    shown = [f"{each.problem}\n\n{each.trace.answer.strip()}" for each in conversation.path]
    return "\n\n---\n\n".join(shown) + "\n"
