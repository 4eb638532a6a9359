"""The rules of the policies of 2026: triggers, relay, self-check and agreement."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.run import Pair, unmet_need
from baton_reasoning.core.thinking.cues import Category, Lexicon
from baton_reasoning.core.thinking.events import Judged, Scored, TakeoverStarted
from baton_reasoning.core.thinking.policies.agreement import DISAGREEMENT, Agreement
from baton_reasoning.core.thinking.policies.relay import RELAY, Relay
from baton_reasoning.core.thinking.policies.self_check import REJECTED, SelfCheck
from baton_reasoning.core.thinking.policies.triggers import OVERCONFIDENCE, UNPRODUCTIVE, Triggers
from baton_reasoning.core.thinking.policy import Policy, PolicyContext
from baton_reasoning.core.thinking.reasons import ANSWER, OPENING, TakeoverReason
from baton_reasoning.core.thinking.registry import POLICIES
from tests.core.thinking.running import Run, run
from tests.fakes.scripted import ScriptedEngine

LARGE_ENDS = ["Better.\n\nNo", "Better.\n\nNo", "Better.\n\nNo"]


def reasons(done: Run) -> list[TakeoverReason]:
    return [POLICIES.reason(takeover.reason) for takeover in done.all(TakeoverStarted)]


# agreement


def scored_by(likely: dict[str, float]) -> ScriptedEngine:
    """A large model that gives each token of a step the log-probability that is named for a word in it."""
    return ScriptedEngine(*LARGE_ENDS, name="large", scored=lambda _, token: likely.get(token.strip(), -0.1), marks="9")


def test_a_step_that_the_large_model_finds_unlikely_is_rewritten() -> None:
    large = scored_by({"Two": -9.0})
    done = run(Agreement(Agreement.Settings(bound=-1.0)), ["One.\n\nNo", "Two.\n\nNo", "End.</think>Four."], large)
    assert reasons(done) == [DISAGREEMENT]
    assert done.trace.text.startswith("One.\n\nBetter.\n\n")
    assert [len(event.tokens) for event in done.all(Scored)] == [3, 3]
    assert [token.logprob for token in done.all(Scored)[0].tokens] == pytest.approx([-0.1] * 3)


def test_agreement_needs_a_large_model_that_scores() -> None:
    deaf = ScriptedEngine(name="large").with_card(returns_scores=False)
    error = unmet_need(Agreement, Pair(ScriptedEngine(), deaf).cards)
    assert isinstance(error, SettingsError)
    assert "needs the probabilities of a text, and large gives none" in error.message


def test_self_check_needs_a_small_model_that_answers_with_probabilities() -> None:
    mute = ScriptedEngine().with_card(returns_alternatives=False)
    assert unmet_need(SelfCheck, Pair(mute, ScriptedEngine(name="large")).cards)


# self-check


def checking(small_marks: list[str], large_marks: list[str]) -> Run:
    small = ScriptedEngine("One.\n\nNo", "Two.\n\nNo", "End.</think>Four.", marks=small_marks)
    return run(SelfCheck(), small, ScriptedEngine(*LARGE_ENDS, name="large", marks=large_marks))


def test_a_step_of_which_the_small_model_is_sure_is_kept_without_asking_the_large_one() -> None:
    done = checking(["yes", "yes"], [])
    assert reasons(done) == []
    assert {event.author for event in done.all(Judged)} == {Author.SMALL}


def test_a_step_of_which_it_is_unsure_goes_to_the_large_model_which_rewrites_what_it_rejects() -> None:
    done = checking(["yes", "no"], ["3"])
    assert [event.author for event in done.all(Judged)] == [Author.SMALL, Author.SMALL, Author.LARGE]
    assert reasons(done) == [REJECTED]
    assert done.trace.text.startswith("One.\n\nBetter.\n\n")


def test_what_the_large_model_accepts_is_kept() -> None:
    assert reasons(checking(["no", "no"], ["8", "9"])) == []


# triggers


def test_the_large_model_writes_the_plan() -> None:
    done = run(Triggers(Triggers.Settings(plan_steps=2)), ["End.</think>Four."], LARGE_ENDS)
    assert reasons(done) == [OPENING, OPENING]
    assert done.trace.text.startswith("Better.\n\nBetter.\n\nEnd.")


def test_extraordinary_confidence_is_rewritten() -> None:
    small = ScriptedEngine(
        "One.\n\nTwo.\n\nNo", "End.</think>Four.", chances=lambda body: (1.0,) if "One" in body else (0.5, 0.5)
    )
    done = run(Triggers(Triggers.Settings(plan_steps=0, confidence=-0.1)), small, LARGE_ENDS)
    assert reasons(done) == [OVERCONFIDENCE]
    assert done.trace.text.startswith("One.\n\nBetter.\n\n")


def test_hesitation_in_steps_running_brings_the_large_model() -> None:
    small = ScriptedEngine("Wait, no.\n\nWait, so.\n\nNo", "End.</think>Four.", chances=lambda _: (0.5, 0.5))
    done = run(Triggers(Triggers.Settings(plan_steps=0, hesitations=2)), small, LARGE_ENDS)
    assert reasons(done) == [UNPRODUCTIVE]
    assert done.trace.text.startswith("Wait, no.\n\nWait, so.\n\nBetter.\n\n")


def test_a_repeated_step_brings_the_large_model() -> None:
    small = ScriptedEngine("One.\n\nOne.\n\nNo", "End.</think>Four.", chances=lambda _: (0.5, 0.5))
    assert reasons(run(Triggers(Triggers.Settings(plan_steps=0)), small, LARGE_ENDS)) == [UNPRODUCTIVE]


def test_what_was_counted_is_kept_in_a_resumed_run() -> None:
    policy = Triggers(Triggers.Settings(plan_steps=1))
    first = run(policy, ScriptedEngine("Wait, no.\n\nSo", chances=lambda _: (0.5, 0.5)), LARGE_ENDS)
    again = Triggers(Triggers.Settings(plan_steps=1), PolicyContext(counters=first.trace.counters))
    assert again.counters == dict(first.trace.counters)


# relay


def test_the_large_model_writes_and_the_small_one_finishes_the_sentence_after_a_cue() -> None:
    large = ScriptedEngine("One is it.\n\nWait, let us", " So it is.</think>", name="large")
    small = ScriptedEngine(" see. No", "Four.")
    done = run(Relay(), small, large)
    assert reasons(done) == [RELAY, ANSWER]
    assert [takeover.author for takeover in done.all(TakeoverStarted)] == [Author.SMALL, Author.SMALL]
    assert done.trace.text == "One is it.\n\nWait, see. So it is.</think>Four."


def test_the_large_model_may_write_the_answer_too() -> None:
    large = ScriptedEngine("One.</think>Four.", name="large")
    done = run(Relay(Relay.Settings(small_answers=False)), ScriptedEngine(), large)
    assert done.trace.large_share == 1


def test_relay_reads_the_cues_of_the_run() -> None:
    lexicon = Lexicon({Category.REFLECTION: {"therefore": ()}})
    large = ScriptedEngine("Wait, one.\n\nTherefore, it", " So.</think>", name="large")
    done = run(Relay(context=PolicyContext(lexicon=lexicon)), ScriptedEngine(" is. No", "Four."), large)
    assert [takeover.cue.word for takeover in done.all(TakeoverStarted) if takeover.cue] == ["Therefore"]


@pytest.mark.parametrize("policy", [Agreement, SelfCheck, Triggers, Relay])
def test_each_says_in_a_sentence_when_a_model_takes_over_and_offers_an_arm(policy: type[Policy]) -> None:
    assert policy.summary.endswith(".")
    assert policy.arms


# questions, bounds, and what the large model wrote


def test_what_the_large_model_wrote_is_neither_scored_nor_checked() -> None:
    large = ScriptedEngine(*LARGE_ENDS, name="large", scored=lambda _, __: -9.0)
    done = run(Agreement(), ["One.\n\nNo", "End.</think>Four."], large)
    assert (len(done.all(Scored)), len(reasons(done))) == (1, 1)
    small = ScriptedEngine("One.\n\nNo", "End.</think>Four.", marks=["no"])
    checked = run(SelfCheck(), small, ScriptedEngine(*LARGE_ENDS, name="large", marks="1"))
    assert [event.author for event in checked.all(Judged)] == [Author.SMALL, Author.LARGE]


def test_nothing_is_scored_or_checked_in_the_answer() -> None:
    done = run(Agreement(), ["One.</think>Two.\n\nThree.\n\nFour."], scored_by({}))
    assert done.all(Scored) == []
    assert run(SelfCheck(), ["One.</think>Two.\n\nThree.\n\nFour."], LARGE_ENDS).all(Judged) == []


def test_both_questions_of_self_check_can_be_changed() -> None:
    asked: list[tuple[str, ...]] = []

    class Asked(ScriptedEngine):
        def judged(self, body: str, choices: tuple[str, ...]) -> list[float]:
            asked.append(choices)
            return super().judged(body, choices)

    settings = SelfCheck.Settings(sure=0.5, threshold=3, check="Right? ", question="How right? ")
    small = Asked("One.\n\nNo", "End.</think>Four.", marks=["no", "yes"])
    done = run(SelfCheck(settings), small, Asked(*LARGE_ENDS, name="large", marks="3"))
    assert [len(choices) for choices in asked] == [6, 10]
    assert reasons(done) == [], "a score of 3 is enough"


def test_a_sentence_by_the_small_model_is_capped() -> None:
    large = ScriptedEngine("One is it.\n\nWait, let us", " So it is.</think>", name="large")
    done = run(Relay(Relay.Settings(sentence_cap=3)), ScriptedEngine(" a b c d e f", "Four."), large)
    assert done.trace.text == "One is it.\n\nWait, a b c So it is.</think>Four."


def test_a_cue_in_the_answer_gives_nothing_away() -> None:
    large = ScriptedEngine("One.</think>Wait, it is four.", name="large")
    done = run(Relay(Relay.Settings(small_answers=False)), ScriptedEngine(" No"), large)
    assert reasons(done) == []


def test_without_a_bound_the_surest_step_stands() -> None:
    small = ScriptedEngine("One.\n\nTwo.\n\nEnd.</think>Four.", chances=lambda _: (1.0,))
    assert reasons(run(Triggers(Triggers.Settings(plan_steps=0, confidence=0)), small, LARGE_ENDS)) == []


def test_a_step_between_two_hesitations_begins_the_count_again() -> None:
    small = ScriptedEngine("Wait, no.\n\nSo.\n\nWait, so.\n\nEnd.</think>Four.", chances=lambda _: (0.5, 0.5))
    assert reasons(run(Triggers(Triggers.Settings(plan_steps=0, hesitations=2)), small, LARGE_ENDS)) == []


class Spelling(ScriptedEngine):
    """Its answers are spread over several spellings, with these chances."""

    spellings: Mapping[str, float]

    def judged(self, body: str, choices: tuple[str, ...]) -> list[float]:
        return [self.spellings.get(choice, 0.0) for choice in choices]


@pytest.mark.parametrize(
    ("chances", "is_unsure"), [({"Yes": 0.8, "YES": 0.15, "no": 0.05}, False), ({"yes": 0.3, "No": 0.7}, True)]
)
def test_all_spellings_of_yes_count_for_the_small_models_word(chances: dict[str, float], is_unsure: bool) -> None:
    small = Spelling("One.\n\nNo", "End.</think>Four.")
    small.spellings = chances
    done = run(SelfCheck(), small, ScriptedEngine(*LARGE_ENDS, name="large", marks="9"))
    assert (Author.LARGE in [event.author for event in done.all(Judged)]) is is_unsure


# RelayGen's own rule and list


def relaygen(large: list[str], small: list[str]) -> Run:
    return run(Relay(Relay.presets["relaygen"]), ScriptedEngine(*small), ScriptedEngine(*large, name="large"))


def test_the_small_model_begins_right_at_a_cue_of_relaygen() -> None:
    done = relaygen(["one two three four five. Now it", " So. So."], [" is 3.", " end.</think>"])
    assert done.told[:2] == [("large", "one two three four five. Now"), ("small", " is 3.")]


def test_a_cue_counts_after_five_tokens_of_the_large_model() -> None:
    large = ["Now one two three Now Now", " Now a b c d e</think>"]
    done = relaygen(large, [" is it.", "Four."])
    assert done.told[:3] == [
        ("large", "Now one two three Now Now"),
        ("small", " is it."),
        ("large", " Now a b c d e</think>"),
    ]


def test_case_and_punctuation_of_relaygens_cues_count() -> None:
    text = "one two three four five so it Thenow, End.</think>"
    assert reasons(relaygen([text], ["Four."])) == [RELAY, ANSWER], "“now,” within a word"
    assert reasons(relaygen([text.replace("now", "Wow")], ["Four."])) == [ANSWER]


def test_a_word_after_a_cue_that_ends_in_a_blank_is_the_small_models() -> None:
    done = relaygen(["one two three four five So the sum", " End.</think>"], [" it is so.", "Four."])
    assert done.told[:2] == [("large", "one two three four five So"), ("small", " it is so.")]


def test_the_small_model_goes_on_after_the_blank_of_a_cue() -> None:
    large = ScriptedEngine(
        ["one", " two", " three", " four", " five", " So", " ", "the"], " End.</think>", name="large"
    )
    done = run(Relay(Relay.presets["relaygen"]), ScriptedEngine("it is so.", "Four."), large)
    assert done.told[:2] == [("large", "one two three four five So "), ("small", "it is so.")]


def test_a_boundary_right_after_a_cue_ends_the_small_models_sentence() -> None:
    done = relaygen(["one two three four five Now", "Two. End.</think>"], ["\n\nNo", "Four."])
    assert done.told[1] == ("small", "\n\n")


def test_the_thinking_of_relaygen_ends_if_the_small_model_has_nothing_to_write() -> None:
    done = relaygen(["one two three four five Now it"], ["", "Four."])
    assert done.trace.text == "one two three four five Now\n</think>\n\nFour."


@pytest.mark.parametrize("end", ["e.", "3.", "so!", "so?", "so\n\n"])
def test_any_mark_or_boundary_ends_the_small_models_sentence(end: str) -> None:
    done = relaygen(["one two three four five Now", " End.</think>"], [f" is {end}4 No", "Four."])
    assert done.told[1] == ("small", f" is {end}")


def test_an_own_list_takes_the_place_of_relaygens() -> None:
    own = PolicyContext(lexicon=Lexicon({Category.REFLECTION: {"Hm": ()}}))
    large = ScriptedEngine("one two three four five Now Hm yes", " End.</think>", name="large")
    done = run(Relay(Relay.presets["relaygen"], own), ScriptedEngine(" so.", "Four."), large)
    assert done.told[1] == ("small", " so.")
