"""Large only: the control at large share 1."""

from core.thinking.events import Rule
from core.thinking.policy import WITHOUT_END, Keep, Move, Policy, TakeOver, View


class Always(Policy):
    name = "always"

    def opening(self, view: View) -> Move:
        return TakeOver(WITHOUT_END, Rule.LARGE_ONLY)

    def on_takeover_end(self, view: View) -> Move:
        return TakeOver(WITHOUT_END, Rule.LARGE_ONLY)

    def on_thinking_closed(self, view: View) -> Move:
        """One unbroken write: nothing changes hands."""
        return Keep()
