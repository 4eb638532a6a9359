"""Defines a policy: a class that decides when the other model writes, with its settings and all that views need.

The loop knows nothing of keywords, and a policy knows nothing of engines. One instance serves one run and holds its
own counters. A person ("take over now") and the limits of a run answer with the same moves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict

from baton_reasoning.core.engines.base import Judgement, Scores
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.cues import Cue, Lexicon, english
from baton_reasoning.core.thinking.events import AskedBy, Finish, TokenWritten, Tried
from baton_reasoning.core.thinking.events import Until as Until
from baton_reasoning.core.thinking.reasons import ANSWER, TakeoverReason
from baton_reasoning.core.thinking.steps import Boundary, ends_sentence, same_step_twice
from baton_reasoning.core.thinking.trace import Trace

WITHOUT_END = 1 << 30
"""Tokens of a takeover that only the end of the text (or a person) ends."""
LAST_STEP = -1
"""The position where the step begins that is being written or, at a boundary, has just ended."""
SLACK = 32
"""Tokens by which a takeover may be longer, to end with its sentence."""


@dataclass(frozen=True, slots=True)
class Write:
    """Lets a model write. Policies make one with `keep`, `look_on` or `take_over`."""

    author: Author | None = None
    """None: the policy's default writer, whose write has no length; the policy is asked at each step boundary."""
    reason: TakeoverReason | None = None
    """Why a model takes over for `tokens`, inside which nothing is decided. None for the default writer."""
    cue: Cue | None = None
    tokens: int = WITHOUT_END
    until: Until = Until.TOKENS
    watched: bool = False
    """The policy is asked again after each token: `on_lookahead`, or `ends_takeover` in a takeover."""
    within_step: bool = False
    """A lookahead ends at a boundary, where `at_boundary` is asked; else it may run over one, decided after it."""
    settles: bool = False
    """The lookahead so far is kept, and a new one begins after it."""
    ends_step: bool = False
    """The step ends here, at its cap, and a new one follows. It has no effect at a boundary."""
    discard: bool = False
    """The lookahead is discarded and sampled again."""
    keep_lookahead: bool = False
    """The takeover follows the lookahead instead of replacing it."""
    rewrite_from: int | None = None
    """The text from this position (or `LAST_STEP`) on is discarded, and this author writes on from there."""
    asked_by: AskedBy = AskedBy.POLICY

    @property
    def is_takeover(self) -> bool:
        return self.reason is not None

    @property
    def limit(self) -> int:
        return self.tokens + (SLACK if self.until is Until.SENTENCE else 0)

    def is_over(self, written: int, body: str, start: int, at_boundary: bool) -> bool:
        """Tell whether a takeover that began at `start` ends here. White space alone is neither a sentence nor a step:
        a model that begins with an indented line is not at the end of anything."""
        if written >= self.limit:
            return True
        if self.until is Until.TOKENS or not body[start:].strip():
            return False
        if self.until is Until.STEP:
            return at_boundary
        is_long_enough = self.until is Until.FIRST_SENTENCE or written >= self.tokens
        return is_long_enough and (at_boundary or ends_sentence(body))


def keep(discard: bool = False) -> Write:
    """Let the default writer go on to the next boundary. `discard`: its lookahead is discarded and sampled again."""
    return Write(discard=discard)


def look_on(within_step: bool = False, settles: bool = False, ends_step: bool = False) -> Write:
    """Let the default writer go on, and ask the policy again after each of its tokens.

    `within_step`: at a boundary `at_boundary` is asked instead; else a lookahead may run over one. `settles`: the
    lookahead so far is kept, and a new one begins after it. `ends_step`: and the kept part is a step (at its cap).
    """
    return Write(watched=True, within_step=within_step, settles=settles or ends_step, ends_step=ends_step)


def take_over(
    tokens: int,
    reason: TakeoverReason,
    cue: Cue | None = None,
    until: Until = Until.TOKENS,
    *,
    author: Author = Author.LARGE,
    watched: bool = False,
    keep_lookahead: bool = False,
    rewrite_from: int | None = None,
) -> Write:
    """Let the other model write `tokens`, in place of the lookahead if there is one.

    `watched`: the policy is asked after each token whether the takeover ends there (`ends_takeover`).
    """
    return Write(
        author,
        reason,
        cue,
        tokens,
        until,
        watched=watched,
        keep_lookahead=keep_lookahead,
        rewrite_from=rewrite_from,
    )


@dataclass(frozen=True, slots=True)
class Insert:
    """Inserts a text that neither model wrote, then does `then` (paper §3, rule 3)."""

    text: str
    reason: TakeoverReason
    then: Move | None = None
    """None: the policy decides where the text ends."""
    author: Author = Author.INSERTED


@dataclass(frozen=True, slots=True)
class Judge:
    """Asks a model a question about the text, to be answered with one of `choices`; neither enters the text."""

    question: str
    choices: tuple[str, ...]
    author: Author = Author.LARGE


@dataclass(frozen=True, slots=True)
class Score:
    """Lets a model read the step under decision and score each of its tokens (`on_score`)."""

    author: Author = Author.LARGE


@dataclass(frozen=True, slots=True)
class Trial:
    """Lets a model try how it would go on (`on_trial`); none of it enters the text.

    The tokens are those that the model would write there, drawn by the same random numbers.
    """

    tokens: int
    author: Author
    start: int | None = None
    """The position of the body after which it begins; None: the end."""


@dataclass(frozen=True, slots=True)
class Close:
    """Closes the thinking for the default writer, which goes on to the answer."""

    reason: TakeoverReason


@dataclass(frozen=True, slots=True)
class Finished:
    """Ends the run; the text so far is kept."""

    finish: Finish
    reason: str = ""


Move = Write | Insert | Judge | Score | Trial | Close | Finished


@dataclass(frozen=True, slots=True)
class View:
    """Shows a policy the text. `text` and `tokens` are the part under decision: a lookahead so far, the step that
    has just ended, or the text of the takeover that has just ended."""

    body: str
    start: int
    tokens: Sequence[TokenWritten]
    author: Author
    thinking: bool
    at_boundary: bool
    text_ended: bool = False
    """The writer has ended its text: no more tokens will come."""
    in_lookahead: bool = False
    """Whether the text is a lookahead that waits for a decision."""
    takeover: Write | None = None
    """The takeover that is under way, or has just ended."""
    small_tokens: int = 0
    large_tokens: int = 0
    seconds: float = 0.0
    boundary: Boundary = Boundary.BLANK_LINE
    """What ends a step."""

    @property
    def text(self) -> str:
        return self.body[self.start :]

    @property
    def sentence_ended(self) -> bool:
        text = self.text
        return self.text_ended or (bool(text.strip()) and (self.at_boundary or ends_sentence(text)))

    @property
    def repeats_step(self) -> bool:
        """Tell whether the last two steps of the body are the same."""
        return same_step_twice(self.body, self.boundary)

    @property
    def large_share(self) -> float:
        """Return the large model's share of all tokens (the paper's modify ratio)."""
        return self.large_tokens / max(1, self.small_tokens + self.large_tokens)


class PolicySettings(BaseModel):
    """The parameters of one policy. Each policy nests a class `Settings` of this kind, whose field `policy` is the
    policy's name: files and forms know by it whose parameters they are. Every field has a title and a description."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: str = ""

    def check_values(self) -> None:
        """Raise SettingsError if values that are each within bounds make no sense together."""

    def with_chance(self, chance: float) -> PolicySettings:
        """Return the settings with this chance of a takeover at a boundary, 0 to 1.

        A batch gives a control the large share of another arm by it (`PolicyArm.equal_share_of`).
        """
        raise NotImplementedError(f"{self.policy} has no chance of takeover")


@dataclass(frozen=True, slots=True)
class Needs:
    """The models and capabilities that a policy cannot work without."""

    small: bool = True
    large: bool = True
    alternatives: int = 0
    """Number of likeliest tokens that it reads at each position of the default writer."""
    alternatives_in_takeovers: int = 0
    """The same, of the other model's tokens."""
    judge: bool = False
    """A large model that answers a question with probabilities."""
    judge_small: bool = False
    """A small model that does."""
    scores: bool = False
    """A large model that gives the log-probability of each token it reads."""
    drafts: bool = False
    """A small model that can draft for the large one, or a large one on a server that drafts by itself."""

    @property
    def writers(self) -> tuple[Author, ...]:
        """Return the models that write."""
        needed = {Author.SMALL: self.small, Author.LARGE: self.large}
        return tuple(author for author, is_needed in needed.items() if is_needed)


@dataclass(frozen=True, slots=True)
class PolicyArm:
    """One way to run a policy in a batch."""

    name: str
    """Unique among the arms of all policies. Views show the title of its settings (`policy_title`)."""
    settings: PolicySettings
    """Fields in which no arm of the policy differs from the default keep the value that a person chose."""
    equal_share_of: str = ""
    """Another arm, of which this one is a control: it takes the large share of that arm."""


class Ablation(NamedTuple):
    """An experiment with the chosen settings of a policy: several arms, each with some values changed."""

    name: str
    title: str
    changes: Callable[[Any], Mapping[str, Mapping[str, Any]]]
    """Takes the chosen settings; returns the values that each arm changes, by the arm's name."""
    is_sweep: bool = False
    """Whether the arms try values of one parameter, which gives the ablation its name."""


class Advice(NamedTuple):
    """What to do after a run that ended well but was of no use."""

    text: str = ""
    policies: tuple[str, ...] = ()
    """Names of policies to try instead."""


@dataclass(frozen=True, slots=True)
class PolicyContext:
    """What a policy gets from its run, besides its own settings."""

    seed: int = 0
    lexicon: Lexicon | None = None
    """The cues of this model family or language; None means the paper's."""
    counters: Mapping[str, float] = field(default_factory=dict)
    """Counts of an earlier text that the run takes up."""


class Policy:
    """Decides when the baton passes. Subclass it in a module of its own (docs/extending.md): by default each question
    is answered as by a policy that never hands over."""

    name: ClassVar[str]
    """Used in files, in traces and on the command line; it never changes."""
    title: ClassVar[str]
    summary: ClassVar[str]
    """One plain sentence for menus: when does the large model write?"""
    default_writer: Author = Author.SMALL
    """The model that writes unless the policy hands over."""
    needs: ClassVar[Needs] = Needs()
    is_control: ClassVar[bool] = False
    """Whether it is only something to compare with; menus show it last."""
    reasons: ClassVar[tuple[TakeoverReason, ...]] = ()
    """The reasons of its own; those in `reasons.py` are known without being listed."""
    presets: ClassVar[Mapping[str, PolicySettings]] = {}
    """Named settings; the first ones are the defaults."""
    preset_summaries: ClassVar[Mapping[str, str]] = {}
    """One plain sentence for each preset but the first, which the policy's own describes."""
    arms: ClassVar[tuple[PolicyArm, ...]] = ()
    ablations: ClassVar[tuple[Ablation, ...]] = ()
    main_parameters: ClassVar[tuple[str, ...]] = ()
    """The parameters that decide where it takes over; the settings show the others only to experts."""
    rewrites: ClassVar[bool] = True
    """Whether it may have a step rewritten after the step has ended. If not, text can be passed on sooner."""
    answers_again: ClassVar[bool] = False
    """Whether it may have the whole text written again at its end (`at_end`): until then none of it is final."""
    hands_back_empty: bool = True
    """Whether the default writer goes on if a model ends the text at the very start of a takeover; else the text ends,
    as in most published code, and always where the large model ends a text in which no thinking is open."""
    stops_repetition: bool = True
    """Whether the limit on repetition applies. Baselines and published programs have none."""
    counts: ClassVar[tuple[str, ...]] = ()
    """The names of its counters."""

    class Settings(PolicySettings):
        """None."""

    def __init__(self, settings: PolicySettings | None = None, context: PolicyContext | None = None) -> None:
        """`settings`: an instance of this policy's class `Settings`; None means the defaults."""
        self.settings = settings or self.Settings()
        self.context = context or PolicyContext()
        self.counters = {name: int(self.context.counters.get(name, 0)) for name in self.counts}
        """Recorded in the trace whenever they change."""

    @cached_property
    def lexicon(self) -> Lexicon:
        """The cues that it looks for, if it looks for any; views mark them."""
        return self.context.lexicon or english()

    @classmethod
    def advice(cls, trace: Trace) -> Advice:  # noqa: ARG003 - for subclasses
        """Say what to try after a run of this policy that came to its end but was of no use."""
        return Advice()

    def opening(self, view: View) -> Move:
        """Decide before the first token."""
        return keep()

    def at_boundary(self, view: View) -> Move:
        """Decide where the default writer has ended a step, or the other model its takeover."""
        return keep()

    def on_lookahead(self, view: View) -> Move:
        """Decide after another token of the lookahead, at the latest when `view.text_ended`."""
        return keep()

    def on_takeover_end(self, view: View) -> Move:
        """Decide after a takeover. By default, a boundary at its end is a boundary like any other."""
        return self.at_boundary(view) if view.at_boundary else keep()

    def on_judgement(self, view: View, judgement: Judgement) -> Move:
        """Decide after a Judge move; the probabilities are in the order of its choices and sum to 1."""
        return keep()

    def on_score(self, view: View, scores: Scores) -> Move:
        """Decide after a Score move, by the log-probability of each token of the step under decision."""
        return keep()

    def on_trial(self, view: View, tried: Tried) -> Move:
        """Decide after a Trial move."""
        return keep()

    def ends_takeover(self, view: View) -> bool:
        """Tell whether a takeover that is watched ends after its newest token."""
        return False

    def at_end(self, view: View, finish: Finish) -> Move | None:
        """Decide once the text has ended (`Finish.END_OF_TEXT`), or its tokens or the context of the writer are used up
        (`Finish.MAX_TOKENS`, `Finish.CONTEXT_FULL`); None: that is the end of the run.

        Only asked if the policy `answers_again`. `view.tokens` are those of the default writer since it was asked last.
        """
        return None

    def on_thinking_closed(self, view: View) -> Move:
        """Decide at the end of the thinking. By default, the model that closed it writes to the end.

        Also asked within a lookahead: a takeover then replaces it, including the closing tag, unless it keeps it. The
        lookahead cannot be sampled again: `keep(discard=True)` means `keep()` here.
        """
        by_other = view.author.is_model and view.author is not self.default_writer
        return take_over(WITHOUT_END, ANSWER, author=view.author, keep_lookahead=True) if by_other else keep()


class Interruption(Protocol):
    """Another source of moves: a person, or the limits of a run."""

    asked_by: AskedBy

    def interrupt(self, view: View) -> Move | None:
        """Return a move to make now, or None. Asked after every token, and during a long prefill."""
        ...

    def admit(self, move: Move, view: View) -> Move:
        """Return the policy's move, or another in its place."""
        return move
