"""How an answer goes on as another from a place in its text: the move that a person wants there."""

from __future__ import annotations

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.policy import Move, Until, keep, take_over
from baton_reasoning.core.thinking.reasons import PERSON

STEP_CAP = 512
"""Tokens that a step may have when the large model is asked to write it again."""


def move_of(author: Author, default_writer: Author = Author.SMALL) -> Move:
    """Let this model write the next step; the policy, which has a default writer, decides from there."""
    return keep() if author is default_writer else take_over(STEP_CAP, PERSON, until=Until.STEP, author=author)
