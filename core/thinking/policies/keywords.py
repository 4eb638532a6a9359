"""The paper's policy (§3): the large model writes where the small one reflects, affirms or verifies.

rule 3  the count of reflections has reached c  →  auxiliary prompt, then n3 tokens
rule 1  a cue in the lookahead                  →  n1 tokens in its place
rule 2  a verification cue in what then stands  →  n2 tokens more

Its presets are the paper, the authors' code, and ours (docs/method.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import ClassVar, Literal

from pydantic import Field

from core.thinking.cues import Category, Cue, Match, english
from core.thinking.policy import (
    Insert,
    Move,
    Policy,
    PolicyArm,
    PolicyContext,
    PolicySettings,
    Until,
    View,
    Write,
    keep,
    look_on,
    take_over,
)
from core.thinking.reasons import OPENING, TakeoverReason
from core.thinking.trace import Trace

REFLECTION = TakeoverReason("reflection", "Reflection takeover")
AFFIRMATION = TakeoverReason("affirmation", "Affirmation takeover")
VERIFICATION = TakeoverReason("verification", "Verification takeover")
EXCESSIVE_REFLECTION = TakeoverReason("excessive reflection", "Excessive reflection takeover", follows_text=False)

_BY_CUE = {Category.REFLECTION: REFLECTION, Category.AFFIRMATION: AFFIRMATION}


class Scope(Enum):
    """Where the policy decides."""

    THINKING = "thinking"
    """Until the thinking is closed; the model that closed it writes to the end."""
    ALL = "all"


class Keywords(Policy):
    name = "keywords"
    title = "Keywords"
    summary = "The large model writes where the small one reflects, affirms or verifies, seen by cues such as “wait”."
    reasons = (REFLECTION, AFFIRMATION, VERIFICATION, EXCESSIVE_REFLECTION)

    class Settings(PolicySettings):
        """Lengths are tokens."""

        policy: Literal["keywords"] = "keywords"
        n1: int = Field(20, ge=1, title="Takeover at a cue", description="Tokens at a reflection or affirmation (n1).")
        n2: int = Field(125, ge=1, title="Verification", description="Tokens more where a sentence verifies (n2).")
        n3: int = Field(125, ge=1, title="Excessive reflection", description="Tokens after the auxiliary prompt (n3).")
        n3_step: int = Field(25, ge=0, title="n3 grows by", description="Tokens added to n3 at each firing.")
        n3_most: int = Field(200, ge=1, title="n3 at most", description="Ceiling of its growth.")
        c: int = Field(15, ge=1, title="Reflections allowed", description="Negative sentences before rule 3 fires (c).")
        c_step: int = Field(5, ge=0, title="c grows by", description="Added to c at each firing.")
        c_most: int = Field(30, ge=1, title="c at most", description="Ceiling of its growth.")
        opening: int = Field(0, ge=0, title="Opening", description="First tokens written by the large model.")
        auxiliary_prompt: str = Field(
            "Let us check whether there are some wrong steps. ",
            title="Auxiliary prompt",
            description="Inserted by rule 3.",
        )
        match: Match = Field(Match.INFLECTED, title="Cue match", description="How a cue is looked for.")
        keep_lookahead: bool = Field(
            True, title="keep a statement", description="The small model goes on from its lookahead."
        )
        stop_at_first_cue: bool = Field(
            True,
            title="Short lookahead",
            description="Decide at the first cue or the sentence's end, not after n1 tokens.",
        )
        until: Until = Field(Until.SENTENCE, title="Takeover ends", description="Where, once it has its tokens.")
        one_cue: bool = Field(
            False, title="One cue a class", description="Only wait, yeah and verify count (ablation)."
        )
        scope: Scope = Field(Scope.THINKING, title="Scope", description="Thinking only, or the answer as well.")

    presets: ClassVar[Mapping[str, Settings]] = {
        "baton": Settings(),
        "paper": Settings(
            c_step=0,
            c_most=15,
            n3_step=0,
            n3_most=125,
            auxiliary_prompt="Let us check whether there are some wrong steps.",
            match=Match.WORD,
            stop_at_first_cue=False,
            until=Until.TOKENS,
            scope=Scope.ALL,
        ),
        "reference": Settings(
            auxiliary_prompt="Let me check whether there are some wrong steps:",
            match=Match.SUBSTRING,
            keep_lookahead=False,
            stop_at_first_cue=False,
            until=Until.TOKENS,
            scope=Scope.ALL,
        ),
    }
    arms = (
        PolicyArm("baton", "cues, Baton's preset", presets["baton"]),
        PolicyArm("paper", "cues, the paper's preset", presets["paper"]),
        PolicyArm("reference", "cues, the authors' code", presets["reference"]),
    )
    main_parameters = ("c", "n1", "n2")
    reads_cues = True
    settings: Settings

    def __init__(self, settings: PolicySettings | None = None, context: PolicyContext | None = None) -> None:
        super().__init__(settings, context)
        own = self.context.lexicon
        match = self.settings.match
        self.lexicon = replace(own, match=match) if own else english(match, self.settings.one_cue)
        self.reflections = 0
        self.firings = 0

    def resume_from(self, trace: Trace) -> None:
        self.reflections = int(trace.counters.get("reflections", 0))
        self.firings = int(trace.counters.get("firings", 0))

    def opening(self, view: View) -> Move:
        if self.settings.opening:
            return take_over(self.settings.opening, OPENING, until=self.settings.until)
        return keep()

    def at_boundary(self, view: View) -> Move:
        if not self._in_scope(view):
            return keep()
        if self.reflections >= self._c:
            n3 = _grown(self.settings.n3, self.settings.n3_step, self.settings.n3_most, self.firings)
            self.reflections = 0
            self.firings += 1
            takeover = take_over(n3, EXCESSIVE_REFLECTION, until=self.settings.until)
            return Insert(self.settings.auxiliary_prompt, EXCESSIVE_REFLECTION, takeover)
        return look_on()

    def on_lookahead(self, view: View) -> Move:
        settings = self.settings
        full = len(view.tokens) >= settings.n1 or view.text_ended
        if settings.stop_at_first_cue:
            full = full or view.sentence_ended
            cue = next((c for c in self.lexicon.find(view.text, complete=full) if c.category in _BY_CUE), None)
            sign = cue.category if cue else Category.STATEMENT
        elif full:
            sign = self.lexicon.sign(view.text)
            cue = next((c for c in self.lexicon.find(view.text) if c.category is sign), None)
        else:
            return look_on()
        if sign in _BY_CUE:
            self.reflections += sign is Category.REFLECTION
            return take_over(settings.n1, _BY_CUE[sign], cue, until=settings.until)
        if not full:
            return look_on()
        if settings.keep_lookahead:
            # The sentence stays. A lexicon may hold words that only verify: then the large model goes on after it.
            verifying = self._verifying(view.text)
            return self._verification(verifying, keep_lookahead=True) if verifying else keep()
        return keep(discard=not view.text_ended)

    def on_takeover_end(self, view: View) -> Move:
        took = view.takeover
        by_cue = took is not None and took.reason in _BY_CUE.values() and self._in_scope(view)
        if by_cue and (cue := self._verifying(view.text)):
            return self._verification(cue)
        return super().on_takeover_end(view)

    def on_thinking_closed(self, view: View) -> Move:
        if self.settings.scope is Scope.ALL:
            return keep()
        return super().on_thinking_closed(view)

    def counters(self) -> Mapping[str, float]:
        return {"reflections": self.reflections, "c": self._c, "firings": self.firings}

    @property
    def _c(self) -> int:
        return _grown(self.settings.c, self.settings.c_step, self.settings.c_most, self.firings)

    def _in_scope(self, view: View) -> bool:
        return view.thinking or self.settings.scope is Scope.ALL

    def _verifying(self, text: str) -> Cue | None:
        return next((cue for cue in self.lexicon.find(text) if cue.category is Category.VERIFICATION), None)

    def _verification(self, cue: Cue, keep_lookahead: bool = False) -> Write:
        until = self.settings.until
        return take_over(self.settings.n2, VERIFICATION, cue, until=until, keep_lookahead=keep_lookahead)


def _grown(value: int, step: int, most: int, firings: int) -> int:
    return max(value, min(value + firings * step, most))
