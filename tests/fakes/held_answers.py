"""Scripted models whose answers stop in the middle until a test lets them go, each by its problem."""

from __future__ import annotations

import threading

from baton_reasoning.core.engines.base import Conversation, Placement
from baton_reasoning.core.run import Pair
from tests.fakes.scripted import ScriptedEngine

LOOK_EVERY = 0.02
"""Seconds between two looks at whether everything is let go."""


class HeldAnswers:
    """A pair that writes `parallel` texts at a time. A problem is one word, which its answer repeats."""

    def __init__(self, parallel: int = 1) -> None:
        self._gates: dict[str, threading.Event] = {}
        self._all = threading.Event()
        placement = Placement((), batch=512, threads=1, kv_type="f16", parallel=parallel)

        def write(conversation: Conversation, body: str) -> str:
            problem = conversation[-1].content.split()[0]
            return f"About {problem}, we think.\n\nDone.</think>\n\nThat was {problem}."[len(body) :]

        def hold(body: str) -> None:
            if body.startswith("About ") and body.count(" ") == 3:
                gate = self._gate(body.split()[1].rstrip(","))
                while not self._all.is_set() and not gate.wait(LOOK_EVERY):
                    continue

        self.small = ScriptedEngine(continue_with=write, before_token=hold, placement=placement)
        self.large = ScriptedEngine(continue_with=write, placement=placement, name="large")

    @property
    def pair(self) -> Pair:
        return Pair(self.small, self.large)

    def let_go(self, problem: str) -> None:
        """Let the answer to this problem be written to its end, now or later."""
        self._gate(problem).set()

    def let_all_go(self) -> None:
        """Hold nothing any more: the test is over."""
        self._all.set()

    def _gate(self, problem: str) -> threading.Event:
        return self._gates.setdefault(problem, threading.Event())
