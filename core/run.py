"""One problem, two models, one policy: from settings to events. What the window, the terminal and a batch call."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, Field, field_validator

from core.engines.base import Attach, Conversation, Engine, Message, Session, UsesDrafts, ignore
from core.engines.body import Author
from core.engines.model_card import ModelCard
from core.errors import BatonError, Cancelled, ContextFull, SettingsError
from core.models.overrides import Sampling
from core.thinking.control import Control
from core.thinking.cues import Lexicon, parse_lexicon
from core.thinking.events import Event, Finish, RunEnded, RunStarted
from core.thinking.limits import Limits, LimitsGuard
from core.thinking.loop import Loop, LoopSettings
from core.thinking.policy import Interruption, Move, Policy, PolicyContext
from core.thinking.registry import POLICIES, AnyPolicySettings, default_settings, make_policy, with_advice
from core.thinking.resume import Resumption, asked_by_person
from core.thinking.steps import BOUNDARY, boundary_pattern
from core.thinking.trace import Trace
from core.thinking.usage_reports import UsageReports

INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."
"""The paper's prompt, put after the problem (§4)."""


class RunSettings(BaseModel):
    """Everything that decides how a problem is solved, but for the models. The defaults are the paper's (§4)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: AnyPolicySettings = Field(
        default_factory=default_settings, title="Policy", description="When the large model takes over."
    )
    seed: int = Field(0, ge=0, title="Seed", description="The same seed repeats an answer on the same local models.")
    temperature: float = Field(0.6, ge=0, le=5, title="Temperature", description="0 always takes the likeliest token.")
    top_p: float = Field(0.95, gt=0, le=1, title="Top-p", description="Sample from this share of the probability.")
    top_k: int = Field(50, ge=0, title="Top-k", description="Sample from the top k tokens (0 = off).")
    max_tokens: int = Field(32_768, ge=1, title="Longest answer", description="New tokens, the prompt not counted.")
    system: str = Field("", title="System prompt", description="Instructions before the conversation, for both models.")
    instruction: str = Field(INSTRUCTION, title="Instruction", description="Put after every problem.")
    alternatives: int = Field(0, ge=0, le=20, title="Alternatives", description="Likeliest tokens to record.")
    small_alone: bool = Field(
        True, title="Continue alone", description="The small model finishes if the large one is lost."
    )
    limits: Limits = Field(default_factory=Limits, title="Limits")
    boundary: str = Field(
        BOUNDARY, title="Step boundary", description="Pattern (regular expression) of the text that ends a step."
    )
    cue_list: str = Field("", title="Cue list", description="Cues of another model family or language, as JSON.")

    @field_validator("boundary")
    @classmethod
    def _compiled(cls, boundary: str) -> str:
        try:
            boundary_pattern(boundary)
        except SettingsError as error:
            raise ValueError(str(error)) from error
        return boundary

    @property
    def lexicon(self) -> Lexicon | None:
        """The run's own cues; None means the paper's. Raises SettingsError if the list cannot be read."""
        return parse_lexicon(self.cue_list) if self.cue_list else None

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.temperature, self.top_p, self.top_k)


def effective_settings(
    chosen: RunSettings, advised: RunSettings | None = None, small: ModelCard | None = None
) -> RunSettings:
    """The settings that a run uses: window, batch, comparison and terminal all call this, and nothing else decides.

    `chosen`: what a person chose. `advised`: what comes with the pair of models (the demo pair's steps are short);
    it fills in what the person left at a preset or a default. `small`: the small model's card, whose own cue list is
    used unless the run has one.
    """
    changes: dict[str, Any] = {}
    if advised:
        defaults = RunSettings()
        changes = {
            name: getattr(advised, name)
            for name in advised.model_fields_set - {"policy"}
            if getattr(chosen, name) == getattr(defaults, name)
        }
        changes["policy"] = with_advice(chosen.policy, advised.policy)
    if small and small.overrides.cue_list and not chosen.cue_list:
        changes["cue_list"] = small.overrides.cue_list
    return chosen.model_copy(update=changes)


@dataclass(frozen=True, slots=True)
class Pair:
    """The two models of a run; one may be missing where the policy does not need it."""

    small: Engine | None = None
    large: Engine | None = None

    def get(self, author: Author) -> Engine | None:
        return self.small if author is Author.SMALL else self.large


def ask(problem: str, settings: RunSettings, before: Conversation = ()) -> Conversation:
    """The conversation that asks the models a problem, after earlier turns; the settings' system prompt comes first.

    A system message among the turns stands instead of it.
    """
    if settings.system.strip() and not any(message.role == "system" for message in before):
        before = (Message("system", settings.system.strip()), *before)
    text = f"{problem}\n{settings.instruction}" if settings.instruction else problem
    return (*before, Message("user", text))


def run(
    pair: Pair,
    conversation: Conversation,
    settings: RunSettings,
    *,
    control: Control | None = None,
    resume_trace: Trace | None = None,
    first_move: Move | None = None,
) -> Generator[Event, None, None]:
    """Solve one problem: yields `RunStarted` first and `RunEnded` last, whatever happens in between.

    `resume_trace`: a text to continue, after a stop, a kill or a fork. Under the settings that it was begun with it
    goes on exactly where it was (resume.py); under others it is taken up as it stands, with what was counted.
    `first_move`: what a person wants there. Raises SettingsError if the policy needs a model or a capability that is
    missing.
    """
    engines = _engines_needed(pair, settings)
    settings = effective_settings(settings, small=pair.small.card if pair.small else None)
    sessions: dict[Author, Session] = {}

    def make_loop(over: Mapping[Author, Session], interruptions: Sequence[Interruption], before: Trace) -> Loop:
        policy = make_policy(settings.policy, PolicyContext(settings.seed, settings.lexicon))
        guard = LimitsGuard(_limits(settings, policy))
        if before.pieces:
            policy.resume_from(before)
            guard.resume_from(before)
        loop_settings = LoopSettings(
            settings.seed, settings.max_tokens, settings.alternatives, settings.small_alone, settings.boundary
        )
        sources = [*([control] if control else []), *interruptions, guard]
        return Loop(over, policy, loop_settings, sources, before.parts())

    try:
        failure = _open_sessions(sessions, engines, conversation, settings, control.attach if control else ignore)
        started = _started(pair, conversation, settings, list(sessions.values()))
        if failure:
            yield started
            yield _not_begun(failure)
            return
        is_begun = resume_trace is not None and resume_trace.started is not None
        resumption = Resumption(resume_trace, sessions, make_loop, first_move) if is_begun and resume_trace else None
        if resumption and resumption.catch_up():
            started = replace(started, resumed=True)
            loop, happening = resumption.loop, resumption.run()
        else:
            loop = make_loop(sessions, (), resume_trace or Trace())
            happening = loop.run(asked_by_person(first_move))
        yield started
        with LimitsGuard(settings.limits).watching(sessions.values()):
            yield from UsageReports(sessions, loop.stream.began).added_to(happening)
    finally:
        for session in sessions.values():
            session.close()


def _limits(settings: RunSettings, policy: Policy) -> Limits:
    return settings.limits.model_copy(update={"repetition": settings.limits.repetition and policy.stops_repetition})


def _engines_needed(pair: Pair, settings: RunSettings) -> dict[Author, Engine]:
    """The engines that take part. One that the policy can do without takes part if it is there to take over."""
    policy = POLICIES.of(settings.policy)
    needs = policy.needs
    if error := obstacle(policy, pair):
        raise error
    needed = {Author.SMALL: needs.small, Author.LARGE: needs.large}
    return {author: engine for author in needed if needed[author] and (engine := pair.get(author))}


def obstacle(policy: type[Policy], pair: Pair) -> SettingsError | None:
    """Why a policy cannot work with these models: one is missing, or gives no log-probabilities."""
    needs = policy.needs
    for author, is_needed in ((Author.SMALL, needs.small), (Author.LARGE, needs.large)):
        if is_needed and pair.get(author) is None:
            return SettingsError(f"The policy “{policy.title}” needs a {author.value} model.", "Choose one first.")
    writer = pair.get(policy.default_writer)
    if needs.alternatives and writer and not writer.card.returns_all_alternatives:
        return SettingsError(
            f"The policy “{policy.title}” needs the probabilities of each token, and {writer.card.name} gives none.",
            f"Choose another policy, or a {policy.default_writer.value} model on this machine.",
        )
    judges = {Author.SMALL: needs.judge_small, Author.LARGE: needs.judge}
    for author, is_judge in judges.items():
        if is_judge and (judge := pair.get(author)) and not judge.card.returns_alternatives:
            return SettingsError(
                f"The policy “{policy.title}” needs probabilities, and {judge.card.name} gives none.",
                f"Choose another policy, or another {author.value} model.",
            )
    if needs.scores and pair.large and not pair.large.card.returns_scores:
        return SettingsError(
            f"The policy “{policy.title}” needs the probabilities of a text, and {pair.large.card.name} gives none.",
            "Choose another policy, a large model on this machine, or a server with prompt log-probabilities (vLLM).",
        )
    return None


def _open_sessions(
    sessions: dict[Author, Session],
    engines: dict[Author, Engine],
    conversation: Conversation,
    settings: RunSettings,
    attach: Attach,
) -> BatonError | None:
    try:
        for author, engine in engines.items():
            sessions[author] = engine.open(conversation, engine.card.overrides.sampling(settings.sampling), attach)
        small, large = sessions.get(Author.SMALL), sessions.get(Author.LARGE)
        if small and isinstance(large, UsesDrafts):
            large.use_drafts_of(small)
    except BatonError as error:
        return error
    return None


def _not_begun(failure: BatonError) -> RunEnded:
    if isinstance(failure, Cancelled):
        return RunEnded(0.0, Finish.STOPPED)
    return RunEnded(0.0, Finish.CONTEXT_FULL if isinstance(failure, ContextFull) else Finish.FAILED, str(failure))


def _started(pair: Pair, conversation: Conversation, settings: RunSettings, sessions: list[Session]) -> RunStarted:
    return RunStarted(
        at=0.0,
        conversation=conversation,
        policy=settings.policy.policy,
        settings=settings.model_dump(mode="json"),
        seed=settings.seed,
        small=pair.small.card if pair.small else None,
        large=pair.large.card if pair.large else None,
        prompt_tokens=sessions[0].prompt_tokens if sessions else 0,
        thinking=any(session.card.thinking for session in sessions),
    )
