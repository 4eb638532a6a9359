"""Implements the paper's policy (§3): the large model writes where the small one reflects, affirms or verifies.

rule 1  a cue in the lookahead  →  the large model writes n1 tokens in its place
rules 2 and 3: core/thinking/cue_rules.py

Its presets are Baton's, the paper's and the authors' code (docs/method.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.cue_rules import PAPER, REFERENCE, RULES, CuePolicy, CueSettings, Scope
from baton_reasoning.core.thinking.cues import Category, Cue
from baton_reasoning.core.thinking.policies.every_step import EveryStep
from baton_reasoning.core.thinking.policies.first_token_entropy import FirstTokenEntropy
from baton_reasoning.core.thinking.policy import Ablation, Advice, Move, PolicyArm, View, keep, look_on
from baton_reasoning.core.thinking.reasons import TakeoverReason
from baton_reasoning.core.thinking.trace import Trace

REFLECTION = TakeoverReason("reflection", "Reflection takeover")
AFFIRMATION = TakeoverReason("affirmation", "Affirmation takeover")

_BY_CUE = {Category.REFLECTION: REFLECTION, Category.AFFIRMATION: AFFIRMATION, Category.VERIFICATION: REFLECTION}
"""A word that only verifies leads to a takeover, too: the authors classify with both lists together."""
FEW_STEPS = 2
"""An answer of so few steps is too short to expect a cue."""


class Keywords(CuePolicy):
    name = "keywords"
    title = "Keywords"
    summary = "The large model writes where the small one hesitates, concludes or checks: “wait”, “yes”, “verify”."
    reasons = (REFLECTION, AFFIRMATION, *RULES)
    sentence_reasons = (REFLECTION, AFFIRMATION)

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
    arms = (
        PolicyArm("baton", presets["baton"]),
        PolicyArm("paper", presets["paper"]),
        PolicyArm("reference", presets["reference"]),
    )
    ablations = (
        Ablation(
            "c",
            "Reflections allowed: 3, 15, 50",
            lambda chosen: {
                f"c = {c}": {"c": c, "c_most": c, "c_step": 0, "n3_step": 0, "n3_most": chosen.n3} for c in (3, 15, 50)
            },
            is_sweep=True,
        ),
        Ablation(
            "n1",
            "Tokens per takeover: half, as chosen, twice",
            lambda chosen: {f"n1 = {n1}": {"n1": n1} for n1 in (max(1, chosen.n1 // 2), chosen.n1, 2 * chosen.n1)},
            is_sweep=True,
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
        return Advice(
            "No cue was found, so the large model never wrote. If the small model does not reflect by itself, choose "
            f"the policy “{EveryStep.title}” or “{FirstTokenEntropy.title}”.",
            (EveryStep.name, FirstTokenEntropy.name),
        )

    def at_step(self, view: View) -> Move:
        return look_on()

    def on_lookahead(self, view: View) -> Move:
        settings = self.settings
        text = self.prose(view.text)
        full = len(view.tokens) >= settings.n1 or view.text_ended
        if settings.stop_at_first_cue:
            interjection = len(text.split()) < 2 and not view.at_boundary  # "Hmm. Wait, no"
            full = full or (view.sentence_ended and not interjection)
            cue = next(iter(self.lexicon.find(text, complete=full)), None)
        elif full:
            cue = self.deciding_cue(text)
        else:
            return look_on()
        if cue:
            return self._at_cue(cue)
        return keep(discard=not settings.keep_lookahead) if full else look_on()

    def on_thinking_closed(self, view: View) -> Move:
        is_decided = view.in_lookahead and self.settings.scope is Scope.THINKING
        if is_decided and (cue := self.deciding_cue(self.prose(view.text))):
            return self._at_cue(cue)
        return super().on_thinking_closed(view)

    def _at_cue(self, cue: Cue) -> Move:
        """Apply rule 1."""
        return self.take_over(self.settings.n1, _BY_CUE[cue.category], cue)
