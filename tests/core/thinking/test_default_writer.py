"""The driver is symmetrical: under relay the large model writes by default, and hands sentences to the small one."""

from __future__ import annotations

from baton_reasoning.core.engines.base import Session
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.run import Pair, unmet_need
from baton_reasoning.core.thinking.driver import Driver
from baton_reasoning.core.thinking.events import Finish, HandedOver, Noticed, TakeoverStarted, TextDiscarded
from baton_reasoning.core.thinking.interruptions import Control, Limits, LimitsGuard, Moment, Wish
from baton_reasoning.core.thinking.policies.always import Always
from baton_reasoning.core.thinking.policies.relay import RELAY, Relay
from baton_reasoning.core.thinking.policy import Needs, Policy
from baton_reasoning.core.thinking.reasons import ANSWER, PERSON, REPETITION, SMALL_ONLY
from baton_reasoning.core.thinking.requests import Step
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.running import run
from tests.fakes.scripted import Fault, ScriptedEngine

LARGE = ["One.\n\nWait, no", " Then three.\n\nFour.</think>No"]
SMALL = [" two. No", "\n\nFour."]


def test_the_large_model_writes_by_default_and_hands_a_sentence_to_the_small_one() -> None:
    done = run(Relay(), SMALL, LARGE)
    assert done.told == [
        ("large", "One.\n\n"),
        ("large", "Wait,"),
        ("small", " two."),
        ("large", " Then three.\n\n"),
        ("large", "Four.</think>"),
        ("small", "\n\n"),
        ("small", "Four."),
    ]
    takeovers = done.all(TakeoverStarted)
    assert [(event.author, event.reason) for event in takeovers] == [
        (Author.SMALL, RELAY.id),
        (Author.SMALL, ANSWER.id),
    ]
    assert done.trace.totals[Author.SMALL].takeovers == 2
    assert done.trace.totals[Author.LARGE].takeovers == 0
    assert done.trace.pieces[2].takeover == takeovers[0]


def test_only_the_difference_is_handed_over_in_both_directions() -> None:
    done = run(Relay(), SMALL, LARGE)
    handed = done.all(HandedOver)
    assert [event.author for event in handed] == [Author.LARGE, Author.SMALL, Author.LARGE, Author.SMALL]
    assert all(event.handoff.reused > event.handoff.prefilled for event in handed[2:])


def test_when_the_small_helper_is_lost_the_large_model_goes_on_alone() -> None:
    small = ScriptedEngine(" two.", faults=[Fault(0, EngineLost("Gone."))])
    done = run(Relay(), small, ["One.\n\nWait, no", " it is two.</think> Two."])
    assert done.trace.text == "One.\n\nWait, it is two.</think> Two."
    assert done.all(Noticed)[0].text == "Gone. The large model goes on alone."


def test_or_the_run_fails_if_no_model_may_go_on_alone() -> None:
    small = ScriptedEngine(" two.", faults=[Fault(0, EngineLost("Gone."))])
    done = run(Relay(), small, ["One.\n\nWait, no", " it is two."], RunSettings(small_alone=False))
    assert (done.trace.finish, done.trace.text) == (Finish.FAILED, "One.\n\nWait,")


def test_when_the_large_model_is_lost_the_small_one_goes_on_alone() -> None:
    large = ScriptedEngine("One.\n\nTwo. Three", name="large", faults=[Fault(3, EngineLost("Gone."))])
    done = run(Relay(), [" and so on.</think> Four."], large)
    assert done.all(Noticed)[0].text == "Gone. The small model goes on alone."
    assert done.trace.text.endswith(" and so on.</think> Four.")


class LargeWrites(Policy):
    name = "large writes"
    default_writer = Author.LARGE


def test_a_default_writer_that_is_missing_is_replaced() -> None:
    sessions: dict[Author, Session] = {Author.SMALL: ScriptedEngine("One.").open()}
    events = list(Driver(sessions, LargeWrites(), RunSettings(max_tokens=1)).run())
    assert [event.reason for event in events if isinstance(event, TakeoverStarted)] == [SMALL_ONLY.id]


def test_a_text_of_the_large_model_that_repeats_itself_is_handed_to_the_small_one() -> None:
    large = ["One.\n\nTwo.\n\nTwo.\n\nTwo.", "Three.</think>"]
    done = run(Relay(), ["Let me.\n\nNo", " Four."], large, interruptions=[LimitsGuard(Limits())])
    first = done.all(TakeoverStarted)[0]
    assert (first.author, first.reason) == (Author.SMALL, REPETITION.id)


def test_a_person_takes_over_and_gives_back() -> None:
    class Hand(Control):
        def check(self, moment: Moment) -> None:
            if moment.text.body.text.endswith("One.\n\n"):
                self.rewrite_step()
            super().check(moment)

    done = run(Relay(), [], ["One.\n\nTwo.", "First.\n\nNo", " End.</think>"], interruptions=[Hand()])
    assert done.all(TextDiscarded)[0].text == "One.\n\n"
    assert done.all(TakeoverStarted)[0].reason == PERSON.id


class Reading(Relay):
    title = "Reading"
    needs = Needs(alternatives=20, scores=True)


def test_what_a_policy_needs_is_asked_of_the_model_that_has_to_give_it() -> None:
    plain = ScriptedEngine().with_card(returns_scores=False)
    scoring = ScriptedEngine(name="large").with_card(returns_scores=True)
    silent = ScriptedEngine(name="large").with_card(returns_scores=True, returns_alternatives=False)
    assert unmet_need(Relay, Pair(plain, plain).cards) is None
    assert unmet_need(Reading, Pair(silent, scoring).cards) is None, "the small model need not give any"
    assert "probabilities of each token, and large gives none" in str(unmet_need(Reading, Pair(plain, silent).cards))
    assert "probabilities of a text" in str(unmet_need(Reading, Pair(scoring, plain).cards))
    assert "needs a large model" in str(unmet_need(Relay, Pair(plain).cards))


def test_a_step_that_a_person_wants_of_a_model_that_takes_no_part_is_written_by_the_other() -> None:
    sessions: dict[Author, Session] = {Author.LARGE: ScriptedEngine("Mine.</think> So.", name="large").open()}
    trace = Trace.of(Driver(sessions, Always(), RunSettings()).run(Wish(Step())))
    assert (trace.text, trace.finish) == ("Mine.</think> So.", Finish.END_OF_TEXT)
