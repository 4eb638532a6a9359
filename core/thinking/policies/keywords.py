"""The paper's policy (§3): the large model writes where the small one reflects, affirms or verifies.

rule 1  a cue in the lookahead  →  the large model writes n1 tokens in its place
rules 2 and 3: core/thinking/cue_rules.py

Its presets are Baton's, the paper's and the authors' code (docs/method.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import ClassVar, Literal

from pydantic import Field

from core.thinking.cue_rules import PAPER, REFERENCE, RULES, CuePolicy, CueSettings, Scope
from core.thinking.cues import Category, Cue
from core.thinking.policy import Move, PolicyArm, Restore, View, keep, look_on
from core.thinking.reasons import TakeoverReason

REFLECTION = TakeoverReason("reflection", "Reflection takeover")
AFFIRMATION = TakeoverReason("affirmation", "Affirmation takeover")

_BY_CUE = {Category.REFLECTION: REFLECTION, Category.AFFIRMATION: AFFIRMATION, Category.VERIFICATION: REFLECTION}
"""A word that only verifies brings a takeover, too: the authors classify with both lists together."""


class CountedSentence(Enum):
    """Which sentence the counter of rule 3 reads."""

    STANDING = "standing"
    """The one that stands after a takeover at a cue: the large model's."""
    LOOKAHEAD = "lookahead"
    """The small model's, which is discarded."""


class Keywords(CuePolicy):
    name = "keywords"
    title = "Keywords"
    summary = "The large model writes where the small one reflects, affirms or verifies, seen by cues such as “wait”."
    reasons = (REFLECTION, AFFIRMATION, *RULES)
    sentence_reasons = (REFLECTION, AFFIRMATION)

    class Settings(CueSettings):
        policy: Literal["keywords"] = "keywords"
        keep_lookahead: bool = Field(
            True,
            title="Keep a statement",
            description="The small model goes on from a lookahead without cues; else it is sampled again.",
        )
        stop_at_first_cue: bool = Field(
            True,
            title="Short lookahead",
            description="Decide at the first cue or the sentence's end, not after n1 tokens.",
        )
        counted: CountedSentence = Field(
            CountedSentence.STANDING, title="Sentence counted", description="Which one the counter of rule 3 reads."
        )

        choose_large: bool = Field(
            True,
            title="Large sentence stands",
            description="Else it stands only if it ends a reflection, or turns an affirmation into a reflection.",
        )

    presets: ClassVar[Mapping[str, Settings]] = {
        "baton": Settings(),
        "paper": Settings(stop_at_first_cue=False, **PAPER),
        "reference": Settings(stop_at_first_cue=False, keep_lookahead=False, **REFERENCE),
    }
    arms = (
        PolicyArm("baton", "cues, Baton's preset", presets["baton"]),
        PolicyArm("paper", "cues, the paper's preset", presets["paper"]),
        PolicyArm("reference", "keywords: authors' code", presets["reference"]),
    )
    main_parameters = ("c", "n1", "n2")
    settings: Settings
    _lookahead = ""
    """What the takeover under way replaced, if it may stand again."""

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
            return self._at_cue(cue, "" if settings.choose_large else text)
        return keep(discard=not settings.keep_lookahead) if full else look_on()

    def on_takeover_end(self, view: View) -> Move:
        lookahead, self._lookahead = self._lookahead, ""
        is_sentence = view.takeover is not None and view.takeover.reason in self.sentence_reasons
        if is_sentence and lookahead and not self._changes_sign(lookahead, self.prose(view.text)):
            return Restore(self.sentence_stands(lookahead) or keep())
        return super().on_takeover_end(view)

    def on_thinking_closed(self, view: View) -> Move:
        is_decided = view.in_lookahead and self.settings.scope is Scope.THINKING
        if is_decided and (cue := self.deciding_cue(self.prose(view.text))):
            return self._at_cue(cue)
        return super().on_thinking_closed(view)

    def counts(self, text: str) -> bool:
        return self.settings.counted is CountedSentence.STANDING and super().counts(text)

    def _changes_sign(self, lookahead: str, sentence: str) -> bool:
        """Whether a sentence ends the reflection of the lookahead, or begins one after its affirmation."""
        before, is_negative = self.lexicon.sign(lookahead), self.lexicon.sign(sentence) is Category.REFLECTION
        return is_negative if before is Category.AFFIRMATION else before is Category.REFLECTION and not is_negative

    def _at_cue(self, cue: Cue, lookahead: str = "") -> Move:
        """Rule 1. `lookahead`: what may stand again."""
        self._lookahead = lookahead
        reason = _BY_CUE[cue.category]
        self.reflections += reason is REFLECTION and self.settings.counted is CountedSentence.LOOKAHEAD
        return self.take_over(self.settings.n1, reason, cue)
