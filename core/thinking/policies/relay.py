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
from baton_reasoning.core.thinking.requests import WITHOUT_END, Accept, Program, TakeOver, Until, Write, Written
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
            look = yield from Write(waits=True, ends=self.decides)
            yield from Accept()
            if cue := self.cue_in(look):
                yield from TakeOver(cap, RELAY, cue, Until.FIRST_SENTENCE, Author.SMALL)

    def answer(self, text: Text) -> Program:
        yield from TakeOver(WITHOUT_END, ANSWER, author=Author.SMALL)

    def decides(self, look: Written) -> bool:
        """Tell whether there is a cue, or the sentence is over in which one is looked for."""
        return look.sentence_ended or self.cue_in(look) is not None

    def cue_in(self, look: Written) -> Cue | None:
        is_over = look.sentence_ended or look.has_boundary
        return None if is_over else next(iter(self.lexicon.find(look.text, complete=False)), None)
