"""Runs over scripted engines and in random worlds, for the tests of the method."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from baton_reasoning.core.engines.base import Messages, Placement
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.run import Pair, ask
from baton_reasoning.core.run import run as solve
from baton_reasoning.core.thinking.cues import english
from baton_reasoning.core.thinking.driver import Driver
from baton_reasoning.core.thinking.events import Event, RunStarted, TakeoverStarted
from baton_reasoning.core.thinking.interruptions import Control, Interruption, Intervention
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policy import Policy, PolicySettings
from baton_reasoning.core.thinking.reasons import TakeoverReason
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.requests import Program, Request, Write, Written
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.text import Text
from baton_reasoning.core.thinking.trace import Trace
from tests.fakes.scripted import QUESTION, THINK, ScriptedEngine

E = TypeVar("E")
SMALL, LARGE = Author.SMALL, Author.LARGE
MOST = 160
"""Tokens of a text in a random world."""
PRESETS: dict[str, PolicySettings] = {
    f"{name} {preset}".strip(): settings
    for name, policy in POLICIES.items()
    for preset, settings in (policy.presets or {"": policy.Settings()}).items()
}


class Run(NamedTuple):
    """What came of a run: its events, the trace of them, and the engines with their logs."""

    trace: Trace
    small: ScriptedEngine
    large: ScriptedEngine

    def all(self, kind: type[E]) -> list[E]:
        return [event for event in self.trace.events if isinstance(event, kind)]

    @property
    def reasons(self) -> list[str]:
        """Of its takeovers, in order."""
        return [takeover.reason for takeover in self.all(TakeoverStarted)]

    @property
    def measures(self) -> list[Any]:
        """What decided each takeover, as a number with its limit."""
        return [takeover.measure for takeover in self.all(TakeoverStarted)]

    @property
    def told(self) -> list[tuple[str, str]]:
        """Author and text of each piece, in order."""
        return [(piece.author.value, piece.text) for piece in self.trace.pieces]


class Programmed(Policy):
    """Decides by any program."""

    name, title = "programmed", "Programmed"

    def __init__(self, program: Callable[[Text], Program]) -> None:
        super().__init__()
        self._program = program

    def think(self, text: Text) -> Program:
        return self._program(text)


class AtBoundary(Policy):
    """Makes one of these requests at each boundary, then lets the default writer go on."""

    name = "at boundary"
    decides_after_takeover = False

    def __init__(self, *requests: Request[Any]) -> None:
        super().__init__()
        self.requests = list(requests)
        self.steps: list[Written] = []

    def think(self, text: Text) -> Program:
        while True:
            self.steps.append((yield from Write()))
            if self.requests:
                yield from self.requests.pop(0)


def run(
    policy: Policy,
    small: ScriptedEngine | Sequence[str | Sequence[str]] = (),
    large: ScriptedEngine | Sequence[str | Sequence[str]] = (),
    settings: RunSettings = RunSettings(),  # noqa: B008 - frozen
    interruptions: Sequence[Interruption] = (),
    before: Trace | None = None,
    intervention: Intervention | None = None,
) -> Run:
    """One whole run, which `before` begins. Texts make engines of one vocabulary; each write takes the next text."""
    small = small if isinstance(small, ScriptedEngine) else ScriptedEngine(*small)
    large = large if isinstance(large, ScriptedEngine) else ScriptedEngine(*large, name="large")
    sessions = {SMALL: small.open(), LARGE: large.open()}
    if before and before.counters:
        policy = type(policy)(policy.settings, replace(policy.context, counters=before.counters))
    driver = Driver(sessions, policy, settings, interruptions, before.parts() if before else ())
    tokens = sessions[SMALL].prompt_tokens
    started = RunStarted(0.0, QUESTION, policy.name, {}, settings.seed, small.card, large.card, tokens, True)
    events: list[Event] = [*(before.events if before else ()), started, *driver.run(intervention)]
    return Run(Trace.of(events), small, large)


def rules(done: Run) -> list[TakeoverReason]:
    """The reasons of its takeovers, in order."""
    return list(map(POLICIES.reason, done.reasons))


def keywords(settings: Keywords.Settings | None = None) -> Keywords:
    return Keywords(settings)


# In random worlds: two models whose next token follows from the text so far or, in a drawn world, from a random number.
#
# Whatever a schedule discards or takes over, both models continue in the same way in any implementation of it, so that
# decisions and text can be compared token by token. Tokens hold cues, words that only contain one ("Bayes", "awaiting",
# "checkerboard"), boundaries split in several ways, and closing tags.


HERE = Placement((), batch=512, threads=1, kv_type="f16")
"""So that one may draft for the other."""

STATEMENTS = (
    *(" so", " it", " is", " 4", " the", " sum", " x", ",", ".", " then"),
    *(" Bayes", " awaiting", " checkerboard"),
)
CUES = (
    *(" Wait", " wait", " yes", " Yeah", " verify", " check", " another", " Now", " Nowhere", " So"),
    *(" hold on", " confident", " recap", " think again"),
)
BOUNDARIES = ("\n\n", ".\n\n", "\n", " \n", "\n \n\n")
SEWN_BOUNDARIES = (*BOUNDARIES, "\n\nWait", ".\n\n So")
HALF_A_CHARACTER = "é".encode()[:1]
PARTS_OF_BOUNDARIES = ("\n", " \n", ".\n", "\t", " ", "\r\n")
"""So that several tokens, and often both writers, share in a boundary."""
CLOSING = ((THINK.closing,), ("</", "think", ">"), (".</", "think>\n\n"))
"""The tokens of a closing tag, of which each world has its own."""
LONGEST = 1_500
"""Characters after which every model closes its thinking and ends."""


@dataclass(frozen=True)
class World:
    """One pair of models, and whether they think apart from the answer."""

    seed: int
    tagged: bool = False
    cue_rate: float = 0.12
    drawn: bool = False
    """Whether the next token follows from its random number, as with a real model."""
    end_rate: float = 0.006
    """How often a model that may end the text does so at a token."""
    split: bool = False
    """Whether no token holds a whole boundary."""
    sewn: bool = False
    """Whether a token may hold a boundary and the first word after it; if the text is drawn, some have no text."""

    def next_token(self, author: Author, body: str, number: int | None = None) -> str | None:
        """The token that this model writes after the body; None is the end of text."""
        body = plain(body)
        place = f"{len(body)} {body[-60:]}" if number is None else str(number)
        dice = random.Random(f"{self.seed} {author.value} {place}")
        closed = not self.tagged or THINK.closing in body
        tag = random.Random(f"{self.seed} tag").choice(CLOSING)
        for begun in range(1, len(tag)):
            if not closed and body.endswith("".join(tag[:begun])) and dice.random() < 0.9:
                return tag[begun]
        if not closed and (len(body) > LONGEST or (len(body) > 300 and dice.random() < 0.01)):
            return tag[0]
        if closed and body and (len(body) > LONGEST or dice.random() < self.end_rate):
            return None
        draw = dice.random()
        if self.split and body.strip() and 0 < body[len(body.rstrip()) :].count("\n") < 2 and draw < 0.6:
            return dice.choice(PARTS_OF_BOUNDARIES)
        if draw < 0.14 and body.strip() and body[len(body.rstrip()) :].count("\n") < 2:
            whole = SEWN_BOUNDARIES if self.sewn else BOUNDARIES
            return dice.choice(PARTS_OF_BOUNDARIES if self.split else whole)
        return dice.choice(CUES if draw < 0.14 + self.cue_rate else STATEMENTS)

    def tokens(self, author: Author, body: str) -> Iterator[str]:
        """What this model writes after the body, to its end of text."""
        while (token := self.next_token(author, body)) is not None:
            yield token
            body += token

    def chances(self, body: str) -> tuple[float, ...]:
        """Probabilities of the likeliest tokens of the small model after the body, the written one first."""
        body = plain(body)
        dice = random.Random(f"{self.seed} chances {len(body)} {body[-60:]}")
        return dice.choice(((1.0,), (0.9, 0.1), (0.3, 0.3, 0.2, 0.2), (0.6, 0.2, 0.2)))

    def digit(self, body: str) -> int:
        """The score that the large model gives the last step of the body."""
        return random.Random(f"{self.seed} digit {body[-60:]}").randrange(10)

    @cached_property
    def engines(self) -> tuple[ScriptedEngine, ScriptedEngine]:
        """The small and the large model, as engines."""

        def engine(author: Author) -> ScriptedEngine:
            def continue_with(_: Messages, body: str) -> list[str]:
                return list(self.tokens(author, body))

            def draw(body: str, number: int) -> bytes | None:
                if number % 43 == 0:
                    return HALF_A_CHARACTER
                if number % 47 == 0 and self.sewn:
                    return b""
                token = self.next_token(author, body, number)
                return token.encode() if token is not None else None

            engine = ScriptedEngine(
                continue_with=continue_with,
                draw=draw if self.drawn else None,
                name=author.value,
                thinking=THINK if self.tagged else None,
                chances=self.chances,
                placement=HERE,
            )

            def judged(body: str, choices: tuple[str, ...]) -> list[float]:
                return [float(n == self.digit(body) % len(choices)) for n in range(len(choices))]

            engine.judged = judged  # type: ignore[method-assign]
            return engine

        return engine(Author.SMALL), engine(Author.LARGE)


def plain(body: str) -> str:
    """Without what stands for half a character: a model sees the bytes, and a body that is continued has none of them
    until the character is complete."""
    return body.replace("\ufffd", "")


ENGLISH = {category: tuple(words) for category, words in english().cues.items()}
"""The paper's cues by category, base forms only."""


def settings_of(policy: PolicySettings, seed: int) -> RunSettings:
    """With short steps, so that caps are met, and small numbers, so that each rule fires."""
    dice = random.Random(seed)
    changes = {"step_cap": dice.choice((6, 512)), "n1": dice.choice((4, 20)), "n2": 12, "n3": 12, "n3_step": 3}
    changes |= {"n3_most": 18, "c": 2, "c_step": 1, "c_most": 3, "opening": dice.choice((0, 9)), "sentence_cap": 9}
    fitting = {name: value for name, value in changes.items() if name in type(policy).model_fields}
    return RunSettings(policy=policy.model_copy(update=fitting), seed=seed, max_tokens=MOST, alternatives=4)


def written(
    world: World,
    settings: RunSettings,
    before: Trace | None = None,
    control: Control | None = None,
    may_rewrite: bool = False,
) -> Trace:
    """The text to its end, from where `before` was interrupted. What is settled stands, unless a person rewrites it."""
    trace, asked, settled = before or Trace(), ask("Add.", settings), [before.text if before else ""]

    def settle(position: int) -> None:
        assert position > len(settled[-1])
        settled.append(trace.text[:position])

    pair = Pair(*world.engines)
    for event in solve(pair, asked, settings, control=control, before=trace, on_settled=settle):
        trace.apply(event)
        assert may_rewrite or trace.text.startswith(settled[-1])
    assert may_rewrite or trace.text == settled[-1]
    assert trace.ended
    return trace
