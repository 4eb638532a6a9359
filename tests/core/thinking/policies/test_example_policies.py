"""The plug-ins of docs/examples by which published rules were tried: agreement, self-check and triggers."""

from __future__ import annotations

import pytest
from agreement import DISAGREEMENT, Agreement
from self_check import REJECTED, SelfCheck
from triggers import OVERCONFIDENCE, UNPRODUCTIVE, Triggers

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.run import Pair, unmet_need
from baton_reasoning.core.thinking.events import Judged, Scored, TakeoverStarted
from baton_reasoning.core.thinking.policy import Policy, PolicyContext
from baton_reasoning.core.thinking.reasons import OPENING
from tests.core.thinking.running import Run, run
from tests.fakes.scripted import ScriptedEngine

LARGE_ENDS = ["Better.\n\nNo", "Better.\n\nNo", "Better.\n\nNo"]


def reasons(done: Run) -> list[str]:
    return [takeover.reason for takeover in done.all(TakeoverStarted)]


# agreement


def agreed(small: list[str], likely: dict[str, float]) -> Run:
    """The large model gives each token of a step the log-probability that is named for a word in it."""
    large = ScriptedEngine(*LARGE_ENDS, name="large", scored=lambda _, token: likely.get(token.strip(), -0.1))
    return run(Agreement(Agreement.Settings(bound=-1.0)), small, large)


def test_a_step_that_the_large_model_finds_unlikely_is_rewritten() -> None:
    done = agreed(["One.\n\nNo", "Two.\n\nNo", "End.</think>Four."], {"Two": -9.0})
    assert reasons(done) == [DISAGREEMENT.id]
    assert done.trace.text.startswith("One.\n\nBetter.\n\n"), "and what it wrote itself is not scored"
    assert [len(event.tokens) for event in done.all(Scored)] == [3, 3]
    assert [token.logprob for token in done.all(Scored)[0].tokens] == pytest.approx([-0.1] * 3)


def test_nothing_is_scored_in_the_answer() -> None:
    assert agreed(["One.</think>Two.\n\nThree.\n\nFour."], {}).all(Scored) == []


@pytest.mark.parametrize(
    ("policy", "author", "lacks", "told"),
    [
        (Agreement, Author.LARGE, "returns_scores", "needs the probabilities of a text, and large gives none"),
        (SelfCheck, Author.SMALL, "returns_alternatives", "needs probabilities, and small gives none"),
        (Triggers, Author.SMALL, "returns_alternatives", "needs the probabilities of each token, and small gives none"),
    ],
)
def test_each_refuses_a_model_that_cannot_do_what_it_needs(
    policy: type[Policy], author: Author, lacks: str, told: str
) -> None:
    cards = Pair(ScriptedEngine(), ScriptedEngine(name="large")).cards
    error = unmet_need(policy, cards | {author: ScriptedEngine(name=author.value).with_card(**{lacks: False}).card})
    assert error
    assert told in error.message


# self-check


def checking(small_marks: list[str], large_marks: list[str]) -> Run:
    small = ScriptedEngine("One.\n\nNo", "Two.\n\nNo", "End.</think>Four.\n\nSo.", marks=small_marks)
    return run(SelfCheck(), small, ScriptedEngine(*LARGE_ENDS, name="large", marks=large_marks))


def test_a_step_of_which_the_small_model_is_sure_is_kept_without_asking_the_large_one() -> None:
    done = checking(["yes", "Yes"], [])
    assert reasons(done) == []
    assert {event.author for event in done.all(Judged)} == {Author.SMALL}


def test_a_step_of_which_it_is_unsure_goes_to_the_large_model_which_rewrites_what_it_rejects() -> None:
    done = checking(["yes", "no"], ["3"])
    assert [event.author for event in done.all(Judged)] == [Author.SMALL, Author.SMALL, Author.LARGE]
    assert reasons(done) == [REJECTED.id]
    assert done.trace.text.startswith("One.\n\nBetter.\n\n")


def test_what_the_large_model_accepts_is_kept() -> None:
    assert reasons(checking(["no", "No"], ["8", "9"])) == []


# triggers


def test_the_large_model_writes_the_plan() -> None:
    done = run(Triggers(Triggers.Settings(plan_steps=2)), ["End.</think>Four."], LARGE_ENDS)
    assert reasons(done) == [OPENING.id, OPENING.id]
    assert done.trace.text.startswith("Better.\n\nBetter.\n\nEnd.")


def test_extraordinary_confidence_is_rewritten() -> None:
    small = ScriptedEngine(
        "One.\n\nTwo.\n\nNo", "End.</think>Four.", chances=lambda body: (1.0,) if "One" in body else (0.5, 0.5)
    )
    done = run(Triggers(Triggers.Settings(plan_steps=0, confidence=-0.1)), small, LARGE_ENDS)
    assert reasons(done) == [OVERCONFIDENCE.id]
    assert done.trace.text.startswith("One.\n\nBetter.\n\n")


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("Wait, no.\n\nWait, so.\n\n", [UNPRODUCTIVE.id]),
        ("One.\n\nOne.\n\n", [UNPRODUCTIVE.id]),
        ("Wait, no.\n\nSo.\n\nWait, so.\n\n", []),
    ],
    ids=["hesitation", "repetition", "a step between"],
)
def test_going_in_circles_brings_the_large_model(steps: str, expected: list[str]) -> None:
    small = ScriptedEngine(f"{steps}End.</think>Four.", "End.</think>Four.", chances=lambda _: (0.5, 0.5))
    assert reasons(run(Triggers(Triggers.Settings(plan_steps=0, hesitations=2)), small, LARGE_ENDS)) == expected


def test_what_was_counted_is_kept_in_a_resumed_run() -> None:
    policy = Triggers(Triggers.Settings(plan_steps=1))
    first = run(policy, ScriptedEngine("Wait, no.\n\nSo", chances=lambda _: (0.5, 0.5)), LARGE_ENDS)
    again = Triggers(Triggers.Settings(plan_steps=1), PolicyContext(counters=first.trace.counters))
    assert again.counters == dict(first.trace.counters)
