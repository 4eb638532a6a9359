"""Defines a policy: a class whose program says when the other model writes, with its settings and all that views need.

The driver knows nothing of keywords, and a policy knows nothing of engines. One instance serves one run and holds its
own counters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict

from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.cues import Lexicon, english
from baton_reasoning.core.thinking.reasons import ANSWER, TakeoverReason
from baton_reasoning.core.thinking.requests import WITHOUT_END, Program, TakeOver
from baton_reasoning.core.thinking.text import Text
from baton_reasoning.core.thinking.trace import Trace


class PolicySettings(BaseModel):
    """The parameters of one policy. Each policy nests a class `Settings` of this kind, whose field `policy` is the
    policy's name: files and forms know by it whose parameters they are. Every field has a title and a description."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: str = ""

    def check_values(self) -> None:
        """Raise SettingsError if values that are each within bounds make no sense together."""

    def with_chance(self, chance: float) -> PolicySettings:
        """Return the settings with this chance of a takeover at each place, 0 to 1.

        A batch gives a control the large share of another arm by it (`PolicyArm.equal_share_of`).
        """
        raise NotImplementedError(f"{self.policy} has no chance of takeover")


@dataclass(frozen=True, slots=True)
class Needs:
    """The models and abilities that a policy cannot work without."""

    small: bool = True
    large: bool = True
    alternatives: int = 0
    """Number of likeliest tokens that it reads at each position of the default writer."""
    alternatives_in_takeovers: int = 0
    """The same, of the other model's tokens."""
    entropy_alone: bool = False
    """It reads nothing of them but their entropy, which a model on this machine gives without listing them."""
    of_small: frozenset[Ability] = frozenset()
    """What the small model must be able to do."""
    of_large: frozenset[Ability] = frozenset()
    drafts: bool = False
    """A small model that can draft for the large one, or a large one on a server that drafts by itself."""

    def abilities(self, default_writer: Author) -> Mapping[Author, frozenset[Ability]]:
        """Return what each model must be able to do, alternatives included."""
        needed = {Author.SMALL: self.of_small, Author.LARGE: self.of_large}
        other = Author.LARGE if default_writer is Author.SMALL else Author.SMALL
        for author, count in ((default_writer, self.alternatives), (other, self.alternatives_in_takeovers)):
            needed[author] |= {Ability.ALTERNATIVES} if count else set()
        return needed

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
    """Decides when the baton passes. Subclass it in a module of its own (docs/extending.md): by default it never
    does."""

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
    in_answer: bool = False
    """Whether `think` goes on in the answer; else the thinking ends it, and `answer` follows."""
    hands_back_empty: bool = True
    """Whether the default writer goes on if a model ends the text at the very start of a takeover; else the text ends,
    as in most published code, and always where the large model ends a text in which no thinking is open."""
    decides_after_takeover: bool = True
    """Whether the boundary at which a takeover has ended counts as the end of a step; else the default writer first
    writes a step of its own."""
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

    def think(self, text: Text) -> Program:
        """Write the thinking. Once the program is over, the default writer goes on to the end.

        It begins where the text stands: at its beginning, or where a person, a limit or an earlier run left it. What
        has to outlast that is in `text` or in `counters`. A program that decides `in_answer`, too, writes all of the
        text. Any other ends where the thinking does, and needs no check: only what waits is still returned
        (`Written.closed`), since it may be replaced.
        """
        return
        yield

    def answer(self, text: Text) -> Program:
        """Write what follows the thinking. By default, the model that closed it writes to the end."""
        if text.closed_by and text.closed_by.is_model and text.closed_by is not self.default_writer:
            yield from TakeOver(WITHOUT_END, ANSWER, author=text.closed_by)
