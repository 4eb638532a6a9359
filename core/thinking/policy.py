"""What a policy is: a class that decides when the other model writes, with its settings and all that views need.

The loop knows nothing of keywords; a policy knows nothing of engines. One instance serves one run and holds its
own counters. A person ("take over now") and the limits of a run answer with the same moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from core.engines.body import Author
from core.thinking.cues import Cue, Lexicon
from core.thinking.events import AskedBy, Finish, TokenWritten
from core.thinking.events import Until as Until
from core.thinking.reasons import ANSWER, TakeoverReason
from core.thinking.steps import BOUNDARY, ends_in_mark, ends_sentence, same_step_twice
from core.thinking.trace import Trace

WITHOUT_END = 1 << 30
"""Tokens of a takeover that only the end of the text (or a person) ends."""


SLACK = 32
"""Tokens that a takeover may be longer, to its sentence's end."""


@dataclass(frozen=True, slots=True)
class Write:
    """A model writes. Policies make one with `keep`, `look_on` or `take_over`."""

    author: Author | None = None
    """None: the policy's default writer, which is asked about at each step boundary and has no length."""
    reason: TakeoverReason | None = None
    """Why this is a takeover: a span of `tokens`, inside which nothing is decided. None for the default writer."""
    cue: Cue | None = None
    tokens: int = WITHOUT_END
    until: Until = Until.TOKENS
    watched: bool = False
    """The policy is asked again after each token (`on_lookahead`)."""
    within_step: bool = False
    """A lookahead ends at a boundary, where `at_boundary` is asked; else it may run over one, decided after it."""
    settles: bool = False
    """What was looked at so far stays, and a new lookahead begins after it."""
    ends_step: bool = False
    """The step ends here, at its cap, and what follows is a new one. Nothing at a boundary."""
    discard: bool = False
    """The lookahead is discarded and sampled again."""
    keep_lookahead: bool = False
    """The takeover comes after the lookahead, not in its place."""
    rewrite_step: bool = False
    """The last step is discarded, and written by this author."""
    slack: int = SLACK
    """Of `Until.SENTENCE`: tokens that it may be longer."""
    asked_by: AskedBy = AskedBy.POLICY

    @property
    def is_takeover(self) -> bool:
        return self.reason is not None

    @property
    def limit(self) -> int:
        return self.tokens + (self.slack if self.until is Until.SENTENCE else 0)

    def is_over(self, written: int, body: str, start: int, at_boundary: bool) -> bool:
        """Whether a takeover that began at `start` ends here. White space alone is no sentence and no step: a model
        that begins with an indented line is not at the end of anything."""
        if written >= self.limit:
            return True
        if self.until is Until.TOKENS or not body[start:].strip():
            return False
        if self.until is Until.STEP:
            return at_boundary
        if self.until is Until.FIRST_MARK:
            return at_boundary or ends_in_mark(body)
        is_long_enough = self.until is Until.FIRST_SENTENCE or written >= self.tokens
        return is_long_enough and (at_boundary or ends_sentence(body))


def keep(discard: bool = False) -> Write:
    """The default writer goes on to the next boundary. `discard`: without its lookahead, which is sampled again."""
    return Write(discard=discard)


def look_on(within_step: bool = False, settles: bool = False, ends_step: bool = False) -> Write:
    """The default writer goes on, and the policy is asked again after each of its tokens.

    `within_step`: at a boundary `at_boundary` is asked instead; else a lookahead may run over one. `settles`: what was
    looked at so far stays, and a new lookahead begins after it. `ends_step`: and it is a step of its own (at its cap).
    """
    return Write(watched=True, within_step=within_step, settles=settles or ends_step, ends_step=ends_step)


def take_over(
    tokens: int,
    reason: TakeoverReason,
    cue: Cue | None = None,
    until: Until = Until.TOKENS,
    *,
    author: Author = Author.LARGE,
    keep_lookahead: bool = False,
    rewrite_step: bool = False,
    slack: int = SLACK,
) -> Write:
    """The other model writes `tokens`, in place of the lookahead if one is under way."""
    return Write(
        author, reason, cue, tokens, until, keep_lookahead=keep_lookahead, rewrite_step=rewrite_step, slack=slack
    )


@dataclass(frozen=True, slots=True)
class Insert:
    """A text of neither model is inserted, then `then` happens (paper §3, rule 3)."""

    text: str
    reason: TakeoverReason
    then: Move


@dataclass(frozen=True, slots=True)
class Restore:
    """What the takeover wrote is discarded, the lookahead that it replaced stands again, then `then` happens."""

    then: Move


@dataclass(frozen=True, slots=True)
class Judge:
    """A model answers `question` about the text with one of `choices`; neither enters the text."""

    question: str
    choices: tuple[str, ...]
    author: Author = Author.LARGE


@dataclass(frozen=True, slots=True)
class Score:
    """A model reads the step under decision and scores each of its tokens (`on_score`)."""

    author: Author = Author.LARGE


@dataclass(frozen=True, slots=True)
class Close:
    """The thinking is closed for the default writer, which goes on to the answer."""

    reason: TakeoverReason


@dataclass(frozen=True, slots=True)
class Finished:
    """The run ends here; what is written stays."""

    finish: Finish
    reason: str = ""


Move = Write | Insert | Restore | Judge | Score | Close | Finished


@dataclass(frozen=True, slots=True)
class View:
    """What a policy may see. `text` and `tokens` are what is under decision: a lookahead so far, the step that
    has just ended, or what was written in the takeover that has just ended."""

    body: str
    start: int
    tokens: Sequence[TokenWritten]
    author: Author
    thinking: bool
    at_boundary: bool
    text_ended: bool = False
    """The writer has come to its end of text: there will be no more to see."""
    in_lookahead: bool = False
    """Whether the text is a lookahead that waits for a decision."""
    takeover: Write | None = None
    """The takeover that is under way, or has just ended."""
    small_tokens: int = 0
    large_tokens: int = 0
    seconds: float = 0.0
    boundary: str = BOUNDARY
    """The pattern that ends a step."""

    @property
    def text(self) -> str:
        return self.body[self.start :]

    @property
    def sentence_ended(self) -> bool:
        text = self.text
        return self.text_ended or (bool(text.strip()) and (self.at_boundary or ends_sentence(text)))

    @property
    def repeats_step(self) -> bool:
        """Whether the last two steps of the body are the same."""
        return same_step_twice(self.body, self.boundary)

    @property
    def large_share(self) -> float:
        """Tokens the large model wrote / all tokens written (the paper's modify ratio)."""
        return self.large_tokens / max(1, self.small_tokens + self.large_tokens)


class PolicySettings(BaseModel):
    """The parameters of one policy. Each policy has a nested class `Settings` of this kind; `policy` is its name, by
    which files and forms know whose parameters they are. Every field has a title and a description."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: str = ""

    def check_values(self) -> None:
        """Raise SettingsError if values that are each in bounds make no sense together."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a policy cannot work without."""

    small: bool = True
    large: bool = True
    alternatives: int = 0
    """Likeliest tokens that it reads at each position of the default writer."""
    judge: bool = False
    """A large model that answers a question with probabilities."""
    judge_small: bool = False
    """A small model that does."""
    scores: bool = False
    """A large model that gives the log-probability of each token it reads."""


@dataclass(frozen=True, slots=True)
class PolicyArm:
    """A way to run a policy in a batch."""

    name: str
    """Unique among the arms of all policies."""
    title: str
    settings: PolicySettings
    """Fields in which no arm of the policy differs from the default keep the value that a person chose."""
    equal_share_of: str = ""
    """Another arm, whose large share this one is to equal: a control of it."""


@dataclass(frozen=True, slots=True)
class PolicyContext:
    """What a policy gets from its run besides its own settings."""

    seed: int = 0
    lexicon: Lexicon | None = None
    """The cues of this model family or language; None means the paper's."""


class Policy:
    """When the baton passes. Subclass it in a module of its own (docs/extending.md): each question has the answer of
    a policy that never hands over."""

    name: ClassVar[str]
    """In files, traces and on the command line; it never changes."""
    title: ClassVar[str]
    summary: ClassVar[str]
    """One plain sentence for menus: when does the large model write?"""
    default_writer: Author = Author.SMALL
    """The model that writes unless the policy hands over."""
    needs: ClassVar[Needs] = Needs()
    is_control: ClassVar[bool] = False
    """Something to compare with, not a method to choose for its own sake: last in menus."""
    reasons: ClassVar[tuple[TakeoverReason, ...]] = ()
    """Its own; those in `reasons.py` are known without being listed."""
    presets: ClassVar[Mapping[str, PolicySettings]] = {}
    """Named settings; the first one's are the defaults."""
    arms: ClassVar[tuple[PolicyArm, ...]] = ()
    main_parameters: ClassVar[tuple[str, ...]] = ()
    """Those that decide where it takes over, for a view with little room; empty means all."""
    reads_cues: ClassVar[bool] = False
    """Whether it reads the run's cue list."""
    rewrites: ClassVar[bool] = True
    """Whether it may have a step rewritten once it has ended. If not, a text can be passed on sooner."""

    class Settings(PolicySettings):
        """None."""

    def __init__(self, settings: PolicySettings | None = None, context: PolicyContext | None = None) -> None:
        """`settings`: of this policy's class `Settings`; None means the defaults."""
        self.settings = settings or self.Settings()
        self.context = context or PolicyContext()

    @property
    def hands_back_empty(self) -> bool:
        """Whether a takeover at whose start the model ends its text leaves the writing to the default writer; else the
        text ends there."""
        return True

    @property
    def stops_repetition(self) -> bool:
        """Whether the limit on repetition holds in a run of this policy. Baselines and the authors' code have none."""
        return True

    def resume_from(self, trace: Trace) -> None:
        """The text was begun under other settings, or by another policy: take up what was counted (`trace.counters`).
        Called once, before anything else. A text that was only interrupted needs none of it (resume.py)."""
        return

    def opening(self, view: View) -> Move:
        """Before the first token."""
        return keep()

    def at_boundary(self, view: View) -> Move:
        """The default writer has ended a step, or the other one has ended its takeover there."""
        return keep()

    def on_lookahead(self, view: View) -> Move:
        """The lookahead has grown by a token. Must decide at the latest when `view.text_ended`."""
        return keep()

    def on_takeover_end(self, view: View) -> Move:
        """What the other model wrote now stands. A boundary at its end is a boundary like any other."""
        return self.at_boundary(view) if view.at_boundary else keep()

    def on_judgement(self, view: View, probabilities: tuple[float, ...]) -> Move:
        """A model has answered a Judge move; probabilities follow its choices and sum to 1."""
        return keep()

    def on_score(self, view: View, mean_logprob: float) -> Move:
        """A model has answered a Score move: the mean log-probability a token, in nats, of the step under decision."""
        return keep()

    def on_thinking_closed(self, view: View) -> Move:
        """The thinking is over; the model that closed it goes on to the end.

        Asked within a lookahead, too: a takeover then replaces it, the closing tag included, unless it keeps it. The
        lookahead cannot be sampled again: `keep(discard=True)` means `keep()` here.
        """
        by_other = view.author not in (self.default_writer, Author.INSERTED)
        return take_over(WITHOUT_END, ANSWER, author=view.author, keep_lookahead=True) if by_other else keep()

    def counters(self) -> Mapping[str, float]:
        """What it counts, by name. Recorded whenever it changes, and given back by `resume_from`."""
        return {}


class Interruption(Protocol):
    """Another source of moves, asked after every token: a person, or the limits of a run."""

    asked_by: AskedBy

    def interrupt(self, view: View) -> Move | None: ...

    def admit(self, move: Move, view: View) -> Move:
        """A last word on the policy's moves: the same move, or another in its place."""
        return move
