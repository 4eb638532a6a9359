"""Shares what both policies of the paper need: cues, the opening, and rules 2 and 3 (§3, §4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from functools import cached_property
from typing import Any, ClassVar

from pydantic import Field

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.thinking.cues import NEGATIVE, Category, Cue, Lexicon, Match, english, inside_code, prose
from baton_reasoning.core.thinking.policy import Ablation, Policy, PolicyContext, PolicySettings
from baton_reasoning.core.thinking.reasons import OPENING, TakeoverReason
from baton_reasoning.core.thinking.requests import Insert, May, Measure, Program, TakeOver, Until, Write, Written
from baton_reasoning.core.thinking.text import Text

VERIFICATION = TakeoverReason("verification", "Verification")
EXCESSIVE_REFLECTION = TakeoverReason("excessive reflection", "Too many reflections")
RULES = (VERIFICATION, EXCESSIVE_REFLECTION)
ALLOWED, LONGER_TAKEOVERS = "reflections allowed", "longer takeovers"
"""Names of counters, as a person reads them beside a step."""


class Scope(Enum):
    """In which part of the text the policy decides."""

    THINKING = "thinking"
    """In the thinking; the model that closes it writes to the end."""
    ALL = "all"


class CueSettings(PolicySettings):
    """The parameters of both policies. Lengths are in tokens."""

    n1: int = Field(
        20, ge=1, title="Tokens per takeover", description="Written by the large model in place of a sentence (n1)."
    )
    n2: int = Field(125, ge=1, title="Tokens after a check", description="Extra tokens after a verification (n2).")
    may_shrink: bool = Field(
        False,
        title="Maximum below the start",
        description="c and n3 come down to a lower maximum at first use; else such a maximum is refused.",
    )
    n3: int = Field(125, ge=1, title="Longer takeover", description="Tokens after too many reflections (n3).")
    n3_step: int = Field(25, ge=0, title="Takeover growth", description="Tokens added to n3 each time.")
    n3_most: int = Field(
        200, ge=1, title="Longest takeover", description="Maximum of n3, in tokens.", validate_default=True
    )
    c: int = Field(15, ge=1, title="Reflections allowed", description="Reflections before a longer takeover (c).")
    c_step: int = Field(5, ge=0, title="Allowance growth", description="Reflections added to c each time.")
    c_most: int = Field(30, ge=1, title="Maximum allowance", description="Maximum of c.")
    opening: int = Field(0, ge=0, title="Opening", description="First tokens written by the large model.")
    auxiliary_prompt: str = Field(
        "Let us check whether there are some wrong steps. ",
        title="Auxiliary prompt",
        description="Inserted before a longer takeover.",
    )
    match: Match = Field(
        Match.INFLECTED, title="Cue match", description="How a cue, a word such as “wait”, is looked for."
    )
    one_cue: bool = Field(
        False,
        title="One cue per class",
        description="Only wait, confident and verify count (ablation); of an own list the first of a class.",
    )
    skip_code: bool = Field(True, title="Skip code and headings", description="Cues in code and headings do not count.")
    until: Until = Field(Until.SENTENCE, title="Takeover ends", description="Where, once it has its tokens.")
    scope: Scope = Field(Scope.THINKING, title="Scope", description="Thinking only, or the answer as well.")
    decide_at_takeover_end: bool = Field(
        True,
        title="Decide after a takeover",
        description="If a takeover ends at a boundary, decide there; else the small model writes its step first.",
    )
    hand_back: bool = Field(
        True,
        title="Hand back",
        description="A large model with nothing to write hands back in the thinking; else the text ends there.",
    )
    stop_repetition: bool = Field(
        True, title="Repetition limit", description="Whether “Stop on repetition” holds for this policy."
    )

    def check_values(self) -> None:
        for name, start, step, most in (
            ("c", self.c, self.c_step, self.c_most),
            ("n3", self.n3, self.n3_step, self.n3_most),
        ):
            if step and most < start and not self.may_shrink:
                raise SettingsError(
                    f"{name} begins at {start}, above its ceiling {name}_most ({most}).",
                    f"Raise {name}_most to {start}, or set {name}_step=0 so that {name} does not grow.",
                )


_PUBLISHED: Mapping[str, Any] = {
    "skip_code": False,
    "until": Until.TOKENS,
    "scope": Scope.ALL,
    "decide_at_takeover_end": False,
    "hand_back": False,
    "stop_repetition": False,
}
PAPER: Mapping[str, Any] = {
    **_PUBLISHED,
    "c_step": 0,
    "c_most": 15,
    "n3_step": 0,
    "n3_most": 125,
    "auxiliary_prompt": "Let us check whether there are some wrong steps.",
    "match": Match.WORD,
}
"""The values in which the paper differs from Baton's defaults."""
REFERENCE: Mapping[str, Any] = {
    **_PUBLISHED,
    "auxiliary_prompt": "Let me check whether there are some wrong steps:",
    "match": Match.SUBSTRING,
    "may_shrink": True,
}
"""The values in which the authors' code differs from Baton's defaults."""


class CuePolicy(Policy):
    """Applies rules 2 and 3. A subclass says what happens at a boundary where rule 3 does not apply."""

    counts = ("reflections", ALLOWED, LONGER_TAKEOVERS)
    """Negative sentences since rule 3 last applied, how many of them are allowed, and how often it has applied."""
    ablations: ClassVar[tuple[Ablation, ...]] = (
        Ablation(
            "opening",
            "The large model's opening, on and off",
            lambda _: {"opening": {"opening": 100}, "no opening": {"opening": 0}},
        ),
    )
    settings: CueSettings

    def __init__(self, settings: PolicySettings | None = None, context: PolicyContext | None = None) -> None:
        super().__init__(settings, context)
        self.hands_back_empty, self.stops_repetition = self.settings.hand_back, self.settings.stop_repetition
        self.in_answer = self.settings.scope is Scope.ALL
        self.decides_after_takeover = self.settings.decide_at_takeover_end
        self.counters[ALLOWED] = self._c
        self._has_opened = False
        """Whether this run has begun the opening, or gone on with one of an earlier run: who interrupts it ends it."""

    @cached_property
    def lexicon(self) -> Lexicon:
        """The run's own cues or else the paper's, looked for as the settings say."""
        cues = self.context.lexicon or english()
        return replace(cues.one_cue() if self.settings.one_cue else cues, match=self.settings.match)

    def think(self, text: Text) -> Program:
        settings = self.settings
        rest = settings.opening - len(text.body.parts)
        if rest > 0 and not self._has_opened and all(part.author is Author.LARGE for part in text.body.parts):
            self._has_opened = True
            yield from self.take_over(rest, OPENING)
        while True:
            yield from Write()
            if settings.skip_code and inside_code(text.body.text):
                continue
            if self.counters["reflections"] >= self.counters[ALLOWED]:
                yield from self.stop_reflecting()
            else:
                yield from self.begin_step()

    def begin_step(self) -> Program:
        """Decide who begins a step: by rule 1 in `keywords`, and by rule 4 in `every-step`."""
        raise NotImplementedError

    def verify(self, took: Written) -> Program:
        """Rule 2: where the sentence that now stands has a verification cue, the large model writes n2 tokens more.

        The sentence is counted if it is negative, by its own sign.
        """
        sentence = self.prose(took.text)
        self.counters["reflections"] += self.lexicon.sign(sentence) is Category.REFLECTION
        cue = next((cue for cue in self.lexicon.find(sentence) if cue.category is Category.VERIFICATION), None)
        if cue:
            yield from self.take_over(self.settings.n2, VERIFICATION, cue)

    def stop_reflecting(self) -> Program:
        """Rule 3: after c negative sentences (`verify` counts them) a prompt is inserted, and the large model writes n3
        tokens."""
        settings = self.settings
        n3 = self._grown(settings.n3, settings.n3_step, settings.n3_most)
        too_many = Measure("reflections", self.counters["reflections"], self.counters[ALLOWED])
        takeover = self.take_over(n3, EXCESSIVE_REFLECTION, measure=too_many)
        if not (yield from May(takeover)):
            return
        self.counters["reflections"] = 0
        self.counters[LONGER_TAKEOVERS] += 1
        self.counters[ALLOWED] = self._c
        yield from Insert(settings.auxiliary_prompt, EXCESSIVE_REFLECTION)
        yield from takeover

    def take_over(
        self, tokens: int, reason: TakeoverReason, cue: Cue | None = None, measure: Measure | None = None
    ) -> TakeOver:
        return TakeOver(tokens, reason, cue, self.settings.until, measure=measure)

    def prose(self, text: str) -> str:
        """Blank out the parts of a text in which cues do not count; positions stay the same."""
        return prose(text) if self.settings.skip_code else text

    def deciding_cue(self, text: str) -> Cue | None:
        """Return the first cue of the side that has the majority; None in a statement."""
        sign = self.lexicon.sign(text)
        sides = NEGATIVE if sign is Category.REFLECTION else (sign,)
        return next((cue for cue in self.lexicon.find(text) if cue.category in sides), None)

    @property
    def _c(self) -> int:
        return self._grown(self.settings.c, self.settings.c_step, self.settings.c_most)

    def _grown(self, start: int, step: int, most: int) -> int:
        """Return what c or n3 has grown to."""
        times = self.counters[LONGER_TAKEOVERS]
        grown = min(start + times * step, most) if times else start
        return grown if self.settings.may_shrink else max(start, grown)
