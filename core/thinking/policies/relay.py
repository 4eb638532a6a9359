"""Works the other way round: the large model writes, the small one takes easy sentences (RelayGen, arXiv 2602.06454).

After a calibrated cue in the large model's text the small one writes to the end of the sentence. The small model writes
the answer. A cue qualifies if the large model's mean margin p1 - p2 after it is above its overall mean. The published
list for R1-Qwen-1.5B and 32B hands *Wait*, *Alternatively* and *verify* to the small model, the opposite of the paper's
premise; without a list of its own, a run uses the paper's cues.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.cues import Cue
from baton_reasoning.core.thinking.policy import Policy, PolicyArm, PolicySettings
from baton_reasoning.core.thinking.reasons import ANSWER, TakeoverReason
from baton_reasoning.core.thinking.requests import WITHOUT_END, LookAhead, More, Program, Step, TakeOver, Until, Written
from baton_reasoning.core.thinking.text import Text

RELAY = TakeoverReason("easy sentence", "Easy sentence")


class Relay(Policy):
    name = "relay"
    title = "Relay"
    summary = "The large model writes; after certain words the small one finishes the sentence."
    reasons = (RELAY,)
    default_writer = Author.LARGE

    class Settings(PolicySettings):
        policy: Literal["relay"] = "relay"
        sentence_cap: int = Field(
            128, ge=1, title="Sentence cap", description="Tokens of a sentence by the small model, at most."
        )

    arms = (PolicyArm("relay", Settings()),)
    main_parameters = ("sentence_cap",)
    settings: Settings

    def think(self, text: Text) -> Program:
        cap = self.settings.sentence_cap
        while True:
            look, cue = (yield from LookAhead()), None
            while not self.is_over(look) and not (cue := self.cue_in(look)):
                look = yield from More()
            if cue:
                yield from TakeOver(cap, RELAY, cue, Until.FIRST_SENTENCE, Author.SMALL, keep=True)
            elif look.has_boundary:
                yield from Step()

    def answer(self, text: Text) -> Program:
        yield from TakeOver(WITHOUT_END, ANSWER, author=Author.SMALL)

    def cue_in(self, look: Written) -> Cue | None:
        return next(iter(self.lexicon.find(look.text, complete=False)), None)

    def is_over(self, look: Written) -> bool:
        """Tell whether the sentence is over in which a cue is looked for."""
        return look.sentence_ended or look.has_boundary or look.closed
