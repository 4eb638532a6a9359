"""A run in which the large model never wrote says what to do about it; any other run says nothing."""

from __future__ import annotations

from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.policy import Advice
from baton_reasoning.core.thinking.registry import POLICIES, advice_on
from tests.core.thinking.running import keywords, run
from tests.fakes.scripted import Fault, ScriptedEngine

PLAIN = "Two dogs.\n\nThree cats.\n\nFive in all.</think>\n\n5."


def test_no_cue_in_a_long_enough_text_is_worth_a_word() -> None:
    advice = advice_on(run(keywords(Keywords.presets["baton"]), small=[PLAIN]).trace)
    assert "No cue was found" in advice.text
    assert all(POLICIES[name].title in advice.text for name in advice.policies)


def test_a_short_answer_is_left_alone() -> None:
    assert advice_on(run(keywords(Keywords.presets["baton"]), small=["Five.</think>\n\n5."]).trace) == Advice()


def test_a_takeover_leaves_nothing_to_say() -> None:
    ran = run(
        keywords(Keywords.presets["baton"]),
        small=[PLAIN.replace("Five", "Wait, five"), "</think>\n\n5."],
        large=["Five it is. Yes"],
    )
    assert ran.trace.handoffs
    assert advice_on(ran.trace) == Advice()


def test_a_policy_that_never_hands_over_is_meant_so() -> None:
    assert advice_on(run(Never(), small=[PLAIN]).trace) == Advice()


def test_a_large_model_that_was_lost_is_no_sign_of_missing_cues() -> None:
    gone = Fault(0, EngineLost("The server is gone.", "Start it."), for_good=True)
    lost = ScriptedEngine("Five it is.", faults=[gone], name="large")
    small = PLAIN.replace("Five", "Wait, five")
    ran = run(keywords(), small=[small, "</think>\n\n5.", "Five.</think>\n\n5."], large=lost)
    assert ran.trace.notices
    assert advice_on(ran.trace) == Advice()
