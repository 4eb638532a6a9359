"""Profiles of texts that are known."""

from baton_reasoning.core.thinking.cue_profile import FEWEST_BOUNDARIES, lexicon_json, openings_of, profile
from baton_reasoning.core.thinking.cues import Category, parse_lexicon

STEP = "So x is 4.\n\n"


def test_a_model_that_says_wait_has_cues_and_the_list_keeps_only_what_it_uses():
    found = profile(["Let x be 3.\n\n" + "Wait, that is wrong.\n\nSo x is 4.\n\n" * 15])
    assert found.boundaries == 30
    assert (found.with_cue, found.cue_share) == (15, 0.5)
    assert list(found.proposed.cues[Category.REFLECTION]) == ["wait"]
    assert not found.proposed.cues[Category.AFFIRMATION]
    assert "suits it" in found.advice


def test_openings_of_one_and_two_words_are_counted():
    found = profile(["Begin.\n\n" + "So x is 4.\n\n" * 10 + "So be it.\n\n"])
    assert found.openings == (("so", 11), ("so x", 10), ("so be", 1))


def test_other_words_that_look_back_are_proposed_if_the_model_opens_with_them():
    found = profile(["Begin.\n\n" + f"Hmm, is that so?\n\n{STEP}" * 5])
    assert "hmm" in found.proposed.cues[Category.REFLECTION]
    rare = profile(["Begin.\n\n" + f"Hmm, is that so?\n\n{STEP}" * 2])
    assert "hmm" not in rare.proposed.cues[Category.REFLECTION]


def test_the_advice_warns_of_a_model_that_always_looks_back_and_of_too_little_text():
    assert "nearly everything" in profile(["Wait, again.\n\n" * 60]).advice
    assert "too few to judge" in profile([STEP * (FEWEST_BOUNDARIES - 1)]).advice
    assert profile([]).cue_share == profile(["One step and no more."]).cue_share == 0


def test_a_model_without_cues_is_warned_of_and_other_policies_are_offered():
    found = profile([STEP * 60])
    assert found.with_cue == 0
    assert "no cues to hold on to" in found.advice
    assert "first-token-entropy" in found.advice
    assert "every-step" in found.advice


def test_openings_skip_numbers_and_signs():
    assert openings_of("**Let's check:** 3 + 4.") == ["let's", "let's check"]
    assert openings_of("12 = 12\n\n") == []


def test_the_proposed_list_is_in_the_format_that_the_policy_reads():
    found = profile(["Begin.\n\n" + f"Wait. Yes.\n\n{STEP}" * 8])
    assert parse_lexicon(lexicon_json(found.proposed)).cues == found.proposed.cues
