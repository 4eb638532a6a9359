"""What holds scripted models back while they write."""

import threading

from baton_reasoning.core.engines.base import Messages, Placement
from baton_reasoning.core.engines.remote.status import ServerState, ServerStatus
from baton_reasoning.core.run import Pair
from tests.fakes.scripted import ScriptedEngine
from tests.patience import PATIENCE


class Gate(threading.Event):
    """Set, it lets go what waits for it: the tokens of a model, those `after` so many characters of its text."""

    def __init__(self, after: int = 0) -> None:
        super().__init__()
        self.after = after

    def wait_at(self, body: str) -> None:
        """For `before_token`."""
        assert len(body) < self.after or self.wait(PATIENCE), "nothing opened the gate"


class ServedEngine(ScriptedEngine):
    """Scripted, with the status of a server."""

    status = ServerStatus(ServerState.CONNECTED)

    def ping(self) -> None:
        """Answer."""


class HeldAnswers:
    """A pair that writes `parallel` texts at a time, each of which stops in the middle until it is let go.

    A problem is one word, which its answer repeats.
    """

    def __init__(self, parallel: int = 1) -> None:
        self._gates: dict[str, threading.Event] = {}
        self._is_over = False
        placement = Placement((), batch=512, threads=1, kv_type="f16", parallel=parallel)

        def write(conversation: Messages, body: str) -> str:
            problem = conversation[-1].content.split()[0]
            return f"About {problem}, we think.\n\nDone.</think>\n\nThat was {problem}."[len(body) :]

        def hold(body: str) -> None:
            if body.startswith("About ") and body.count(" ") == 3:
                gate = self._gate(body.split()[1].rstrip(","))
                assert self._is_over or gate.wait(PATIENCE), "nothing let it go"

        self.small = ScriptedEngine(continue_with=write, before_token=hold, placement=placement)
        self.large = ScriptedEngine(continue_with=write, placement=placement, name="large")
        self.pair = Pair(self.small, self.large)

    def let_go(self, problem: str) -> None:
        """Let the answer to this problem be written to its end, now or later."""
        self._gate(problem).set()

    def let_all_go(self) -> None:
        """Hold nothing any more: the test is over."""
        self._is_over = True
        for problem in list(self._gates):
            self.let_go(problem)

    def _gate(self, problem: str) -> threading.Event:
        return self._gates.setdefault(problem, threading.Event())
