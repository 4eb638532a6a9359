"""Implements the paper's policies. `keywords` (§3): the large model writes where the small one reflects or checks.

rule 1  a cue in the lookahead                      →  the large model writes n1 tokens in its place
rule 2  a verification cue in what then stands      →  it writes n2 tokens more
rule 3  the count of negative sentences reaches c   →  auxiliary prompt, then the large model writes n3 tokens

`every-step` (§4.2), for a small model not trained to reason: after an opening by the large model every boundary hands
it the next sentence (n1 tokens), without classification; rules 2 and 3, which are in core/thinking/cue_rules.py, apply
to what then stands. Without the opening the gain vanishes: MATH500 73.8 against 79.2 with a 7B guide, 74.2 against 81.8
with a 32B. The presets are Baton's, the paper's and the authors' code (docs/method.md).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.automatic import policy_without_cues
from baton_reasoning.core.thinking.cue_rules import PAPER, REFERENCE, RULES, CuePolicy, CueSettings
from baton_reasoning.core.thinking.cues import Category, Cue
from baton_reasoning.core.thinking.policy import Ablation, Advice, PolicyArm
from baton_reasoning.core.thinking.reasons import TakeoverReason
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.requests import Discard, Program, Request, Until, Write, Written
from baton_reasoning.core.thinking.trace import Trace

REFLECTION = TakeoverReason("reflection", "Reflection")
AFFIRMATION = TakeoverReason("affirmation", "Affirmation")
EVERY_STEP = TakeoverReason("every step", "Every step begins so")

_BY_CUE = {Category.REFLECTION: REFLECTION, Category.AFFIRMATION: AFFIRMATION, Category.VERIFICATION: REFLECTION}
"""A word that only verifies leads to a takeover, too: the authors classify with both lists together."""
FEW_STEPS = 2
"""An answer of so few steps is too short to expect a cue."""


class Keywords(CuePolicy):
    name = "keywords"
    title = "Keywords"
    summary = "The large model writes where the small one hesitates, concludes or checks: “wait”, “yes”, “verify”."
    reasons = (REFLECTION, AFFIRMATION, *RULES)

    class Settings(CueSettings):
        policy: Literal["keywords"] = "keywords"
        keep_lookahead: bool = Field(
            True,
            title="Keep plain sentences",
            description="The small model goes on from a sentence without a cue; else it writes it again.",
        )
        stop_at_first_cue: bool = Field(
            True,
            title="Short lookahead",
            description="Decide at the first cue or the sentence's end, not after n1 tokens.",
        )

    presets: ClassVar[Mapping[str, Settings]] = {
        "baton": Settings(),
        "paper": Settings(stop_at_first_cue=False, **PAPER),
        "reference": Settings(stop_at_first_cue=False, keep_lookahead=False, **REFERENCE),
    }
    preset_summaries: ClassVar[Mapping[str, str]] = {
        "paper": "As the paper describes it: takeovers of fixed length, in the answer, too.",
        "reference": "As in the paper's published code: parts of words count, too, such as “yes” in “Bayes”.",
    }
    arms = tuple(PolicyArm(name, settings) for name, settings in presets.items())
    ablations = (
        Ablation(
            "c",
            "Reflections allowed: 3, 15, 50",
            lambda chosen: {
                f"c = {c}": {"c": c, "c_most": c, "c_step": 0, "n3_step": 0, "n3_most": chosen.n3} for c in (3, 15, 50)
            },
        ),
        Ablation(
            "n1",
            "Tokens per takeover: half, as chosen, twice",
            lambda chosen: {f"n1 = {n1}": {"n1": n1} for n1 in (max(1, chosen.n1 // 2), chosen.n1, 2 * chosen.n1)},
        ),
        Ablation("one-cue", "One cue per class", lambda _: {"one cue": {"one_cue": True}}),
        *CuePolicy.ablations,
    )
    main_parameters = ("c", "n1", "n2")
    settings: Settings

    @classmethod
    def advice(cls, trace: Trace) -> Advice:
        """Suggest another policy if no cue was found: a model that was not trained to reason writes none (§4.2)."""
        has_large = trace.started is not None and trace.started.large is not None
        has_large = has_large and not any(notice.lost is Author.LARGE for notice in trace.notices)
        if not has_large or len(trace.steps) <= FEW_STEPS or trace.totals[Author.LARGE].decoded:
            return Advice()
        assert trace.started
        other = policy_without_cues(trace.started.cards)
        return Advice(
            "No cue was found, so the large model never wrote. If the small model does not reflect by itself, choose "
            f"the policy “{POLICIES[other].title}”.",
            (other,),
        )

    def begin_step(self) -> Program:
        """Rule 1: with a cue in its lookahead, the large model writes n1 tokens in place of the small one."""
        look, cue = yield from self.look_ahead()
        if cue:
            took = yield from self.take_over(self.settings.n1, _BY_CUE[cue.category], cue)
            if not took.skipped:
                yield from self.verify(took)
        elif not self.settings.keep_lookahead and not look.closed:
            yield from Discard()

    def look_ahead(self) -> Generator[Request[Any], Any, tuple[Written, Cue | None]]:
        """Let the small model write until a cue decides, or its lookahead is complete."""
        look = yield from Write(Until.TOKENS, self.settings.n1, waits=True, ends=self.decides)
        return look, self.cue_in(look)

    def decides(self, look: Written) -> bool:
        """Tell whether the lookahead is long enough to decide."""
        return self.is_complete(look) or self.cue_in(look) is not None

    def cue_in(self, look: Written) -> Cue | None:
        """Return the cue that decides: the first one as soon as it stands there, or one of the majority at the end."""
        text, is_complete = self.prose(look.text), self.is_complete(look)
        if self.settings.stop_at_first_cue and not look.closed:
            return next(iter(self.lexicon.find(text, is_complete)), None)
        return self.deciding_cue(text) if is_complete else None

    def is_complete(self, look: Written) -> bool:
        """Tell whether the lookahead has its n1 tokens, or is a sentence."""
        if len(look.tokens) >= self.settings.n1 or look.text_ended or look.closed:
            return True
        is_interjection = len(self.prose(look.text).split()) < 2 and not look.at_boundary  # "Hmm. Wait, no"
        return self.settings.stop_at_first_cue and look.sentence_ended and not is_interjection


class EveryStep(CuePolicy):
    name = "every-step"
    title = "Every step"
    summary = "The large model opens the text and begins each step: for small models not trained to reason."
    reasons = (EVERY_STEP, *RULES)

    class Settings(CueSettings):
        policy: Literal["every-step"] = "every-step"
        opening: int = Field(
            100, ge=0, title="Opening", description="First tokens written by the large model; 0 leaves the opening out."
        )
        decide_at_takeover_end: bool = Field(
            False,
            title="Decide after a takeover",
            description="If a takeover ends at a boundary, decide there; else the small model writes its step first.",
        )

    presets: ClassVar[Mapping[str, Settings]] = {"baton": Settings(), "reference": Settings(**REFERENCE)}
    preset_summaries: ClassVar[Mapping[str, str]] = {"reference": "As in the paper's published code."}
    arms = (
        PolicyArm("every-step", Settings()),
        PolicyArm("every-step-no-opening", Settings(opening=0)),
    )
    main_parameters = ("opening", "n1")
    settings: Settings

    def begin_step(self) -> Program:
        """Rule 4: the large model writes the first n1 tokens."""
        took = yield from self.take_over(self.settings.n1, EVERY_STEP)
        if not took.skipped:
            yield from self.verify(took)
