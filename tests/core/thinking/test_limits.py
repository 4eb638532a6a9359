"""What a run may cost, and what happens to a text that goes round."""

from __future__ import annotations

import threading

import pytest

from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.thinking.events import Finish, TakeoverStarted, TextDiscarded, TextInserted, ThinkingClosed
from baton_reasoning.core.thinking.limits import Limits, LimitsGuard, RepetitionDetector, cancelled_after
from baton_reasoning.core.thinking.policies.always import Always
from baton_reasoning.core.thinking.policies.every_step import EveryStep
from baton_reasoning.core.thinking.policies.first_token_entropy import FirstTokenEntropy
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.policies.random_takeover import RandomTakeover
from baton_reasoning.core.thinking.policies.step_score import StepScore
from baton_reasoning.core.thinking.policies.token_entropy import TokenEntropy
from baton_reasoning.core.thinking.policy import Policy, PolicySettings
from baton_reasoning.core.thinking.reasons import BUDGET, REPETITION, TakeoverReason
from baton_reasoning.core.thinking.registry import POLICIES, make_policy
from baton_reasoning.core.thinking.requests import Until
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.text import Text
from tests.core.thinking.running import Run, run
from tests.fakes.scripted import ScriptedEngine
from tests.patience import PATIENCE


def limited(limits: Limits, policy: Policy, small: list[str], large: list[str], max_tokens: int = 400) -> Run:
    return run(policy, small, large, RunSettings(max_tokens=max_tokens), [LimitsGuard(limits)])


def rules(done: Run) -> list[TakeoverReason]:
    return [POLICIES.reason(takeover.reason) for takeover in done.all(TakeoverStarted)]


def test_a_thinking_budget_closes_the_thinking_once_and_the_answer_follows() -> None:
    done = limited(Limits(max_thinking_tokens=5), Never(), ["one two three four five six seven", "It is four."], [])
    assert done.told == [
        ("small", "one two three four five"),
        ("inserted", "\n</think>\n\n"),
        ("small", "It is four."),
    ]
    assert done.all(TextInserted)[0].reason == BUDGET.id


def test_a_budget_that_ends_in_a_step_that_waits_lets_it_stand() -> None:
    small, large = ScriptedEngine("one two three", "Four."), ScriptedEngine(name="large", marks="0")
    done = run(StepScore(), small, large, interruptions=[LimitsGuard(Limits(max_thinking_tokens=2))])
    assert (done.trace.text, done.large.calls) == ("one two\n</think>\n\nFour.", [])


def test_a_budget_that_ends_on_the_closing_tag_closes_nothing_twice() -> None:
    done = limited(Limits(max_thinking_tokens=3), Never(), ["one two</think> four"], [])
    assert len(done.all(ThinkingClosed)) == 1
    assert done.all(TextInserted) == []


def test_no_takeover_begins_above_the_cap_on_the_large_share() -> None:
    policy = EveryStep(EveryStep.Settings(opening=4, n1=4, until=Until.TOKENS))
    small = ["and one is so and so.\n\n" * 20] * 20
    capped = limited(Limits(max_large_share=0.2, repetition=False), policy, small, ["The sum is thus not"] * 40)
    free = limited(
        Limits(repetition=False),
        EveryStep(EveryStep.Settings(opening=4, n1=4, until=Until.TOKENS)),
        small,
        ["The sum is thus not"] * 40,
    )
    assert free.trace.large_share > 0.3
    assert 0.1 < capped.trace.large_share < 0.25


@pytest.mark.parametrize(
    "policy",
    [
        Keywords.Settings(),
        EveryStep.Settings(),
        StepScore.Settings(),
        FirstTokenEntropy.Settings(tau=0),
        TokenEntropy.Settings(tau=0),
        RandomTakeover.Settings(p=1),
    ],
    ids=lambda policy: policy.policy,
)
def test_what_waits_for_a_takeover_stands_if_the_cap_refuses_it(policy: PolicySettings) -> None:
    text = "One.\n\nWait, two.\n\nLet us verify.</think>Four."
    small = ScriptedEngine(continue_with=lambda _, body: text[len(body) :])
    large = ScriptedEngine("", name="large", marks="0" * 9)
    done = run(make_policy(policy), small, large, interruptions=[LimitsGuard(Limits(max_large_share=0))])
    assert (done.trace.thinking_text, done.all(TextDiscarded)) == (text.partition("</think>")[0], [])


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_large_only_and_a_persons_wish_are_not_capped(share: float) -> None:
    assert limited(Limits(max_large_share=share), Always(), [], ["One.</think>Four."]).trace.large_share == 1


def test_a_step_said_twice_is_handed_over_and_the_second_time_the_thinking_is_closed() -> None:
    small = ["One.\n\nTwo.\n\nTwo.\n\nTwo.", "Three.\n\nThree.\n\nThree.", "Four."]
    done = limited(Limits(), Never(), small, ["Let me think.\n\nNo"])
    assert rules(done) == [REPETITION]
    assert done.trace.thinking_text.startswith("One.\n\nTwo.\n\nTwo.\n\nLet me think.\n\nThree.\n\nThree.\n\n")
    assert [text.reason for text in done.all(TextInserted)] == [REPETITION.id]
    assert done.trace.answer.strip() == "Four."


def test_a_large_model_that_repeats_itself_in_a_takeover_hands_over_to_the_small_one() -> None:
    policy = EveryStep(EveryStep.Settings(opening=40, until=Until.TOKENS))
    done = limited(Limits(), policy, ["So it is.\n\nNo", "End.</think>"], ["Two.\n\nTwo.\n\nTwo.\n\n", "Four."])
    repeated = [took for took in done.all(TakeoverStarted) if took.reason == REPETITION.id]
    assert [took.author for took in repeated] == [Author.SMALL]


def test_a_text_gone_on_with_is_not_handed_over_once_more() -> None:
    first = limited(Limits(), Never(), ["One.\n\nTwo.\n\nTwo.\n\nTwo.", "Three.\n\nFour."], ["Let me.\n\nNo"], 16)
    guard = LimitsGuard(Limits(), before=first.trace)
    rest = run(Never(), ["Five.\n\nFive.\n\nFive.", "Six."], interruptions=[guard], before=first.trace)
    assert rules(first) == rules(rest) == [REPETITION]
    assert [text.reason for text in rest.all(TextInserted)] == [REPETITION.id], "the thinking is closed at once"


def test_nothing_begins_when_the_time_is_over() -> None:
    done = limited(Limits(max_seconds=1e-9), Never(), ["One."], [])
    assert (done.trace.finish, done.small.calls) == (Finish.TIME, [])


def test_a_time_limit_keeps_the_text_so_far() -> None:
    guard = LimitsGuard(Limits())

    def run_out(_body: str) -> None:
        guard.limits = Limits(max_seconds=1e-9)

    done = run(Never(), ScriptedEngine("One two three.", before_token=run_out), interruptions=[guard])
    assert (done.trace.finish, done.trace.text) == (Finish.TIME, "One")
    assert "time limit" in (done.trace.ended.reason if done.trace.ended else "")


def test_what_is_under_way_is_cancelled_when_the_time_is_over() -> None:
    cancelled = threading.Event()
    small = ScriptedEngine("One two.", before_token=lambda _: (cancelled.wait(PATIENCE), None)[1])
    session = small.open()
    session.cancel = cancelled.set  # type: ignore[method-assign]
    with cancelled_after(1e-3, [session]):
        tokens = list(session.write((), 1, 0))
    assert len(tokens) == 3
    assert cancelled.is_set()


def test_a_phrase_said_over_and_over_is_found_without_any_boundary() -> None:
    done = limited(Limits(), Never(), ["So it is four and " * 200, "Done.</think>4"], ["Enough.\n\nNo"], 2000)
    assert rules(done) == [REPETITION]
    assert done.trace.totals[Author.SMALL].kept < 100


def test_an_answer_that_goes_round_ends_the_run() -> None:
    small = ["One.</think>" + "and so on " * 300] * 2
    done = limited(Limits(), Never(), [small[0], "and so on " * 300], ["It\n\nNo"], 3000)
    assert done.trace.finish is Finish.REPETITION


def test_going_round_is_allowed_where_the_detector_is_off() -> None:
    done = limited(Limits(repetition=False), Never(), ["Two.\n\nTwo.\n\nTwo.</think>"], [])
    assert done.trace.text == "Two.\n\nTwo.\n\nTwo.</think>"


@pytest.mark.parametrize("policy", ["never", "always", "cascade"])
def test_a_baseline_has_no_detector(policy: str) -> None:
    assert not POLICIES[policy]().stops_repetition


def text_of(body: str) -> Text:
    """As many tokens as between two searches."""
    tokens = [Part("", Author.SMALL, 1)] * (RepetitionDetector.EVERY - 1)
    return Text(written=[*tokens, Part(body, Author.SMALL, 1)])


@pytest.mark.parametrize("text", ["no, " * 40, "3" * 200, ("a long phrase with many words, " * 5 + "\n") * 4])
def test_what_is_a_loop(text: str) -> None:
    assert RepetitionDetector().found(text_of(text))


@pytest.mark.parametrize("text", ["no, no, no", " ".join(map(str, range(300))), "", "\n" * 300, "Two.\n\nThree.\n\n"])
def test_what_is_none(text: str) -> None:
    assert not RepetitionDetector().found(text_of(text))


def test_the_same_place_is_found_once() -> None:
    repetition = RepetitionDetector()
    assert repetition.found(text_of("Two.\n\nTwo.\n\n"))
    assert not repetition.found(text_of("Two.\n\nTwo.\n\n\n"))


def test_a_small_model_alone_cannot_be_handed_over() -> None:
    small = ScriptedEngine("Two.\n\nTwo.\n\nNo", "Two.\n\nTwo.\n\nNo", "Four.")
    done = run(Never(), small, interruptions=[LimitsGuard(Limits(max_large_share=0))])
    assert rules(done) == []
    assert done.trace.answer.strip() == "Four."
