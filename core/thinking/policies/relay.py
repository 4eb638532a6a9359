"""Works the other way round: the large model writes, the small one takes easy sentences (RelayGen, arXiv 2602.06454).

After a calibrated cue in the large model's text the small one writes to the end of the sentence. The small model writes
the answer. A cue qualifies if the large model's mean margin p1 - p2 after it is above its overall mean. The
published list for R1-Qwen-1.5B and 32B hands *Wait*, *Alternatively* and *verify* to the small
model, the opposite of the paper's premise; without a list of its own, a run uses the paper's cues.

The preset `relaygen` does as RelayGen's code does: its list, taken literally, case and punctuation included; the small
model begins right at the cue, though not before the large one has written five tokens, and stops at any full stop,
question or exclamation mark; if it has nothing to write there, the thinking ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import ClassVar, Literal

from pydantic import Field

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.cues import Cue, Lexicon, Match, english, relaygen
from baton_reasoning.core.thinking.policy import (
    WITHOUT_END,
    Move,
    Policy,
    PolicyArm,
    PolicyContext,
    PolicySettings,
    Until,
    View,
    look_on,
    take_over,
)
from baton_reasoning.core.thinking.reasons import ANSWER, TakeoverReason

RELAY = TakeoverReason("easy sentence", "Easy sentence, by the small model")
LEAST_TOKENS = 5
"""Tokens that the large model writes before a cue counts, in RelayGen's code."""
LONGEST_CUE = 100
"""A cue that ends in a token begins at most this many characters before it."""


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
        as_published: bool = Field(
            False,
            title="As RelayGen's code",
            description="Its list for R1, unless there is an own one; each string is looked for just as it stands.",
        )

    presets: ClassVar[Mapping[str, Settings]] = {
        "baton": Settings(),
        "relaygen": Settings(sentence_cap=32_768, as_published=True),
    }
    preset_summaries: ClassVar[Mapping[str, str]] = {"relaygen": "As in RelayGen's code, with its words for R1."}
    arms = (
        PolicyArm("relay", presets["baton"]),
        PolicyArm("relaygen", presets["relaygen"]),
    )
    main_parameters = ("sentence_cap",)
    settings: Settings

    def __init__(self, settings: PolicySettings | None = None, context: PolicyContext | None = None) -> None:
        super().__init__(settings, context)
        self.hands_back_empty = self.stops_repetition = not self.settings.as_published
        self._written_before = 0
        """Tokens of the large model when it last began to write."""

    @cached_property
    def lexicon(self) -> Lexicon:
        """The run's own cues, else RelayGen's or the paper's."""
        if self.settings.as_published:
            return replace(self.context.lexicon or relaygen(), match=Match.EXACT)
        return replace(self.context.lexicon or english(), match=Match.INFLECTED)

    def opening(self, view: View) -> Move:
        return self._large_begins(view)

    def at_boundary(self, view: View) -> Move:
        return look_on(within_step=True)

    def on_lookahead(self, view: View) -> Move:
        if self.settings.as_published:
            return self._look_for_published_cue(view)
        is_searched = view.thinking and not view.sentence_ended
        if is_searched and (cues := self.lexicon.find(view.text, complete=False)):
            return self._easy_sentence(cues[0])
        return look_on(within_step=True, settles=view.sentence_ended)

    def on_takeover_end(self, view: View) -> Move:
        return self._large_begins(view)

    def on_thinking_closed(self, view: View) -> Move:
        if self.settings.small_answers:
            return take_over(WITHOUT_END, ANSWER, author=Author.SMALL, keep_lookahead=True)
        return super().on_thinking_closed(view)

    def _large_begins(self, view: View) -> Move:
        self._written_before = view.large_tokens
        return look_on(within_step=True)

    def _look_for_published_cue(self, view: View) -> Move:
        """Hand over at a cue that ends in the newest token, after the large model's first five tokens."""
        is_searched = view.thinking and view.large_tokens - self._written_before > LEAST_TOKENS
        if is_searched and (cue := self._cue_that_ends_here(view)):
            # Of "So ", the token may contain only the blank (" the"): then the small model writes this word.
            is_kept = cue.end == len(view.text) or bool(view.text[: cue.end].strip())
            return self._easy_sentence(cue, keep_lookahead=is_kept)
        return look_on(within_step=True, settles=True)

    def _cue_that_ends_here(self, view: View) -> Cue | None:
        """Find a cue that ends in the lookahead, which is the newest token; its place is relative to it."""
        before = view.body[max(0, view.start - LONGEST_CUE) : view.start]
        cues = self.lexicon.find(before + view.text, complete=False)
        found = next((cue for cue in cues if cue.end > len(before)), None)
        return found and replace(found, start=max(0, found.start - len(before)), end=found.end - len(before))

    def _easy_sentence(self, cue: Cue, keep_lookahead: bool = True) -> Move:
        return take_over(
            self.settings.sentence_cap,
            RELAY,
            cue,
            until=Until.FIRST_MARK if self.settings.as_published else Until.FIRST_SENTENCE,
            author=Author.SMALL,
            keep_lookahead=keep_lookahead,
        )
