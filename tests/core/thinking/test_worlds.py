"""Policies in random worlds: against independent, executable forms of what was published, and what holds of them all.

`Schedule` is the paper's, written from docs/method.md alone with none of the program's loop or policies: one function,
straight down, over models that give their next token. The presets `reference` and `paper` are compared with it, token
entropy and the cascade with their rules.
"""

import json
import math
import random
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from itertools import accumulate, islice, pairwise
from typing import Any, NamedTuple, Self

import pytest
from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import EngineLost, SettingsError
from baton_reasoning.core.run import Pair, RunSettings, run
from baton_reasoning.core.store.event_chunks import pack, unpack
from baton_reasoning.core.thinking import events
from baton_reasoning.core.thinking.cues import Category
from baton_reasoning.core.thinking.events import Finish, RunStarted, TakeoverStarted, TextDiscarded, TokenWritten
from baton_reasoning.core.thinking.interruptions import Checkpoint, Control, Interrupted, Intervention, Limits
from baton_reasoning.core.thinking.policies.cascade import Cascade
from baton_reasoning.core.thinking.policies.keywords import EveryStep, Keywords
from baton_reasoning.core.thinking.policies.token_entropy import TokenEntropy
from baton_reasoning.core.thinking.policy import Policy, PolicySettings
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.steps import Boundary
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.trace_json import event_to_json, trace_from_lines, trace_to_json
from baton_reasoning.core.thinking.write_stream import DECODED_AT_MOST
from tests.core.thinking.running import ENGLISH, MOST, PRESETS, World, settings_of, written
from tests.fakes.scripted import QUESTION
from tests.tiers import size

pytestmark = pytest.mark.scaled
NEGATIVE = ENGLISH[Category.REFLECTION] + ENGLISH[Category.VERIFICATION]
POSITIVE = ENGLISH[Category.AFFIRMATION]
VERIFYING = ENGLISH[Category.VERIFICATION]
BOUNDARY = re.compile(r"(?<=\S)[ \t\r]*\n[ \t\r]*\n")
PAPERS_PROMPT = "Let us check whether there are some wrong steps."


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

    def run(self) -> Self:
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


def policy_of(lengths: Settings, kind: type[Keywords] | type[EveryStep], preset: str = "reference") -> PolicySettings:
    names = set(lengths._fields) & set(kind.Settings.model_fields)
    return kind.presets[preset].model_copy(update={name: getattr(lengths, name) for name in names})


def solve(world: World, policy: PolicySettings) -> Trace:
    settings = RunSettings(policy=policy, max_tokens=100_000, temperature=0, limits=Limits(repetition=False))
    return Trace.of(run(Pair(*world.engines), QUESTION, settings))


def decisions(trace: Trace) -> list[Decision]:
    return [Decision(event.reason, event.position) for event in trace.events if isinstance(event, TakeoverStarted)]


def authors_by_character(spans: Sequence[tuple[Author, str]]) -> str:
    return "".join(author.value[0] * len(text) for author, text in spans)


def assert_same(world: World, policy: PolicySettings, lengths: Settings) -> None:
    expected, trace = Schedule(world, lengths).run(), solve(world, policy)
    assert trace.finish is Finish.END_OF_TEXT
    assert decisions(trace) == expected.decisions
    assert trace.text == expected.text
    spans = [(span.author, span.text) for span in trace.pieces]
    assert authors_by_character(spans) == authors_by_character(expected.spans)
    inserted = {span.reason for span in trace.pieces if span.author is Author.INSERTED}
    assert inserted <= {"excessive reflection"}
    changes = [event.counters for event in trace.events if isinstance(event, events.CountersChanged)]
    assert [counters["reflections"] for counters in changes] == expected.negative_sentences


@in_all_worlds
def test_reference_is_the_authors_schedule(world):
    """But for two faults that the schedule does not repeat: their code sees no boundary that both writers share, for it
    looks at the small model's last five tokens, and it may write after the end of the text."""
    assert_same(world, policy_of(LENGTHS, Keywords), LENGTHS)


@pytest.mark.parametrize("world", WORLDS[: size(18, long=90)], ids=lambda world: str(world.seed))
@pytest.mark.parametrize("opening", [0, 9])
def test_every_step_is_the_authors_schedule_for_models_that_do_not_reason(world, opening):
    lengths = LENGTHS._replace(not_reasoning=True, opening=opening)
    assert_same(world, policy_of(lengths, EveryStep), lengths)


@in_all_worlds
def test_paper_is_the_schedule_of_the_paper(world):
    lengths = LENGTHS._replace(c_step=0, n3_step=0, auxiliary_prompt=PAPERS_PROMPT, as_in_paper=True)
    assert_same(world, policy_of(lengths, Keywords, "paper"), lengths)


def test_the_presets_have_the_published_lengths():
    fixed = Settings(n3_step=0, n3_most=125, c_step=0, c_most=15, auxiliary_prompt=PAPERS_PROMPT)
    assert policy_of(Settings(), Keywords) == Keywords.presets["reference"]
    assert policy_of(fixed, Keywords, "paper") == Keywords.presets["paper"]
    assert policy_of(Settings(opening=100), EveryStep) == EveryStep.presets["reference"]
    assert policy_of(Settings(auxiliary_prompt=f"{PAPERS_PROMPT} "), Keywords, "baton") == Keywords.presets["baton"]


def test_the_worlds_exercise_every_rule():
    found = {decision.reason for world in WORLDS for decision in Schedule(world, LENGTHS).run().decisions}
    assert found == {"reflection", "affirmation", "verification", "excessive reflection"}


# Token entropy and the cascade


UNSURE_WORLDS = [World(seed, tagged=seed % 2 == 1) for seed in range(3000, 3000 + size(10, long=200))]
UNSURE_WORLDS += [World(seed, end_rate=0.02, split=True) for seed in range(4000, 4000 + size(5, long=100))]
in_unsure_worlds = pytest.mark.parametrize("world", UNSURE_WORLDS, ids=lambda world: str(world.seed))


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
@in_unsure_worlds
@pytest.mark.parametrize("returns_below", [0.0, 0.4])
def test_token_entropy_is_the_published_rule(world, returns_below):
    made, text = token_by_token(world, 0.45, returns_below)
    trace = solve(world, TokenEntropy.Settings(returns_below=returns_below))
    assert (decisions(trace), trace.text) == (made, text)
    assert_consistent(trace, 100_000)


@in_unsure_worlds
@pytest.mark.parametrize("tau", [0.5, 0.6])
def test_the_cascade_solves_afresh_what_the_small_model_was_unsure_of(world, tau):
    text, margins = "", list[float]()
    for token in world.tokens(Author.SMALL, ""):
        first, *others = world.chances(text)
        margins.append(first - (others[0] if others else 0.0))
        text += token
    is_sure = sum(margins) / max(1, len(margins)) >= tau
    trace = solve(world, Cascade.Settings(tau=tau))
    assert decisions(trace) == ([] if is_sure else [Decision("unsure answer", 0)])
    assert trace.text == (text if is_sure else "".join(world.tokens(Author.LARGE, "")))


# What holds of every policy and preset


every_policy = pytest.mark.parametrize("policy", PRESETS.values(), ids=PRESETS)
"""Under each preset, or with its defaults."""
in_worlds = pytest.mark.parametrize("seed", range(size(2, long=30)))


def assert_consistent(trace: Trace, most: int) -> None:
    """What is streamed is what is traced and stored; what is kept and what was discarded is what was decoded."""
    text = ""
    for event in trace.events:
        if isinstance(event, TextDiscarded):
            assert text[event.position :] == event.text
            text = text[: event.position]
        elif isinstance(event, TokenWritten | events.TextInserted):
            text += event.text
    assert text == trace.text == "".join(part.text for part in trace.parts())
    assert_in_order(trace)
    assert_counted(trace)
    assert_signed(trace)
    assert trace.tokens <= most
    lines = [json.dumps(event_to_json(event)) for event in trace.events]
    for stored in (Trace.of(unpack(pack(trace.events))), trace_from_lines(lines)):
        assert trace_to_json(stored) == trace_to_json(trace)
        assert (stored.events, stored.pieces, stored.totals) == (trace.events, trace.pieces, trace.totals)


def assert_in_order(trace: Trace) -> None:
    """Each piece begins where the one before ends, in its step or the next."""
    end, step = 0, 0
    for piece in trace.pieces:
        assert piece.position == end
        assert piece.step in (step, step + 1)
        end, step = piece.end_position, piece.step
    assert [piece for each in trace.steps for piece in each.pieces] == trace.pieces
    assert end == trace.length == len(trace.text)
    assert trace.until(end).text == trace.text
    assert trace.text_between(end // 3, end // 2) == trace.text[end // 3 : end // 2]


def assert_counted(trace: Trace) -> None:
    """Totals are what a naive count gives."""
    decoded = [event.author for event in trace.events if isinstance(event, TokenWritten)]
    read = [event for event in trace.events if isinstance(event, events.Reading)]
    began = [event for event in trace.events if isinstance(event, TakeoverStarted)]
    took = [event.author for event in began if event.reason not in ("large only", "small only")]
    gone = sum(event.tokens for event in trace.events if isinstance(event, TextDiscarded))
    for author, total in trace.totals.items():
        assert total.decoded == decoded.count(author)
        assert total.kept == sum(len(piece.tokens) for piece in trace.pieces if piece.author is author)
        assert total.prefilled == sum(event.handoff.prefilled for event in read if event.author is author)
        assert total.reused == sum(event.handoff.reused for event in read if event.author is author)
        assert total.takeovers == took.count(author)
        assert 0 <= total.recomputed <= total.prefilled
        assert 0 <= total.inherited <= total.reused
    assert trace.takeovers == len(took)
    assert trace.tokens == len(decoded) - gone
    writes = (event for event in trace.events if isinstance(event, events.HandedOver | events.RunStarted))
    writers = (getattr(event, "author", None) for event in writes)
    assert trace.handoffs == sum(None not in (one, other) and one is not other for one, other in pairwise(writers))


def assert_signed(trace: Trace) -> None:
    """Each character is of the model, and the policy, that a naive replay gives; all writers wrote all tokens."""
    told, run = list[tuple[Author, str, str]](), RunStarted(0.0, (), "", {}, 0, None, None, 0, False)
    for event in trace.events:
        if isinstance(event, RunStarted):
            run = event
        elif isinstance(event, TextDiscarded):
            del told[event.position :]
        elif isinstance(event, TokenWritten):
            told += [(event.author, run.cards[event.author].name, run.policy)] * len(event.text)
        elif isinstance(event, events.TextInserted):
            policy = "" if event.author is Author.PERSON else run.policy
            told += [(event.author, "", policy)] * len(event.text)
    signed = [
        (each.author, each.card.name if each.card else "", each.run.policy if each.run else "") for each in trace.pieces
    ]
    assert told == [sign for sign, piece in zip(signed, trace.pieces, strict=True) for _ in piece.text]
    assert {run.policy for run in trace.runs} == {policy for _, _, policy in signed if policy}
    for author, total in trace.totals.items():
        assert total.kept == sum(model.tokens for model in trace.writers if model.author is author)
    names = [(model.author, model.card.name) for model in trace.models if model.card]
    assert len(names) == len(set(names))


def random_settings(policy: type[Policy], dice: random.Random) -> RunSettings:
    """Any values that the policy's form accepts, with any limits."""
    while True:
        fields = policy.Settings.model_fields.items()
        settings = policy.Settings.model_validate(
            {name: random_value(field, dice) for name, field in fields if name != "policy"}
        )
        with suppress(SettingsError):
            settings.check_values()
            break
    limits = Limits(
        max_thinking_tokens=dice.choice((0, 0, 1, 30)),
        max_large_share=dice.choice((1, 1, 0.3, 0)),
        repetition=dice.random() < 0.8,
    )
    return RunSettings(
        policy=settings,
        seed=dice.randrange(99),
        max_tokens=dice.choice((1, 30, MOST)),
        limits=limits,
        boundary=dice.choice(tuple(Boundary)),
        small_alone=dice.random() < 0.7,
    )


def random_value(field: FieldInfo, dice: random.Random) -> Any:
    kind = field.annotation
    least: Any = next((bound.ge for bound in field.metadata if isinstance(bound, Ge)), 0)
    most: Any = next((bound.le for bound in field.metadata if isinstance(bound, Le)), 3)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return dice.choice(tuple(kind))
    if kind is bool:
        return dice.random() < 0.5
    if kind is int:
        return least + dice.choice((0, 1, 2, 5, 20, 600))
    return dice.uniform(least, most) if kind is float else dice.choice(("", "So ", "\n\n", "</think>"))


def odd_models(dice: random.Random) -> World:
    """Two models that end anywhere, split characters and boundaries, think or not, run out of context, or get lost."""
    world = World(
        dice.randrange(10_000),
        tagged=dice.random() < 0.7,
        cue_rate=dice.choice((0, 0.1, 0.5)),
        drawn=True,
        end_rate=dice.choice((0, 0.01, 0.2)),
        split=dice.random() < 0.2,
        sewn=dice.random() < 0.5,
    )
    for engine in world.engines:
        engine.with_card(
            context=dice.choice((90, 100_000, 100_000)),
            thinking=dice.choice((engine.card.thinking, engine.card.thinking, None)),
        )
    return world


@pytest.mark.parametrize("name", POLICIES)
def test_any_settings_end_with_any_models(name):
    for seed in range(size(40, long=2000)):
        dice = random.Random(f"{name} {seed}")
        settings, world = random_settings(POLICIES[name], dice), odd_models(dice)
        trace = written(world, settings)
        assert_consistent(trace, settings.max_tokens)
        assert sum(total.decoded for total in trace.totals.values()) <= DECODED_AT_MOST * settings.max_tokens
        assert trace.finish is not Finish.FAILED
        if settings.limits.max_large_share == 0:
            took = [event for event in trace.events if isinstance(event, TakeoverStarted)]
            assert not any(POLICIES.reason(event.reason).capped for event in took if event.author is Author.LARGE)


class Restless(Control):
    """Begins the program anew at random tokens, or presses one of a person's buttons."""

    def __init__(self, dice: random.Random, chance: float, *buttons: Callable[[Control], None]) -> None:
        super().__init__()
        self._dice, self._chance, self._buttons = dice, chance, buttons

    def check(self, checkpoint: Checkpoint) -> None:
        if self._dice.random() < self._chance:
            if not self._buttons:
                raise Interrupted(Intervention())
            self._dice.choice(self._buttons)(self)
        super().check(checkpoint)


BUTTONS = (
    *(Control.take_over, Control.give_back, Control.rewrite_step, Control.answer_now),
    lambda control: control.take_over(now=False),
)


@every_policy
@in_worlds
@pytest.mark.parametrize(("chance", "buttons"), [(0.05, ()), (1, ()), (0.1, BUTTONS)])
def test_a_program_may_begin_anew_after_any_token_and_a_person_do_anything(policy, seed, chance, buttons):
    settings, restless = settings_of(policy, seed), Restless(random.Random(seed), chance, *buttons)
    world = World(seed, tagged=True, drawn=True, sewn=bool(buttons))
    assert_consistent(written(world, settings, control=restless, may_rewrite=bool(buttons)), settings.max_tokens)


@every_policy
@in_worlds
@pytest.mark.parametrize("lost", [Author.SMALL, Author.LARGE])
def test_a_model_that_is_lost_anywhere_leaves_the_other_one_alone(policy, seed, lost):
    world, settings, kind = World(seed, tagged=True, drawn=True), settings_of(policy, seed), POLICIES.of(policy)
    engine, after = world.engines[lost is Author.LARGE], random.Random(seed).randrange(60)

    def fail(_body: str) -> None:
        if engine.written >= after:
            raise EngineLost("The model is lost.")

    engine.before_token = fail
    trace = written(world, settings)
    assert_consistent(trace, settings.max_tokens)
    if kind.default_writer is Author.LARGE or (lost is Author.LARGE and kind.needs.small):
        assert trace.finish is not Finish.FAILED


@every_policy
@in_worlds
def test_a_text_is_taken_up_wherever_it_was_interrupted(policy, seed):
    """Again and again: after a kill, at a fork or an edit, with the same settings or others. It stands, and so do its
    counters and what a person wrote."""
    dice, world, settings = random.Random(seed), World(seed, tagged=True, drawn=True), settings_of(policy, seed)
    trace = written(world, settings)
    for _ in range(size(4, long=20)):
        place = dice.randrange(trace.length + 1)
        ending = dice.choice(("Wait, 3.", "so it is 4.\n\n", "a", "So.</think>"))
        edit = trace.edited(place, ending)
        assert edit.text == trace.text[:place] + ending
        assert edit.takeover is None, "it ends one"
        before = dice.choice((Trace.of(trace.events[: dice.randrange(1, len(trace.events))]), trace.until(place), edit))
        chosen = dice.choice((settings, settings_of(dice.choice(tuple(PRESETS.values())), seed)))
        trace = written(world, chosen, Trace.of(before.events))
        assert trace.text.startswith(before.text)
        assert by_person(trace) == by_person(before)
        assert_consistent(trace, settings.max_tokens)
        kept = {"longer takeovers", "asked"} & before.counters.keys() & set(POLICIES.of(chosen.policy).counts)
        assert all(trace.counters[name] >= before.counters[name] for name in kept if chosen is settings)


@every_policy
@in_worlds
def test_each_piece_stays_its_models_whoever_goes_on_and_whatever_a_person_does(policy, seed):
    """Stopped anywhere, forked and edited, and taken up by other models, which rewrite steps of the earlier ones."""
    dice, world, trace = random.Random(seed), World(seed, tagged=seed % 2 == 0, drawn=True, sewn=True), Trace()
    for _ in range(size(4, long=12)):
        for engine in world.engines:
            engine.with_card(name=dice.choice(("one", "two", "three")))
        settings = settings_of(dice.choice((policy, *PRESETS.values())), seed)
        restless = Restless(dice, 0.1, *BUTTONS)
        trace = written(world, settings, Trace.of(trace.events), control=restless, may_rewrite=True)
        assert_consistent(trace, settings.max_tokens)
        place, killed = dice.randrange(trace.length + 1), dice.randrange(1, len(trace.events))
        ways = (
            trace.until(place),
            trace.edited(place, dice.choice(("Mine. ", "So.\n\n"))),
            Trace.of(trace.events[:killed]),
        )
        trace = dice.choice(ways)
        assert_signed(trace)


def by_person(trace: Trace) -> str:
    return "".join(piece.text for piece in trace.pieces if piece.author is Author.PERSON)
