"""How an answer goes on as another from a place in its text: what a person wants there first."""

from __future__ import annotations

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.interruptions import Wish
from baton_reasoning.core.thinking.reasons import PERSON
from baton_reasoning.core.thinking.requests import Step, TakeOver, Until

STEP_CAP = 512
"""Tokens that a step may have when the large model is asked to write it again."""


def wish_of(author: Author, default_writer: Author = Author.SMALL) -> Wish:
    """Let this model write the next step; the policy, which has a default writer, decides from there."""
    return Wish(Step() if author is default_writer else TakeOver(STEP_CAP, PERSON, until=Until.STEP, author=author))
