"""A small model that does not reason (paper §4.2): the large one opens the text and each step of it.

Without the opening the gain vanishes (MATH500 73.8 against 79.2 with a 7B guide). Nothing is classified.
"""

from __future__ import annotations

from core.thinking.events import Rule
from core.thinking.policy import Keep, Move, Policy, TakeOver, Until, View


class EveryStep(Policy):
    name = "every-step"

    def __init__(self, opening: int, tokens: int, until: Until) -> None:
        """`opening`: first tokens by the large model (100); `tokens`: its part of each later step (n1)."""
        self.first = TakeOver(opening, Rule.OPENING, until=until)
        self.each = TakeOver(tokens, Rule.EVERY_STEP, until=until)

    def opening(self, view: View) -> Move:
        return self.first

    def at_boundary(self, view: View) -> Move:
        return self.each if view.thinking else Keep()

    def on_takeover_end(self, view: View) -> Move:
        # A takeover that ended at a boundary has given the small model's step away; the small one is next.
        return Keep()
