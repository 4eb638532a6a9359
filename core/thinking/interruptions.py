"""Defines what may interrupt a program from outside: a person, and the limits of a run.

An interruption closes the program. What is wanted is carried out, and the program starts anew where the text stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.requests import Close, Step, TakeOver
from baton_reasoning.core.thinking.text import Text


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done instead of what the program would do."""

    request: TakeOver | Close | Step | None = None
    """None: only the program starts anew."""
    rewrites: bool = False
    """Whether a takeover replaces the step that is being written or, at a boundary, the one that has just ended."""


class Interrupted(Exception):
    """The program is interrupted for a wish."""

    def __init__(self, wish: Wish) -> None:
        super().__init__(wish)
        self.wish = wish


class Ended(Exception):
    """The run ends; the text so far is kept."""

    def __init__(self, finish: Finish, reason: str = "") -> None:
        super().__init__(finish, reason)
        self.finish = finish
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Moment:
    """The moment in which an interruption is possible."""

    text: Text
    author: Author
    """Who writes."""
    in_takeover: bool
    seconds: float
    """Since the run began."""


class Interruption(Protocol):
    """May interrupt a program."""

    def check(self, moment: Moment) -> None:
        """Asked at the beginning, after every token, and during a long prefill. Raises Interrupted, or Ended."""
        ...

    def allows(self, takeover: TakeOver, moment: Moment) -> bool:
        """Tell whether a takeover may begin."""
        ...
