"""The paper's policy (§3): the large model writes where the small one reflects, affirms or verifies.

rule 3  the count of reflections has reached c  →  auxiliary prompt, then n3 tokens
rule 1  a cue in the lookahead                  →  n1 tokens in its place
rule 2  a verification cue in what then stands  →  n2 tokens more
"""

from __future__ import annotations

from core.thinking.cues import Category, Cue, Lexicon
from core.thinking.events import Rule
from core.thinking.policy import Insert, Keep, LookOn, Move, Policy, TakeOver, View
from core.thinking.presets import KeywordSettings, Scope
from core.thinking.trace import Trace

_RULES = {
    Category.REFLECTION: Rule.REFLECTION,
    Category.AFFIRMATION: Rule.AFFIRMATION,
}


class Keywords(Policy):
    name = "keywords"

    def __init__(self, settings: KeywordSettings, lexicon: Lexicon) -> None:
        self.settings = settings
        self.lexicon = lexicon
        self.reflections = 0
        self.firings = 0
        self._told = (0, settings.c, 0)

    def go_on_from(self, trace: Trace) -> None:
        if counted := trace.counted:
            self.reflections, self.firings = counted.reflections, counted.firings
            self._told = (self.reflections, self._c, self.firings)

    def opening(self, view: View) -> Move:
        if self.settings.opening:
            return TakeOver(self.settings.opening, Rule.OPENING, until=self.settings.until)
        return Keep()

    def at_boundary(self, view: View) -> Move:
        if not self._in_scope(view):
            return Keep()
        if self.reflections >= self._c:
            n3 = min(self.settings.n3 + self.firings * self.settings.n3_step, self.settings.n3_most)
            self.reflections = 0
            self.firings += 1
            takeover = TakeOver(n3, Rule.EXCESSIVE_REFLECTION, until=self.settings.until)
            return Insert(self.settings.auxiliary_prompt, Rule.EXCESSIVE_REFLECTION, takeover)
        return LookOn()

    def on_lookahead(self, view: View) -> Move:
        settings = self.settings
        full = len(view.tokens) >= settings.n1 or view.text_ended
        if settings.stop_at_first_cue:
            full = full or view.sentence_ended
            cue = next((c for c in self.lexicon.find(view.text, complete=full) if c.category in _RULES), None)
            sign = cue.category if cue else Category.STATEMENT
        elif full:
            sign = self.lexicon.sign(view.text)
            cue = next((c for c in self.lexicon.find(view.text) if c.category is sign), None)
        else:
            return LookOn()
        if sign in _RULES:
            self.reflections += sign is Category.REFLECTION
            return TakeOver(settings.n1, _RULES[sign], cue, until=settings.until)
        if not full:
            return LookOn()
        if settings.keep_lookahead:
            # The sentence stays. A lexicon may hold words that only verify: then the large model goes on after it.
            verifying = self._verifying(view.text)
            return self._verification(verifying, keep_lookahead=True) if verifying else Keep()
        return Keep(discard=not view.text_ended)

    def on_takeover_end(self, view: View) -> Move:
        took = view.takeover
        by_cue = took is not None and took.rule in _RULES.values() and self._in_scope(view)
        if by_cue and (cue := self._verifying(view.text)):
            return self._verification(cue)
        return super().on_takeover_end(view)

    def on_thinking_closed(self, view: View) -> Move:
        if self.settings.scope is Scope.ALL:
            return Keep()
        return super().on_thinking_closed(view)

    def take_counts(self) -> tuple[int, int, int] | None:
        counts = (self.reflections, self._c, self.firings)
        if counts == self._told:
            return None
        self._told = counts
        return counts

    @property
    def _c(self) -> int:
        return min(self.settings.c + self.firings * self.settings.c_step, self.settings.c_most)

    def _in_scope(self, view: View) -> bool:
        return view.thinking or self.settings.scope is Scope.ALL

    def _verifying(self, text: str) -> Cue | None:
        return next((cue for cue in self.lexicon.find(text) if cue.category is Category.VERIFICATION), None)

    def _verification(self, cue: Cue, keep_lookahead: bool = False) -> TakeOver:
        until = self.settings.until
        return TakeOver(self.settings.n2, Rule.VERIFICATION, cue, until=until, keep_lookahead=keep_lookahead)
