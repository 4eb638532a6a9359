"""Which words count as cues, and where steps and sentences end."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.thinking.cues import Category, Match, english, inside_code, parse_lexicon, prose
from baton_reasoning.core.thinking.steps import Boundary, Splitter, ends_sentence, recorded_boundary, split
from baton_reasoning.resources import FOLDER, resource_text

REFLECTION, AFFIRMATION, STATEMENT = Category.REFLECTION, Category.AFFIRMATION, Category.STATEMENT
INFLECTED, WORD, SUBSTRING = Match.INFLECTED, Match.WORD, Match.SUBSTRING


def words(text: str, match: Match = INFLECTED, complete: bool = True) -> list[str]:
    return list(dict.fromkeys(cue.word for cue in replace(english(), match=match).find(text, complete)))


def test_the_english_cues_are_the_papers():
    assert {category.value: sorted(words) for category, words in english().cues.items()} == {
        "reflection": sorted("wait, alternatively, hold on, another, verify, think again, recap, check".split(", ")),
        "affirmation": ["confident", "final answer", "yeah", "yes"],
        "verification": ["check", "recap", "think again", "verify"],
    }
    assert [list(words) for words in english().one_cue().cues.values()] == [["wait"], ["confident"], ["verify"]]


@pytest.mark.parametrize("name", sorted(path.name for path in (FOLDER / "cues").glob("*.json")))
def test_a_list_that_comes_with_baton_finds_each_of_its_cues(name):
    lexicon = parse_lexicon(resource_text(f"cues/{name}"))
    cues = [(category, cue) for category, words in lexicon.cues.items() for cue in words]
    assert cues
    for category, cue in cues:
        assert category in {found.category for found in lexicon.find(f"So {cue} then.")}


@pytest.mark.parametrize(
    ("text", "match", "found"),
    [
        *((text, INFLECTED, []) for text in ("unchecked", "reverify", "Bayes")),
        *((f"Now {form} it", INFLECTED, [form]) for form in ("verify", "verified", "verification", "CHECKING")),
        ("He verified and checks; now check", WORD, ["check"]),
        ("The final\n answer is", INFLECTED, ["final\n answer"]),
        ("It is wait-free; we double-check it", INFLECTED, []),
        ("让我wait一下", INFLECTED, ["wait"]),
    ],
)
def test_a_cue_is_a_word_or_its_inflection(text, match, found):
    assert words(text, match) == found


def test_a_word_at_the_end_of_a_growing_text_is_not_yet_a_cue():
    assert words("Let me check", complete=False) == []
    assert words("Let me check ", complete=False) == ["check"]
    assert words("Let me check", SUBSTRING, complete=False) == ["check"]
    cue = english().find("So, wait: no")[0]
    assert (cue.start, cue.end, cue.category) == (4, 8, REFLECTION)


@pytest.mark.parametrize("match", Match)
def test_a_cue_in_a_script_without_blanks_is_found_beside_its_neighbours(match):
    lexicon = parse_lexicon('{"reflection": {"等等": []}, "affirmation": {}, "verification": {"检查": []}}')
    found = replace(lexicon, match=match).find("让我检查一下,等等。", complete=False)
    assert [cue.word for cue in found] == ["检查", "等等"]


OVERLAPPING = '{"reflection": {"not sure": [], "wait": [], "wait a while": []}, "affirmation": {"sure": [], "yes": []}}'
VERIFYING = '{"affirmation": {"yes": []}, "verification": {"prove": []}}'


@pytest.mark.parametrize(
    ("cues", "text", "match", "sign"),
    [
        ("", "Four is the sum.", INFLECTED, STATEMENT),
        ("", "Wait, is it?", INFLECTED, REFLECTION),
        ("", "Yes, yes, but check.", INFLECTED, AFFIRMATION),
        ("", "Yes, but wait.", INFLECTED, REFLECTION),
        (VERIFYING, "Let us prove it.", INFLECTED, REFLECTION),
        (OVERLAPPING, "I am not sure, yes, yes.", WORD, AFFIRMATION),
        (OVERLAPPING, "Wait a while: yes, yes.", WORD, AFFIRMATION),
        (OVERLAPPING, "Wait a while: yes, yes.", SUBSTRING, REFLECTION),
        (OVERLAPPING, "I am not sure, yes.", SUBSTRING, AFFIRMATION),
    ],
)
def test_the_majority_of_cues_decides_and_a_tie_is_reflection(cues, text, match, sign):
    """Overlapping cues count once, and each by itself in the authors' code."""
    lexicon = parse_lexicon(cues) if cues else english()
    assert replace(lexicon, match=match).sign(text) is sign


def test_a_lexicon_of_another_language_is_data_and_with_one_cue_a_class_keeps_the_papers_or_else_its_first():
    lexicon = parse_lexicon('{"reflection": {"moment mal": [], "prüfe": ["prüfen"]}, "affirmation": {}}')
    assert [cue.word for cue in lexicon.find("Moment mal, wir prüfen.")] == ["Moment mal", "prüfen"]
    own = parse_lexicon('{"reflection": {"hmm": [], "Wait": ["waits"]}, "affirmation": {"sure": [], "ok": []}}')
    assert own.one_cue().cues == {REFLECTION: {"Wait": ("waits",)}, AFFIRMATION: {"sure": ()}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{\n"reflection": {\n"wait": []\n', "line 4"),
        ('{"reflection": ["wait"]}', "reflection: Input should be an object"),
        ('{"reflection": {"wait": []}, "doubt": {}}', "doubt: .*Input should be 'reflection'"),
        ('{"reflection": {"wait": [" "]}}', "reflection: wait: 0: "),
        ('{"reflection": {"": []}}', "reflection: : "),
        ("{}", "at least 1 item"),
        ("[" * 100_000, "cue list cannot be read"),
    ],
)
def test_what_is_wrong_with_a_cue_list_is_named(text, reason):
    with pytest.raises(SettingsError, match=reason):
        parse_lexicon(text)


@pytest.mark.parametrize(
    "text",
    ["So `wait()` it is.", "    wait()\n", "\tcheck(x)", "### Verification\n", "```\nwait()\n```\n", "~~~\ncheck"],
)
def test_code_and_headings_are_not_prose_and_the_rest_keeps_its_place(text):
    assert english().find(prose(text)) == []
    assert len(prose(text)) == len(text)
    after = english().find(prose(f"{text}\nyes"))
    assert [cue.start for cue in after] == ([] if inside_code(text) else [len(text) + 1])
    assert inside_code(text) is (text == "~~~\ncheck")
    assert not inside_code("Use ``` here")


# Steps and sentences


@pytest.mark.parametrize(
    ("boundary", "text", "steps"),
    [
        *((Boundary.BLANK_LINE, f"One.{gap}Two", [f"One.{gap}", "Two"]) for gap in ("\n \n", "\r\n\r\n", " \n\n\n\n")),
        (Boundary.BLANK_LINE, "\n\nOne.\nTwo.", ["\n\nOne.\nTwo."]),
        (Boundary.BLANK_LINE, f"One.\n{' ' * 100}\nTwo.", [f"One.\n{' ' * 100}\n", "Two."]),
        (Boundary.BLANK_LINE, f"One.\n{' ' * 101}\nTwo.", [f"One.\n{' ' * 101}\nTwo."]),
        (Boundary.LINE, "One.\n  Two.\n\nThree", ["One.\n  ", "Two.\n\n", "Three"]),
        (Boundary.SENTENCE, "One is 1.5. Two! Three?\n\n4", ["One is 1.5. ", "Two! ", "Three?\n\n", "4"]),
    ],
)
def test_where_a_step_ends(boundary, text, steps):
    assert split(text, boundary) == steps


@given(st.sampled_from(Boundary), st.text(alphabet="ab.? \t\r\n\u00a0", max_size=60), st.data())
def test_a_growing_text_has_the_steps_of_the_finished_one_wherever_tokens_split_it(boundary, text, data):
    steps = split(text, boundary)
    assert "".join(steps) == text
    assert all(steps)
    splitter, by_pieces = Splitter(boundary=boundary), Splitter(boundary=boundary)
    exact = [i + 1 for i, character in enumerate(text) if splitter.feed(character)]
    assert len(exact) == len(steps) - (not splitter.at_boundary and bool(text))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))) | {0, len(text)})
    found = {end for start, end in pairwise(cuts) if by_pieces.feed(text[start:end])}
    assert found == {next(cut for cut in cuts if cut >= place) for place in exact}
    assert by_pieces.at_boundary == splitter.at_boundary == Splitter(text, boundary).at_boundary


@pytest.mark.parametrize(
    ("stored", "boundary"),
    [("line", Boundary.LINE), (r"\n---\n", Boundary.BLANK_LINE), (["("], Boundary.BLANK_LINE)],
)
def test_a_boundary_that_is_not_known_is_a_blank_line(stored, boundary):
    assert recorded_boundary({"boundary": stored}) is boundary


@pytest.mark.parametrize(
    ("is_end", "texts"),
    [
        (True, ["It is four.", "Really?", "Yes!", "“Four.”", "So it is 4. ", "一。", "line\n", "is 7!"]),
        (False, ["It is 3.", "It is", "four,", "", "f(x)", "See e.g.", "by eq. ", "i.", "Dr."]),
    ],
)
def test_a_decimal_point_a_comma_or_an_abbreviation_ends_no_sentence(is_end, texts):
    assert [ends_sentence(text) for text in texts] == [is_end] * len(texts)
