"""Runs one problem with two models and one policy. The window, the terminal and batches call this."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass

from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.base import (
    Attach,
    Engine,
    Message,
    Messages,
    ModelCard,
    OnThisMachine,
    Session,
    ignore,
)
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import BatonError, Cancelled, ContextFull, SettingsError
from baton_reasoning.core.thinking.automatic import with_policy
from baton_reasoning.core.thinking.driver import Driver
from baton_reasoning.core.thinking.events import Event, Finish, RunEnded, RunStarted
from baton_reasoning.core.thinking.interruptions import Control, Intervention, LimitsGuard, cancelled_after
from baton_reasoning.core.thinking.policy import PolicyContext
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.requirements import unmet_need
from baton_reasoning.core.thinking.run_settings import RunSettings as RunSettings
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.write_stream import with_usage


@dataclass(frozen=True, slots=True)
class Pair:
    """The two models of a run; one may be missing where the policy does not need it."""

    small: Engine | None = None
    large: Engine | None = None

    def get(self, author: Author) -> Engine | None:
        return self.small if author is Author.SMALL else self.large

    @property
    def engines(self) -> dict[Author, Engine]:
        """The models that are there."""
        engines = {Author.SMALL: self.small, Author.LARGE: self.large}
        return {author: engine for author, engine in engines.items() if engine}

    @property
    def cards(self) -> dict[Author, ModelCard]:
        return {author: engine.card for author, engine in self.engines.items()}


def ask(problem: str, settings: RunSettings, before: Messages = ()) -> Messages:
    """Return the conversation that asks the models a problem after earlier turns.

    It begins with the settings' system prompt, unless there is a system message among the turns.
    """
    if settings.system.strip() and not any(message.role == "system" for message in before):
        before = (Message("system", settings.system.strip()), *before)
    return (*before, question(problem, settings))


def question(problem: str, settings: RunSettings) -> Message:
    """Return the message that asks a problem: the settings' instruction follows it."""
    return Message("user", f"{problem}\n{settings.instruction}" if settings.instruction else problem)


def run(
    pair: Pair,
    conversation: Messages,
    settings: RunSettings,
    *,
    control: Control | None = None,
    before: Trace | None = None,
    intervention: Intervention | None = None,
    on_settled: Callable[[int], object] | None = None,
) -> Generator[Event, None, None]:
    """Solve one problem: yields `RunStarted` first and `RunEnded` last, whatever happens in between.

    `before`: a text to take up, after a stop, a kill, an edit or a fork: it stands as it is, with its counters, and the
    program of the policy begins there. `intervention`: what a person wants there first. `on_settled` is called with a
    position, in characters of the body, each time the text before it has become final: no policy or limit will discard
    it. (A person may have it rewritten.) Raises SettingsError if the policy needs a model or a capability that is
    missing, or if the thinking is to be off and a model has no switch for it.
    """
    settings = with_policy(settings, pair.cards)
    engines = _engines_needed(pair, settings)
    if not settings.thinking and (error := thinks_always(engine.card for engine in engines.values())):
        raise error
    needs = POLICIES.of(settings.policy).needs
    if pair.small and not settings.cue_list:
        settings = settings.model_copy(update={"cue_list": pair.small.card.overrides.cue_list})
    before = before or Trace()
    sessions: dict[Author, Session] = {}
    try:
        failure = _open_sessions(sessions, engines, conversation, settings, control.attach if control else ignore)
        if settings.exact or not (before.started or any(message.role == "assistant" for message in conversation)):
            for session in sessions.values():
                if isinstance(session, OnThisMachine):
                    session.repeat_exactly()
        yield _started(pair, conversation, settings, list(sessions.values()))
        if failure:
            yield _not_begun(failure)
            return
        writers = {author: session for author, session in sessions.items() if author in needs.writers}
        context = PolicyContext(settings.seed, settings.lexicon, before.counters)
        policy = POLICIES.of(settings.policy)(settings.policy, context)
        limits = settings.limits
        if not policy.stops_repetition:  # some repeat themselves by design
            limits = limits.model_copy(update={"repetition": False})
        interruptions = [*([control] if control else []), LimitsGuard(limits, before)]
        driver = Driver(writers, policy, settings, interruptions, before.parts(), on_settled)
        with cancelled_after(settings.limits.max_seconds, sessions.values()):
            yield from with_usage(sessions, driver.stream.began, driver.run(intervention))
    finally:
        for session in sessions.values():
            session.close()


def _engines_needed(pair: Pair, settings: RunSettings) -> dict[Author, Engine]:
    """Return the engines that take part: the writers, and a small model that only drafts.

    Raises SettingsError if the policy needs more than there is.
    """
    policy = POLICIES.of(settings.policy)
    if error := unmet_need(policy, pair.cards):
        raise error
    needed = set(policy.needs.writers)
    if policy.needs.drafts and pair.large and not pair.large.card.drafting:
        needed.add(Author.SMALL)
    return {author: engine for author, engine in pair.engines.items() if author in needed}


def thinks_always(cards: Iterable[ModelCard]) -> SettingsError | None:
    """Return why the thinking of these models cannot be turned off: one of them has no switch for it."""
    for card in cards:
        if card.thinking and Ability.THINKING_SWITCH not in card.abilities:
            return SettingsError(
                f"{card.name} {Ability.THINKING_SWITCH.lack}.",
                "Limit its thinking to a number of tokens instead.",
            )
    return None


def _open_sessions(
    sessions: dict[Author, Session],
    engines: dict[Author, Engine],
    conversation: Messages,
    settings: RunSettings,
    attach: Attach,
) -> BatonError | None:
    try:
        for author, engine in engines.items():
            sampling = engine.card.overrides.sampling(settings.sampling)
            sessions[author] = engine.open(conversation, sampling, attach, thinks=settings.thinking)
        small, large = sessions.get(Author.SMALL), sessions.get(Author.LARGE)
        if small and isinstance(large, OnThisMachine):
            large.use_drafts_of(small, asked=POLICIES.of(settings.policy).needs.drafts)
    except BatonError as error:
        return error
    return None


def _not_begun(failure: BatonError) -> RunEnded:
    if isinstance(failure, Cancelled):
        return RunEnded(0.0, Finish.STOPPED)
    return RunEnded(0.0, Finish.CONTEXT_FULL if isinstance(failure, ContextFull) else Finish.FAILED, str(failure))


def _started(pair: Pair, conversation: Messages, settings: RunSettings, sessions: list[Session]) -> RunStarted:
    cards = pair.cards
    return RunStarted(
        at=0.0,
        conversation=conversation,
        policy=settings.policy.policy,
        settings=settings.model_dump(mode="json"),
        seed=settings.seed,
        small=cards.get(Author.SMALL),
        large=cards.get(Author.LARGE),
        prompt_tokens=sessions[0].prompt_tokens if sessions else 0,
        thinking=any(session.card.thinking for session in sessions),
    )
