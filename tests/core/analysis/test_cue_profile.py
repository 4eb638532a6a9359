"""What a profile of a model's cues says."""

import re

import pytest

from baton_reasoning.core.analysis.cue_profile import FEWEST_BOUNDARIES, lexicon_json, openings_of, profile
from baton_reasoning.core.thinking.cues import Category, parse_lexicon

REFLECTION, AFFIRMATION = Category.REFLECTION, Category.AFFIRMATION
STEP = "So x is 4.\n\n"


def test_a_profile_counts_cues_and_openings_and_proposes_what_the_model_uses():
    found = profile(["Let x be 3.\n\n" + f"Wait, that is wrong.\n\n{STEP}" * 15])
    assert (found.boundaries, found.with_cue, found.cue_share) == (30, 15, 0.5)
    assert found.cues[0] == (REFLECTION, "wait", 15)
    assert list(found.proposed.cues[REFLECTION]) == ["wait"]
    assert not found.proposed.cues[AFFIRMATION]
    assert found.openings[:2] == (("wait", 15), ("wait that", 15))
    for times, is_habit in (3, True), (2, False):
        hesitant = profile(["Begin.\n\n" + f"Hmm, is that so?\n\n{STEP}" * times])
        assert ("hmm" in hesitant.proposed.cues[REFLECTION]) is is_habit
    assert parse_lexicon(lexicon_json(found.proposed)).cues == found.proposed.cues
    assert [openings_of(step) for step in ("**Let's check:** 3 + 4.", "12 = 12")] == [["let's", "let's check"], []]


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (f"Wait.\n\n{STEP}" * 30, "suits it"),
        ("Wait, again.\n\n" * 60, "nearly everything"),
        (STEP * FEWEST_BOUNDARIES, "too few to judge"),
        (STEP * (FEWEST_BOUNDARIES + 1), "no cues to hold on to.* token-entropy.* every-step"),
        ("One step and no more.", "too few to judge"),
    ],
)
def test_the_advice_says_whether_the_keyword_policy_suits_a_model(text, advice):
    found = profile([text])
    assert (found.cue_share > 0) is ("Wait" in text)
    assert re.search(advice, found.advice)
