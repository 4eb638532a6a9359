"""Policies against independent, executable forms of what was published, over random worlds.

`Schedule` is the paper's, written from docs/method.md alone with none of the program's loop or policies: one function,
straight down, over models that give their next token. The presets `reference` and `paper` are compared with it, token
entropy and the cascade with their rules.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import NamedTuple

import pytest

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.run import Pair, RunSettings, run
from baton_reasoning.core.thinking.cues import Category
from baton_reasoning.core.thinking.events import CountersChanged, Event, Finish, RunEnded, TakeoverStarted
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.policies.cascade import Cascade
from baton_reasoning.core.thinking.policies.every_step import EveryStep
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policies.token_entropy import TokenEntropy
from baton_reasoning.core.thinking.policy import PolicySettings
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.oracles.worlds import ENGLISH, World
from tests.fakes.scripted import QUESTION
from tests.tiers import size

pytestmark = pytest.mark.scaled
NEGATIVE = ENGLISH[Category.REFLECTION] + ENGLISH[Category.VERIFICATION]
POSITIVE = ENGLISH[Category.AFFIRMATION]
VERIFYING = ENGLISH[Category.VERIFICATION]
BOUNDARY = re.compile(r"(?<=\S)[ \t\r]*\n[ \t\r]*\n")


class Settings(NamedTuple):
    """The authors' configuration; lengths in tokens."""

    n1: int = 20
    n2: int = 125
    n3: int = 125
    n3_step: int = 25
    n3_most: int = 200
    c: int = 15
    c_step: int = 5
    c_most: int = 30
    opening: int = 0
    not_reasoning: bool = False
    """§4.2: after every boundary the large model writes the next sentence, without classification."""
    auxiliary_prompt: str = "Let me check whether there are some wrong steps:"
    as_in_paper: bool = False
    """Cues are words, and count once where they overlap; a lookahead without a cue stays."""


class Decision(NamedTuple):
    reason: str
    position: int
    """Characters of the text before the takeover."""


@dataclass
class Schedule:
    """One run."""

    world: World
    settings: Settings
    text: str = ""
    decisions: list[Decision] = field(default_factory=list)
    negative_sentences: list[int] = field(default_factory=list)
    """The counter after each sentence that was counted, and after each firing of rule 3."""
    spans: list[tuple[Author, str]] = field(default_factory=list)
    count: int = 0
    c: int = 0
    n3: int = 0
    over: bool = False

    def run(self) -> Schedule:
        settings = self.settings
        self.c, self.n3 = settings.c, settings.n3
        if settings.opening:
            self.take_over("opening", settings.opening)
        while not self.over:
            self.write_step()
            if not self.over:
                self.decide()
        return self

    def decide(self) -> None:
        settings = self.settings
        if self.count >= self.c:
            self.append(Author.INSERTED, settings.auxiliary_prompt)
            self.take_over("excessive reflection", self.n3)
            self.set_count(0)
            self.c = min(self.c + settings.c_step, settings.c_most)
            self.n3 = min(self.n3 + settings.n3_step, settings.n3_most)
        elif settings.not_reasoning:
            self.sentence_stands(self.take_over("every step", settings.n1))
        else:
            tokens = list(islice(self.world.tokens(Author.SMALL, self.text), settings.n1))
            lookahead = "".join(tokens)
            if (sign := self.sign_of(lookahead)) != "statement":
                self.sentence_stands(self.take_over(sign, settings.n1))
            elif settings.as_in_paper:
                self.keep(tokens)

    def keep(self, lookahead: list[str]) -> None:
        """Let the small model go on from its lookahead; the last boundary in it is decided after it."""
        found = [boundaries(text) for text in accumulate([self.text, *lookahead])]
        if found[-1] == found[0]:
            self.append(Author.SMALL, "".join(lookahead))
        else:
            self.append(Author.SMALL, "".join(lookahead[: found.index(found[-1])]))
            self.decide()

    def sentence_stands(self, sentence: str) -> None:
        """After a takeover at a cue, or of a step: count the sentence by its own sign, then rule 2."""
        if self.over:
            return
        if self.sign_of(sentence) == "reflection":
            self.set_count(self.count + 1)
        if self.count_of(VERIFYING, sentence):
            self.take_over("verification", self.settings.n2)

    def write_step(self) -> None:
        """The small model writes until it has completed a boundary, or to its end."""
        for token in self.world.tokens(Author.SMALL, self.text):
            before = boundaries(self.text)
            self.append(Author.SMALL, token)
            if boundaries(self.text) > before:
                return
        self.over = True

    def take_over(self, reason: str, tokens: int) -> str:
        self.decisions.append(Decision(reason, len(self.text)))
        start, written = len(self.text), 0
        for token in islice(self.world.tokens(Author.LARGE, self.text), tokens):
            self.append(Author.LARGE, token)
            written += 1
        self.over = written < tokens
        return self.text[start:]

    def append(self, author: Author, text: str) -> None:
        self.text += text
        self.spans.append((author, text))

    def set_count(self, count: int) -> None:
        self.count = count
        self.negative_sentences.append(count)

    def sign_of(self, text: str) -> str:
        """By the majority of cues; a tie is a reflection."""
        negative, positive = self.count_of(NEGATIVE, text), self.count_of(POSITIVE, text)
        if not negative and not positive:
            return "statement"
        return "affirmation" if positive > negative else "reflection"

    def count_of(self, cues: tuple[str, ...], text: str) -> int:
        return len(words_in(text, cues)) if self.settings.as_in_paper else substrings_in(text, cues)


def boundaries(text: str) -> int:
    return len(BOUNDARY.findall(text))


def words_in(text: str, words: tuple[str, ...]) -> list[str]:
    return re.findall(rf"\b(?:{'|'.join(map(re.escape, words))})\b", text, re.IGNORECASE)


def substrings_in(text: str, words: tuple[str, ...]) -> int:
    return sum(text.lower().count(word) for word in set(words))


# The presets against it

LENGTHS = Settings(n1=6, n2=11, n3=12, n3_step=4, n3_most=18, c=2, c_step=1, c_most=4)
"""Short enough for every rule to fire in a text of some hundred tokens."""
WORLDS = [
    World(seed, tagged=seed % 2 == 1, cue_rate=(0.05, 0.12, 0.25)[seed % 3]) for seed in range(size(24, long=150))
]
HARD_WORLDS = [
    World(seed, cue_rate=0.2, end_rate=(0.006, 0.03)[seed % 2], split=True)
    for seed in range(500, 500 + size(24, long=150))
]
"""Boundaries of several tokens, and of both writers; a model may end the text at any token."""
in_all_worlds = pytest.mark.parametrize("world", WORLDS + HARD_WORLDS, ids=lambda world: str(world.seed))


def settings_of(lengths: Settings, kind: type[Keywords] | type[EveryStep], preset: str = "reference") -> PolicySettings:
    names = set(lengths._fields) & set(kind.Settings.model_fields)
    return kind.presets[preset].model_copy(update={name: getattr(lengths, name) for name in names})


def solve(world: World, policy: PolicySettings) -> list[Event]:
    settings = RunSettings(policy=policy, max_tokens=100_000, temperature=0, limits=Limits(repetition=False))
    return list(run(Pair(*world.engines), QUESTION, settings))


def decisions(events: Sequence[Event]) -> list[Decision]:
    return [Decision(event.reason, event.position) for event in events if isinstance(event, TakeoverStarted)]


def authors_by_character(spans: Sequence[tuple[Author, str]]) -> str:
    return "".join(author.value[0] * len(text) for author, text in spans)


def assert_same(world: World, policy: PolicySettings, lengths: Settings) -> None:
    expected = Schedule(world, lengths).run()
    events = solve(world, policy)
    trace = Trace.of(events)
    assert isinstance(events[-1], RunEnded)
    assert events[-1].finish is Finish.END_OF_TEXT
    assert decisions(events) == expected.decisions
    assert trace.text == expected.text
    spans = [(span.author, span.text) for span in trace.pieces]
    assert authors_by_character(spans) == authors_by_character(expected.spans)
    counts = [int(event.counters["reflections"]) for event in events if isinstance(event, CountersChanged)]
    assert counts == expected.negative_sentences


@in_all_worlds
def test_reference_is_the_authors_schedule(world):
    """But for two faults that the schedule does not repeat: their code sees no boundary that both writers share, for it
    looks at the small model's last five tokens, and it may write after the end of the text."""
    assert_same(world, settings_of(LENGTHS, Keywords), LENGTHS)


@pytest.mark.parametrize("world", WORLDS[: size(18, long=90)], ids=lambda world: str(world.seed))
@pytest.mark.parametrize("opening", [0, 9])
def test_every_step_is_the_authors_schedule_for_models_that_do_not_reason(world, opening):
    lengths = LENGTHS._replace(not_reasoning=True, opening=opening)
    assert_same(world, settings_of(lengths, EveryStep), lengths)


@in_all_worlds
def test_paper_is_the_schedule_of_the_paper(world):
    prompt = "Let us check whether there are some wrong steps."
    lengths = LENGTHS._replace(c_step=0, n3_step=0, auxiliary_prompt=prompt, as_in_paper=True)
    assert_same(world, settings_of(lengths, Keywords, "paper"), lengths)


def test_the_worlds_exercise_every_rule():
    found = {decision.reason for world in WORLDS for decision in Schedule(world, LENGTHS).run().decisions}
    assert found == {"reflection", "affirmation", "verification", "excessive reflection"}


# Token entropy and the cascade


UNSURE_WORLDS = [World(seed, tagged=seed % 2 == 1) for seed in range(3000, 3000 + size(10, long=200))]
UNSURE_WORLDS += [World(seed, end_rate=0.02, split=True) for seed in range(4000, 4000 + size(5, long=100))]
in_worlds = pytest.mark.parametrize("world", UNSURE_WORLDS, ids=lambda world: str(world.seed))


def entropy(chances: Sequence[float]) -> float:
    return -sum(p / sum(chances) * math.log(p / sum(chances)) for p in chances)


def token_by_token(world: World, tau: float, returns_below: float) -> tuple[list[Decision], str]:
    """R2R's rule: the large model writes a token where the small one's entropy is τ or more; with R-Stitch's return it
    goes on until it is sure itself."""
    made, text = list[Decision](), ""
    while (token := world.next_token(Author.SMALL, text)) is not None:
        if entropy(world.chances(text)) < tau:
            text += token
            continue
        made.append(Decision("token entropy", len(text)))
        while (token := world.next_token(Author.LARGE, text)) is not None:
            unsure = entropy(world.chances(text))
            text += token
            if not returns_below or unsure < returns_below:
                break
        else:
            return made, text
    return made, text


@pytest.mark.slow
@in_worlds
@pytest.mark.parametrize("returns_below", [0.0, 0.4])
def test_token_entropy_is_the_published_rule(world, returns_below):
    made, text = token_by_token(world, 0.45, returns_below)
    events = solve(world, TokenEntropy.Settings(returns_below=returns_below))
    assert decisions(events) == made
    assert Trace.of(events).text == text


@in_worlds
@pytest.mark.parametrize("tau", [0.5, 0.6])
def test_the_cascade_solves_afresh_what_the_small_model_was_unsure_of(world, tau):
    text, margins = "", list[float]()
    for token in world.tokens(Author.SMALL, ""):
        first, *others = world.chances(text)
        margins.append(first - (others[0] if others else 0.0))
        text += token
    is_sure = sum(margins) / max(1, len(margins)) >= tau
    events = solve(world, Cascade.Settings(tau=tau))
    assert decisions(events) == ([] if is_sure else [Decision("unsure answer", 0)])
    assert Trace.of(events).text == (text if is_sure else "".join(world.tokens(Author.LARGE, "")))
