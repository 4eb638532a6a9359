"""Large only: the control at large share 1."""

from core.engines.body import Author
from core.thinking.events import Rule
from core.thinking.policy import WITHOUT_END, Keep, Move, Policy, TakeOver, View


class Always(Policy):
    name = "always"

    def opening(self, view: View) -> Move:
        return TakeOver(WITHOUT_END, Rule.LARGE_ONLY)

    def on_takeover_end(self, view: View) -> Move:
        return TakeOver(WITHOUT_END, Rule.LARGE_ONLY)

    def on_thinking_closed(self, view: View) -> Move:
        """One unbroken write, unless the tag was put in: nothing changes hands."""
        return Keep() if view.author is Author.LARGE else TakeOver(WITHOUT_END, Rule.LARGE_ONLY)
