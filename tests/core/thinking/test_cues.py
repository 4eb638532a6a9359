"""Which words count as cues, and which only look like them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.thinking.cues import RESOURCES, Category, Match, english, inside_code, parse_lexicon, prose

REFLECTION = "wait, alternatively, hold on, another, verify, think again, recap, check".split(", ")
AFFIRMATION = "yeah, yes, final answer, confident".split(", ")
VERIFICATION = "verify, think again, recap, check".split(", ")


def words(text: str, match: Match = Match.INFLECTED, complete: bool = True) -> list[str]:
    return list(dict.fromkeys(cue.word for cue in replace(english(), match=match).find(text, complete)))


@pytest.mark.parametrize(
    ("category", "expected"),
    [(Category.REFLECTION, REFLECTION), (Category.AFFIRMATION, AFFIRMATION), (Category.VERIFICATION, VERIFICATION)],
)
def test_the_english_cues_are_the_papers(category, expected):
    assert sorted(english().cues[category]) == sorted(expected)


@pytest.mark.parametrize("name", sorted(path.name for path in RESOURCES.glob("*.json")))
def test_a_list_that_comes_with_baton_finds_each_of_its_cues(name):
    lexicon = parse_lexicon((RESOURCES / name).read_text(encoding="utf-8"))
    cues = [(category, cue) for category, words in lexicon.cues.items() for cue in words]
    assert cues
    for category, cue in cues:
        assert category in {found.category for found in lexicon.find(f"So {cue} then.")}


@pytest.mark.parametrize("text", ["By Bayes' rule", "We are awaiting it", "On a checkerboard", "unchecked", "reverify"])
def test_words_that_only_hold_a_cue_are_none(text):
    assert words(text) == []
    assert words(text, Match.WORD) == []


@pytest.mark.parametrize(("text", "cue"), [("By Bayes", "yes"), ("awaiting", "wait"), ("checkerboard", "check")])
def test_the_authors_code_takes_substrings(text, cue):
    assert words(text, Match.SUBSTRING) == [cue]


@pytest.mark.parametrize("form", ["verify", "verifies", "verified", "verifying", "verification", "checks", "CHECKING"])
def test_inflections_count_where_they_are_asked_for(form):
    assert words(f"Now {form} it") == [form]


def test_words_alone_do_not_match_inflections():
    assert words("He verified and checks; now check", Match.WORD) == ["check"]


def test_a_cue_of_two_words_may_be_broken_by_any_white_space():
    assert words("The final\n answer is") == ["final\n answer"]


def test_a_word_at_the_end_of_a_growing_text_is_not_yet_a_cue():
    assert words("Let me check", complete=False) == []
    assert words("Let me check ", complete=False) == ["check"]
    assert words("Let me checkerboard", complete=False) == []
    assert words("Let me check", Match.SUBSTRING, complete=False) == ["check"]


def test_places_are_those_in_the_text():
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
def test_the_majority_of_cues_decides_and_a_tie_is_reflection(text, sign):
    assert english().sign(text) is sign


def test_a_lexicon_of_another_language_is_data():
    lexicon = parse_lexicon(json.dumps({"reflection": {"moment mal": [], "prüfe": ["prüfen"]}, "affirmation": {}}))
    assert [cue.word for cue in lexicon.find("Moment mal, ich prüfe.")] == ["Moment mal", "prüfe"]


def test_the_ablation_with_one_cue_a_class_has_the_papers_three():
    assert [list(words) for words in english().one_cue().cues.values()] == [["wait"], ["confident"], ["verify"]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{\n"reflection": {\n"wait": []\n', "line 4"),
        ('{"doubt": {}}', "'doubt' is no category"),
        ('{"reflection": ["wait"]}', "'reflection' holds no object of words"),
        ('{"reflection": {"wait": 3}}', "'wait' in 'reflection' has no list"),
        ('{"reflection": {"": []}}', "'reflection' holds an empty cue"),
        ('{"reflection": {"wait": [" "]}}', "'reflection' holds an empty cue"),
        ('{\n"reflection": {"wait": []},\n"doubt": {}}', "line 3: 'doubt' is no category"),
        ('{\n"reflection": {\n"wait": [],\n"hm": 3}}', "line 4: 'hm' in 'reflection' has no list"),
        ('{"affirmation": {},\n"reflection": {"wait": [""]}}', "line 2: 'reflection' holds an empty cue"),
        ("[]", "cue list cannot be read"),
        ("[" * 100_000, "cue list cannot be read"),
    ],
)
def test_what_is_wrong_with_a_cue_list_is_named(text, reason):
    with pytest.raises(SettingsError, match=reason):
        parse_lexicon(text)


CHINESE = json.dumps({"reflection": {"等等": []}, "affirmation": {}, "verification": {"检查": []}})


@pytest.mark.parametrize("match", Match)
def test_a_cue_in_a_script_without_blanks_is_found_beside_its_neighbours(match):
    lexicon = replace(parse_lexicon(CHINESE), match=match)
    assert [cue.word for cue in lexicon.find("让我检查一下,等等。", complete=False)] == ["检查", "等等"]


def test_a_latin_cue_beside_such_a_script_is_a_word_of_its_own():
    assert words("让我wait一下") == ["wait"]


@pytest.mark.parametrize("text", ["It is wait-free.", "We double-check it"])
def test_a_cue_inside_a_compound_is_none_where_inflections_are_matched(text):
    assert words(text) == []


def test_a_word_that_only_verifies_counts_as_a_reflection_once():
    lexicon = parse_lexicon('{"affirmation": {"yes": []}, "verification": {"prove": []}}')
    assert lexicon.sign("Let us prove it.") is Category.REFLECTION
    assert replace(english(), match=Match.SUBSTRING).sign("Yes, yes, check.") is Category.AFFIRMATION


@pytest.mark.parametrize(
    "text",
    [
        "So `wait()` it is.",
        "    wait()\n",
        "\tcheck(x)",
        "### Verification\n",
        "```python\nwait()\n```\nSo.",
        "~~~\ncheck",
    ],
)
def test_code_and_headings_are_not_prose(text):
    assert english().find(prose(text)) == []
    assert len(prose(text)) == len(text)


def test_prose_around_code_keeps_its_place():
    cue = english().find(prose("Run `wait()`, then verify it"))[0]
    assert (cue.word, cue.start) == ("verify", 19)


@pytest.mark.parametrize(("text", "inside"), [("```\nx", True), ("```\nx\n```\n", False), ("Use ``` here", False)])
def test_an_open_fence_means_code(text, inside):
    assert inside_code(text) is inside


OVERLAPPING = json.dumps(
    {"reflection": {"not sure": [], "wait": [], "wait a moment": []}, "affirmation": {"sure": [], "yes": []}}
)


@pytest.mark.parametrize(
    ("text", "match", "sign"),
    [
        ("I am not sure, yes, yes.", Match.WORD, Category.AFFIRMATION),
        ("I am not sure.", Match.WORD, Category.REFLECTION),
        ("Wait a moment: yes, yes.", Match.WORD, Category.AFFIRMATION),
        ("Wait a moment: yes, yes.", Match.SUBSTRING, Category.REFLECTION),
        ("I am not sure, yes.", Match.SUBSTRING, Category.AFFIRMATION),
    ],
)
def test_overlapping_cues_count_once_and_each_by_itself_in_the_authors_code(text, match, sign):
    assert replace(parse_lexicon(OVERLAPPING), match=match).sign(text) is sign


def test_with_one_cue_a_class_an_own_list_keeps_the_papers_or_else_its_first():
    own = parse_lexicon('{"reflection": {"hmm": [], "Wait": ["waits"]}, "affirmation": {"sure": [], "ok": []}}')
    assert own.one_cue().cues == {Category.REFLECTION: {"Wait": ("waits",)}, Category.AFFIRMATION: {"sure": ()}}
