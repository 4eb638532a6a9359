"""The plug-ins of docs/examples: after-a-long-step, agreement, self-check, triggers, mentor and periodic."""

from __future__ import annotations

import pytest
from after_a_long_step import LONG_STEP, AfterALongStep
from agreement import DISAGREEMENT, Agreement
from mentor import MENTOR, Mentor
from periodic import PERIODIC, Periodic
from self_check import REJECTED, SelfCheck
from triggers import OVERCONFIDENCE, UNPRODUCTIVE, Triggers

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.run import Pair, unmet_need
from baton_reasoning.core.thinking.events import Finish, Judged, Scored, TakeoverStarted, Tried
from baton_reasoning.core.thinking.interruptions import Control
from baton_reasoning.core.thinking.policy import PolicyContext
from baton_reasoning.core.thinking.reasons import OPENING
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.running import Run, run
from tests.fakes.scripted import ScriptedEngine

BETTER = ["Better.\n\nNo", "Better.\n\nNo", "Better.\n\nNo"]


def reasons(done: Run) -> list[str]:
    return [takeover.reason for takeover in done.all(TakeoverStarted)]


# after-a-long-step


def test_the_large_model_writes_after_a_long_step_only():
    policy = AfterALongStep(AfterALongStep.Settings(tokens=6))
    done = run(policy, ["One.\n\nTwo is a long step.\n\n", "Four.</think>"], ["Three is long as well.\n\n"])
    assert [author for author, text in done.told if text.strip()] == ["small", "small", "large", "small"]
    assert reasons(done) == [LONG_STEP.id]


# agreement


def agreed(small: list[str], likely: dict[str, float]) -> Run:
    """The large model gives each token of a step the log-probability that is named for a word in it."""
    large = ScriptedEngine(*BETTER, name="large", scored=lambda _, token: likely.get(token.strip(), -0.1))
    return run(Agreement(Agreement.Settings(bound=-1.0)), small, large)


def test_a_step_that_the_large_model_finds_unlikely_is_rewritten():
    done = agreed(["One.\n\nNo", "Two.\n\nNo", "End.</think>Four."], {"Two": -9.0})
    assert reasons(done) == [DISAGREEMENT.id]
    assert done.trace.text.startswith("One.\n\nBetter.\n\n"), "and what it wrote itself is not scored"
    assert [len(event.tokens) for event in done.all(Scored)] == [3, 3, 3]
    assert [token.logprob for token in done.all(Scored)[0].tokens] == pytest.approx([-0.1] * 3)


def test_nothing_is_scored_in_the_answer():
    done = agreed(["One.</think>Two.\n\nThree.\n\nFour."], {})
    assert ["".join(token.text for token in event.tokens) for event in done.all(Scored)] == ["One.</think>"]


@pytest.mark.parametrize(
    ("policy", "author", "lacks", "told"),
    [
        (Agreement, Author.LARGE, "returns_scores", "needs the probabilities of a text, and large gives none"),
        (SelfCheck, Author.SMALL, "returns_alternatives", "needs probabilities, and small gives none"),
        (Triggers, Author.SMALL, "returns_alternatives", "needs the probabilities of each token, and small gives none"),
    ],
)
def test_each_refuses_a_model_that_cannot_do_what_it_needs(policy, author, lacks, told):
    cards = Pair(ScriptedEngine(), ScriptedEngine(name="large")).cards
    error = unmet_need(policy, cards | {author: ScriptedEngine(name=author.value).with_card(**{lacks: False}).card})
    assert error
    assert told in error.message


# self-check


def checking(small_marks: list[str], large_marks: list[str]) -> Run:
    small = ScriptedEngine("One.\n\nNo", "Two.\n\nNo", "End.</think>Four.\n\nSo.", marks=small_marks)
    return run(SelfCheck(), small, ScriptedEngine(*BETTER, name="large", marks=large_marks))


def test_a_step_of_which_the_small_model_is_sure_is_kept_without_asking_the_large_one():
    done = checking(["yes", "Yes", "YES"], [])
    assert reasons(done) == []
    assert {event.author for event in done.all(Judged)} == {Author.SMALL}


def test_a_step_of_which_it_is_unsure_goes_to_the_large_model_which_rewrites_what_it_rejects():
    done = checking(["yes", "no", "yes"], ["3"])
    assert [event.author for event in done.all(Judged)] == [Author.SMALL, Author.SMALL, Author.LARGE, Author.SMALL]
    assert reasons(done) == [REJECTED.id]
    assert done.trace.text.startswith("One.\n\nBetter.\n\n")


def test_what_the_large_model_accepts_is_kept():
    assert reasons(checking(["no", "No", "NO"], ["8", "9", "7"])) == []


def test_a_text_that_ends_after_a_step_has_no_other_step_to_check():
    done = run(SelfCheck(), ScriptedEngine("One.\n\n", "", "Four.", marks=["yes"] * 9), [])
    assert len(done.all(Judged)) == 1


# triggers


def test_the_large_model_writes_the_plan():
    done = run(Triggers(Triggers.Settings(plan_steps=2)), ["End.</think>Four."], BETTER)
    assert reasons(done) == [OPENING.id, OPENING.id]
    assert done.trace.text.startswith("Better.\n\nBetter.\n\nEnd.")


def test_a_plan_that_has_begun_is_completed_in_a_text_that_is_taken_up():
    first = run(Triggers(Triggers.Settings(plan_steps=2)), [], BETTER, RunSettings(max_tokens=3))
    again = run(Triggers(Triggers.Settings(plan_steps=2)), ["End.</think>Four."], BETTER, before=first.trace)
    assert reasons(again) == [OPENING.id, OPENING.id], "one before, and one after"


def test_extraordinary_confidence_is_rewritten():
    small = ScriptedEngine(
        "One.\n\nTwo.\n\nNo", "End.</think>Four.", chances=lambda body: (1.0,) if "One" in body else (0.5, 0.5)
    )
    done = run(Triggers(Triggers.Settings(plan_steps=0, confidence=-0.1)), small, BETTER)
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
def test_going_in_circles_brings_the_large_model(steps, expected):
    small = ScriptedEngine(f"{steps}End.</think>Four.", "End.</think>Four.", chances=lambda _: (0.5, 0.5))
    done = run(Triggers(Triggers.Settings(plan_steps=0, hesitations=2)), small, BETTER)
    assert reasons(done) == expected
    assert done.trace.text.startswith(f"{steps}Better." if expected else f"{steps}End."), "the steps themselves stand"


def test_what_was_counted_is_kept_in_a_resumed_run():
    policy = Triggers(Triggers.Settings(plan_steps=1))
    first = run(policy, ScriptedEngine("Wait, no.\n\nSo", chances=lambda _: (0.5, 0.5)), BETTER)
    again = Triggers(Triggers.Settings(plan_steps=1), PolicyContext(counters=first.trace.counters))
    assert again.counters == dict(first.trace.counters)


# mentor: both models try to go on, and the small one chooses


SMALL = "The sum is five, so 5.</think>Five."
LARGE = {"The": " sum is five", "The sum": " is five", "The sum is": " four, so 4."}
"""What the large model writes after the small one's text: the first difference is in the fourth word."""


def mentored(mark: str, chance: float = 1.0, before: Trace | None = None) -> Run:
    small = ScriptedEngine(
        continue_with=lambda _, body: SMALL.removeprefix(body) if SMALL.startswith(body) else "", marks=mark * 99
    )
    large = ScriptedEngine(continue_with=lambda _, body: LARGE.get(body, " and so on"), name="large")
    return run(Mentor(Mentor.Settings(chance=chance, tokens=4)), small, large, before=before)


def test_the_text_that_the_small_model_chooses_stands():
    done = mentored("B")
    assert done.trace.text.startswith("The sum is four, so 4")
    assert done.all(TakeoverStarted)[0].reason == MENTOR.id
    assert [tried.text for tried in done.all(Tried)][:4] == [" sum is five", " is five", " four, so 4", ", so 5"]
    assert [judged.author for judged in done.all(Judged)][:1] == [Author.SMALL]


def test_its_own_text_goes_on_if_it_chooses_that():
    done = mentored("A")
    assert done.trace.text == SMALL
    assert done.all(Judged)
    assert not done.all(TakeoverStarted)


def test_without_a_comparison_the_small_model_writes_alone():
    done = mentored("B", chance=0)
    assert done.trace.text == SMALL
    assert not done.all(Tried)


def test_a_run_that_is_stopped_within_a_trial_asks_the_policy_nothing_more():
    control = Control()
    small = ScriptedEngine(continue_with=lambda _, body: SMALL.removeprefix(body))
    large = ScriptedEngine(" sum", name="large", before_token=lambda _: control.stop())
    done = run(Mentor(Mentor.Settings(chance=1, tokens=4)), small, large, interruptions=[control])
    assert (done.trace.finish, done.trace.text) == (Finish.STOPPED, "The sum")
    assert [tried.author for tried in done.all(Tried)] == [Author.LARGE]


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_a_trial_costs_decoded_tokens_and_none_of_the_text(share):
    done = mentored("A")
    events = done.trace.events
    trace = Trace.of(events[: int(len(events) * share)])
    tried = [event for event in trace.events if isinstance(event, Tried)]
    assert sum(total.tried for total in trace.totals.values()) == sum(len(each.tokens) for each in tried)


# periodic: every n-th step goes to the large model


STEPS = ["One.\n\nTwo.\n\n", "Four.\n\nFive.\n\n", "Seven.</think>\n\nEnd."]
THIRDS = ["Three.\n\n", "Six.\n\n"]


def periodic(every: int = 3) -> Periodic:
    return Periodic(Periodic.Settings(every=every))


def authors(done: Run) -> list[Author]:
    return [step.pieces[0].author for step in done.trace.steps]


def test_every_third_step_is_written_by_the_large_model():
    done = run(periodic(), STEPS, THIRDS)
    small, large = Author.SMALL, Author.LARGE
    assert authors(done)[:7] == [small, small, large, small, small, large, small]
    assert {takeover.reason for takeover in done.all(TakeoverStarted)} == {PERIODIC.id}


def test_steps_are_counted_on_in_a_text_that_is_taken_up():
    first = run(periodic(), STEPS, THIRDS, RunSettings(max_tokens=5))
    assert not first.all(TakeoverStarted)
    again = run(periodic(), [" And.\n\n"], ["Three.</think>"], before=first.trace)
    assert [piece.author for piece in again.trace.pieces][-2:] == [Author.SMALL, Author.LARGE]
