"""The early exit tries an answer where the writer begins to reflect, around any policy and across interruptions."""

from __future__ import annotations

import random

import pytest

from baton_reasoning.core.engines.base import Stop
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.models.overrides import ThinkingTags
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.control import Control
from baton_reasoning.core.thinking.events import Finish, HandedOver, TakeoverStarted, TextInserted, TokenWritten, Tried
from baton_reasoning.core.thinking.limits import MOST_TRIALS, Limits, LimitsGuard
from baton_reasoning.core.thinking.policy import PolicySettings, Trial, View
from baton_reasoning.core.thinking.reasons import EARLY_EXIT
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.drawn import every_policy, outcome, settings_of, written
from tests.core.thinking.oracles.worlds import World
from tests.fakes.scripted import THINK, ScriptedEngine, characters
from tests.tiers import size

pytestmark = pytest.mark.scaled

TEXT = "Two and two. Wait, is that four? Wait, yes.</think>\n\nFour."
ANSWER = "{4}."


def settings(bound: float = 0.95, policy: str = "never", **changes: object) -> RunSettings:
    return RunSettings(policy=policy, limits=Limits(early_exit=bound)).model_copy(update=changes)


def solved(
    given: RunSettings, chances: tuple[float, ...] = (1.0,), author: str = "small", tagged: bool = True
) -> Trace:
    """A model that answers when it is asked to, and else writes the text."""

    def continue_with(_: object, body: str) -> str:
        if body.endswith("boxed"):
            return ANSWER
        return "Four." if "</think>" in body and not TEXT.startswith(body) else TEXT.removeprefix(body)

    engine = ScriptedEngine(continue_with=continue_with, name=author, chances=lambda _: chances)
    if not tagged:
        engine.with_card(thinking=None)
    pair = Pair(**{author: engine})
    return Trace.of(run(pair, ask("2 + 2?", given), given))


@pytest.mark.parametrize("author", ["small", "large"])
def test_a_model_that_is_sure_of_its_answer_stops_thinking(author: str) -> None:
    trace = solved(settings(policy="never" if author == "small" else "always"), author=author)
    assert trace.text == "Two and two.\n</think>\n\nFour."
    assert [event.text for event in trace.events if isinstance(event, Tried)] == [ANSWER]
    assert [event.reason for event in trace.events if isinstance(event, TextInserted)] == [EARLY_EXIT.id]


@pytest.mark.parametrize("author", ["small", "large"])
def test_a_model_that_is_unsure_goes_on_as_if_nothing_had_been_tried(author: str) -> None:
    policy = "never" if author == "small" else "always"
    trace, undisturbed = (solved(settings(bound, policy), (0.6, 0.4), author=author) for bound in (0.95, 0.0))
    assert trace.text == undisturbed.text == TEXT
    assert sum(isinstance(event, Tried) for event in trace.events) == 2
    takeovers = [
        [event for event in each.events if isinstance(event, TakeoverStarted)] for each in (trace, undisturbed)
    ]
    assert len(takeovers[0]) == len(takeovers[1])
    assert trace.handoffs == 0
    assert any(isinstance(event, HandedOver) and event.prefilled for event in trace.events)


@pytest.mark.parametrize("reflection", ["Wait", "Hold on", "Alternatively"])
def test_the_beginning_of_a_reflection_is_not_sent_before_it_is_tried(reflection: str) -> None:
    """A client of the endpoint cannot take back what was sent, and “Hold on” is several tokens."""
    text = TEXT.replace("Wait", reflection)

    def continue_with(_: object, body: str) -> str:
        return ANSWER if body.endswith("boxed") else text.removeprefix(body) if text.startswith(body) else "Four."

    trace, settled, given = Trace(), [""], settings()
    engine = ScriptedEngine(continue_with=continue_with, split=characters)
    for event in run(Pair(engine), ask("2 + 2?", given), given, on_settled=lambda at: settled.append(trace.text[:at])):
        trace.apply(event)
        assert trace.text.startswith(settled[-1])
    assert settled[-1] == trace.text == "Two and two.\n</think>\n\nFour."


@pytest.mark.parametrize("tried", ["boxed", "boxed{", "boxed{4"])
def test_a_text_that_was_stopped_within_a_trial_can_be_continued(tried: str) -> None:
    control, given = Control(), settings()

    def continue_with(_: object, body: str) -> str:
        return ANSWER if body.endswith("boxed") else TEXT.removeprefix(body) if TEXT.startswith(body) else "Four."

    def stop_there(body: str) -> None:
        if body.endswith(tried):
            control.stop()

    engine = ScriptedEngine(continue_with=continue_with, before_token=stop_there)
    stopped = Trace.of(run(Pair(engine), ask("2 + 2?", given), given, control=control))
    assert (stopped.finish, stopped.text) == (Finish.STOPPED, "Two and two. Wait")
    for event in run(Pair(engine), ask("2 + 2?", given), given, resume_trace=stopped):
        stopped.apply(event)
    assert stopped.text == "Two and two.\n</think>\n\nFour."


def test_without_thinking_tags_nothing_is_tried() -> None:
    trace = solved(settings(), tagged=False)
    assert not any(isinstance(event, Tried) for event in trace.events)


@pytest.mark.parametrize("tags", [THINK, None], ids=["with tags", "beside a model with tags"])
def test_a_model_that_does_not_say_how_sure_it_is_is_refused_before_the_run(tags: ThinkingTags | None) -> None:
    mute = ScriptedEngine(TEXT).with_card(returns_alternatives=False, thinking=tags)
    pair, given = Pair(mute, ScriptedEngine(TEXT, name="large")), settings(policy="keywords")
    with pytest.raises(SettingsError, match="The early exit needs the probabilities of each token"):
        list(run(pair, ask("2 + 2?", given), given))


def test_trials_of_the_policy_are_not_counted_where_a_text_is_taken_up() -> None:
    trials = [Tried(0.0, Author.LARGE, 0, (), Stop.LIMIT, 0.0) for _ in range(MOST_TRIALS)]
    before = Trace.of([*solved(settings(0.0)).events[:-1], *trials])
    guard = LimitsGuard(Limits(early_exit=0.95), before)
    tokens = [event for event in before.events if isinstance(event, TokenWritten)]
    view = View("Two. Wait", 0, tokens, Author.SMALL, thinking=True, at_boundary=False)
    assert isinstance(guard.interrupt(view), Trial)


@every_policy
@pytest.mark.parametrize("bound", [0.55, 0.8])
def test_an_interrupted_text_tries_the_same_answers(policy: PolicySettings, bound: float) -> None:
    world = World(11, tagged=True, drawn=True, cue_rate=0.3)
    given = settings_of(policy, 1).model_copy(update={"limits": Limits(early_exit=bound)})
    undisturbed = written(world, given)
    for count in random.Random(7).sample(range(2, len(undisturbed.events)), size(2, long=12)):
        resumed = written(world, given, Trace.of(undisturbed.events[:count]))
        assert outcome(resumed) == outcome(undisturbed), f"killed after {undisturbed.events[count - 1]}"


def test_the_policy_decides_on_a_lookahead_that_was_tried() -> None:
    """A cue that begins a trial is still a cue."""
    given, trials = settings_of(RunSettings().policy, 1), 0
    for seed in range(8):
        world = World(seed, tagged=True, drawn=True, cue_rate=0.3)
        plain = written(world, given)
        tried = written(world, given.model_copy(update={"limits": Limits(early_exit=1.0)}))
        assert tried.text == plain.text
        assert tried.totals[Author.LARGE].takeovers == plain.totals[Author.LARGE].takeovers
        trials += sum(isinstance(event, Tried) for event in tried.events)
    assert trials


def test_a_view_finds_the_trial_at_the_piece_where_it_was_made() -> None:
    trace = solved(settings())
    (tried,) = (event for event in trace.events if isinstance(event, Tried))
    assert trace.pieces[0].tried is tried
    assert trace.totals[Author.SMALL].tried == len(tried.tokens)
