"""Which words count as cues, and which only look like them."""

from __future__ import annotations

import json

import pytest

from core.errors import SettingsError
from core.thinking.cues import Category, Match, english, parse_lexicon

REFLECTION = "wait, alternatively, hold on, another, verify, think again, recap, check".split(", ")
AFFIRMATION = "yeah, yes, final answer, confident".split(", ")
VERIFICATION = "verify, think again, recap, check".split(", ")


def words(text: str, match: Match = Match.INFLECTED, complete: bool = True) -> list[str]:
    return list(dict.fromkeys(cue.word for cue in english(match).find(text, complete)))


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        (Category.REFLECTION, REFLECTION),
        (Category.AFFIRMATION, AFFIRMATION),
        (Category.VERIFICATION, VERIFICATION),
    ],
)
def test_the_english_cues_are_the_papers(category: Category, expected: list[str]) -> None:
    assert sorted(english().cues[category]) == sorted(expected)


@pytest.mark.parametrize("text", ["By Bayes' rule", "We are awaiting it", "On a checkerboard", "unchecked", "reverify"])
def test_words_that_only_hold_a_cue_are_none(text: str) -> None:
    assert words(text) == []
    assert words(text, Match.WORD) == []


@pytest.mark.parametrize(("text", "cue"), [("By Bayes", "yes"), ("awaiting", "wait"), ("checkerboard", "check")])
def test_the_authors_code_takes_substrings(text: str, cue: str) -> None:
    assert words(text, Match.SUBSTRING) == [cue]


@pytest.mark.parametrize("form", ["verify", "verifies", "verified", "verifying", "verification", "checks", "CHECKING"])
def test_inflections_count_where_they_are_asked_for(form: str) -> None:
    assert words(f"Now {form} it") == [form]


def test_words_alone_do_not_match_inflections() -> None:
    assert words("He verified and checks; now check", Match.WORD) == ["check"]


def test_a_cue_of_two_words_may_be_broken_by_any_white_space() -> None:
    assert words("The final\n answer is") == ["final\n answer"]


def test_a_word_at_the_end_of_a_growing_text_is_not_yet_a_cue() -> None:
    assert words("Let me check", complete=False) == []
    assert words("Let me check ", complete=False) == ["check"]
    assert words("Let me checkerboard", complete=False) == []
    assert words("Let me check", Match.SUBSTRING, complete=False) == ["check"]


def test_places_are_those_in_the_text() -> None:
    cue = english().find("So, wait: no")[0]
    assert (cue.start, cue.end, cue.category) == (4, 8, Category.REFLECTION)


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("Four is the sum.", Category.STATEMENT),
        ("Wait, is it?", Category.REFLECTION),
        ("Yes, four.", Category.AFFIRMATION),
        ("Yes, yes, but check.", Category.AFFIRMATION),
        ("Yes, but wait.", Category.REFLECTION),
    ],
)
def test_the_majority_of_cues_decides_and_a_tie_is_reflection(text: str, sign: Category) -> None:
    assert english().sign(text) is sign


def test_a_lexicon_of_another_language_is_data() -> None:
    lexicon = parse_lexicon(json.dumps({"reflection": {"moment mal": [], "prüfe": ["prüfen"]}, "affirmation": {}}))
    assert [cue.word for cue in lexicon.find("Moment mal, ich prüfe.")] == ["Moment mal", "prüfe"]


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"doubt": {}}', '{"reflection": ["wait"]}', '{"reflection": {"wait": 3}}']
)
def test_a_cue_list_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="cue list cannot be read"):
        parse_lexicon(text)


def test_with_one_cue_a_class_only_the_first_of_each_is_left() -> None:
    assert [list(words) for words in english(one_cue=True).cues.values()] == [["wait"], ["yeah"], ["verify"]]
