"""Works the other way round: the large model writes, the small one takes easy sentences (RelayGen, arXiv 2602.06454).

After a calibrated cue in the large model's text the small one writes to the end of the sentence. The small model writes
the answer. A cue qualifies if the large model's mean margin p1 - p2 after it is above its overall mean. The
published list for R1-Qwen-1.5B and 32B hands *Wait*, *Alternatively* and *verify* to the small
model, the opposite of the paper's premise; without a list of its own, a run uses the paper's cues.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.policy import (
    WITHOUT_END,
    Move,
    Policy,
    PolicyArm,
    PolicySettings,
    Until,
    View,
    look_on,
    take_over,
)
from baton_reasoning.core.thinking.reasons import ANSWER, TakeoverReason

RELAY = TakeoverReason("easy sentence", "Easy sentence, by the small model")


class Relay(Policy):
    name = "relay"
    title = "Relay"
    summary = "The large model writes; after certain words the small one finishes the sentence."
    reasons = (RELAY,)
    default_writer = Author.LARGE
    rewrites = False

    class Settings(PolicySettings):
        policy: Literal["relay"] = "relay"
        sentence_cap: int = Field(
            128, ge=1, title="Sentence cap", description="Tokens of a sentence by the small model, at most."
        )
        small_answers: bool = Field(True, title="Answer by the small model", description="After the thinking.")

    arms = (PolicyArm("relay", Settings()),)
    main_parameters = ("sentence_cap",)
    settings: Settings

    def opening(self, view: View) -> Move:
        return look_on(within_step=True)

    def at_boundary(self, view: View) -> Move:
        return look_on(within_step=True)

    def on_lookahead(self, view: View) -> Move:
        is_searched = view.thinking and not view.sentence_ended
        if is_searched and (cues := self.lexicon.find(view.text, complete=False)):
            return take_over(
                self.settings.sentence_cap,
                RELAY,
                cues[0],
                until=Until.FIRST_SENTENCE,
                author=Author.SMALL,
                keep_lookahead=True,
            )
        return look_on(within_step=True, settles=view.sentence_ended)

    def on_takeover_end(self, view: View) -> Move:
        return look_on(within_step=True)

    def on_thinking_closed(self, view: View) -> Move:
        if self.settings.small_answers:
            return take_over(WITHOUT_END, ANSWER, author=Author.SMALL, keep_lookahead=True)
        return super().on_thinking_closed(view)
