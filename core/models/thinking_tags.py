"""The texts between which a model thinks, as chat templates name them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ThinkingTags:
    """The texts that open and close the thinking of a model, exactly as it writes them.

    For most models `<think>`, with a newline behind it, and `</think>`.
    """

    opening: str
    closing: str


KNOWN_TAGS = (
    ThinkingTags("<think>\n", "</think>"),  # DeepSeek, Qwen, Phi, Nemotron and most others
    ThinkingTags("[THINK]", "[/THINK]"),  # Magistral, Ministral
    ThinkingTags("<seed:think>", "</seed:think>"),  # Seed-OSS
    ThinkingTags("<|START_THINKING|>", "<|END_THINKING|>"),  # Command R7B and A
    ThinkingTags("<|channel>thought\n", "<channel|>"),  # Gemma 4
    ThinkingTags("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),  # gpt-oss
    ThinkingTags("Here are my reasoning steps:\n", "[BEGIN FINAL RESPONSE]"),  # Apriel
)


R1_TURN = "<｜Assistant｜>"
"""The first templates of the R1 distills end with it, and name the closing tag alone, to remove earlier thinking."""


def tags_in(template: str) -> ThinkingTags | None:
    """Guess the thinking tags of a chat template, or of a prompt rendered with it, by the opening that it names.

    Whoever renders the template knows better: see `core.engines.template_thinking`.
    """
    is_r1 = R1_TURN in template and KNOWN_TAGS[0].closing in template
    return next((tags for tags in KNOWN_TAGS if tags.opening.strip() in template), KNOWN_TAGS[0] if is_r1 else None)
