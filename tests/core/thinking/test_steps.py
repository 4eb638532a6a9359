"""Where steps end, wherever tokens split the text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.thinking.steps import (
    BOUNDARY,
    MOST_REPEATS,
    Decoder,
    Splitter,
    boundary_pattern,
    ends_sentence,
    split,
)


def boundaries(pieces: list[str]) -> list[int]:
    """Indices of the pieces that complete a boundary."""
    splitter = Splitter()
    return [index for index, piece in enumerate(pieces) if splitter.feed(piece)]


@pytest.mark.parametrize(
    "pieces",
    [
        ["One.", "\n\n", "Two"],
        ["One", ".\n\n", "Two"],
        ["One.", "\n \n", "Two"],
        ["One.", "\n\t \n", "Two"],
        ["One.", "\r\n\r\n", "Two"],
        ["One.", "\n\n\n", "Two"],
        ["One.", "\n\n\n\n", "Two"],
        ["One.", "\n\nTwo", " three"],
        ["One.", " \n\n", "Two"],
    ],
)
def test_a_boundary_is_two_newlines_with_blanks_or_more_newlines_between(pieces: list[str]) -> None:
    assert boundaries(pieces) == [pieces.index(next(p for p in pieces if "\n" in p))]


def test_a_boundary_may_be_split_across_tokens() -> None:
    assert boundaries(["One.", "\n", "\n", "Two"]) == [2]
    assert boundaries(["One.", "\n", " ", "\n", "Two"]) == [3]
    assert boundaries(["One.", "\r", "\n", "\r", "\n", "Two"]) == [4]


def test_white_space_after_a_boundary_makes_no_second_one() -> None:
    assert boundaries(["One.\n\n", "\n", "\n\n", "Two"]) == [0]


def test_one_newline_or_leading_newlines_make_no_boundary() -> None:
    assert boundaries(["One.", "\n", "Two.", "\n", "Three"]) == []
    assert boundaries(["\n\n", "\n", "One"]) == []


def test_a_splitter_goes_on_from_a_text() -> None:
    assert Splitter("One.\n").feed("\n")
    assert not Splitter("One.\n\n").feed("\n")
    assert Splitter("One.\n\n").at_boundary
    assert not Splitter("").at_boundary


TEXTS = st.text(alphabet="ab. \t\r\n\u00a0é", max_size=40)


@given(TEXTS, st.data())
def test_every_tokenisation_of_a_text_gives_the_same_steps(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))) | {0, len(text)})
    pieces = [text[a:b] for a, b in pairwise(cuts)]
    by_pieces, by_characters = Splitter(), Splitter()
    found = {end for end, piece in zip(cuts[1:], pieces, strict=True) if by_pieces.feed(piece)}
    exact = [i + 1 for i, character in enumerate(text) if by_characters.feed(character)]
    assert found == {next(cut for cut in cuts if cut >= place) for place in exact}
    assert by_pieces.at_boundary == by_characters.at_boundary


@given(TEXTS)
def test_the_steps_of_a_text_are_the_text_and_end_where_the_splitter_says(text: str) -> None:
    steps = split(text)
    assert "".join(steps) == text
    splitter = Splitter()
    found = sum(splitter.feed(character) for character in text)
    assert found == len(steps) - (not splitter.at_boundary and bool(text))


@given(st.text(), st.data())
def test_characters_split_across_tokens_come_whole(text: str, data: st.DataObject) -> None:
    raw = text.encode("utf-8", errors="ignore")
    cuts = sorted(data.draw(st.sets(st.integers(0, len(raw)))) | {0, len(raw)})
    decoder = Decoder()
    assert "".join(decoder.feed(raw[a:b]) for a, b in pairwise(cuts)) == raw.decode()
    assert not decoder.inside_character


def test_a_decoder_says_that_it_is_inside_a_character() -> None:
    decoder = Decoder()
    assert decoder.feed("é".encode()[:1]) == ""
    assert decoder.inside_character
    assert decoder.feed("é".encode()[1:]) == "é"
    assert not decoder.inside_character


@pytest.mark.parametrize(
    "text", ["It is four.", "Really?", "Yes!", "“Four.”", "So it is 4. ", "一。", "line\n", "is 7!"]
)
def test_ends_of_sentences(text: str) -> None:
    assert ends_sentence(text)


@pytest.mark.parametrize("text", ["It is 3.", "It is", "four,", "", "f(x)"])
def test_a_decimal_point_or_a_comma_ends_no_sentence(text: str) -> None:
    assert not ends_sentence(text)


# Other boundaries


@pytest.mark.parametrize(
    ("boundary", "text", "steps"),
    [
        (r"\n", "One.\nTwo.\n\nThree", ["One.\n", "Two.\n\n", "Three"]),
        (r"[.!?]\s", "One is 1.5. Two! Three", ["One is 1.5. ", "Two! ", "Three"]),
        (r"\n---\n", "One\n\nTwo\n---\nThree", ["One\n\nTwo\n---\n", "Three"]),
        (r"\n|[.;]\s+", "One; two\nThree", ["One; ", "two\n", "Three"]),
        (r"\s(?=Wait)", "One. Wait, no. Wait", ["One. ", "Wait, no. ", "Wait"]),
        (r"xyz|y", "axyz b", ["axy", "z b"]),
        (r"[^a]+", "aaxyza", ["aax", "yz", "a"]),
    ],
)
def test_another_boundary_pattern_ends_steps_elsewhere(boundary: str, text: str, steps: list[str]) -> None:
    assert split(text, boundary) == steps
    splitter = Splitter(boundary=boundary)
    assert sum(splitter.feed(character) for character in text) == len(steps) - 1


@pytest.mark.parametrize(
    ("boundary", "reason"),
    [
        ("(", "no regular expression"),
        ("x{99999999999}", "no regular expression"),
        ("(" * 20_000, "too long"),
        ("", "is empty"),
        (" ", "is empty"),
        *(
            (slow, "too long")
            for slow in (r"(x+)+\n", "(x|x)*y", "x*x*y", "x?x?y", "(?=x+x+)", r"(x)\1", "x{9}", "y" * 101)
        ),
        *(
            (empty, "match nothing")
            for empty in ("x*", r"[\s\S]*", "x?", "a|", "|a", "x|y*", "(?=x)", "^", "$", r"\b", r"\Z", r"\x41?", "x$")
        ),
    ],
)
def test_a_boundary_that_cannot_be_used_is_refused_with_an_example(boundary: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as refused:
        Splitter(boundary=boundary)
    assert BOUNDARY in refused.value.advice


def test_a_long_step_is_searched_at_its_end_only() -> None:
    splitter = Splitter("word " * 10_000)
    assert not splitter.feed("\n")
    assert splitter.feed("\n")
    assert splitter.at_boundary


def is_accepted(boundary: str) -> bool:
    try:
        Splitter(boundary=boundary)
    except SettingsError:
        return False
    return True


ITEMS = st.sampled_from(["a", "x", ".", r"\.", r"\n", r"\s", r"\S", "[ab]", "[^x]", r"[\s\S]", r"\x61", r"\b", "^"])
ALTERNATIVES = st.tuples(
    st.lists(ITEMS, max_size=3).map("".join),
    st.sampled_from(["", "x*", "x+", "x?", r"\s+", r"[^\n]*", "[ab]+", ".?"]),
    st.lists(ITEMS, max_size=3).map("".join),
    st.sampled_from(["", "", "", "(?=a)", r"(?=x\n)"]),
).map("".join)
PATTERNS = st.lists(ALTERNATIVES, min_size=1, max_size=3).map("|".join).filter(is_accepted)


@given(PATTERNS, st.text(alphabet="abx. \n", max_size=60), st.data())
def test_any_accepted_pattern_gives_the_same_steps_in_a_finished_and_a_growing_text(
    boundary: str, text: str, data: st.DataObject
) -> None:
    steps = split(text, boundary)
    assert "".join(steps) == text
    assert all(steps)
    splitter, by_pieces = Splitter(boundary=boundary), Splitter(boundary=boundary)
    exact = [i + 1 for i, character in enumerate(text) if splitter.feed(character)]
    assert len(exact) == len(steps) - (not splitter.at_boundary and bool(text))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))) | {0, len(text)})
    found = {end for start, end in pairwise(cuts) if by_pieces.feed(text[start:end])}
    assert found == {next(cut for cut in cuts if cut >= place) for place in exact}


@given(PATTERNS, st.text(alphabet="abx. \n", max_size=60))
def test_no_accepted_pattern_matches_nothing(boundary: str, text: str) -> None:
    assert all(found.group() for found in boundary_pattern(boundary).finditer(text))


def test_a_repetition_has_a_bound_so_that_a_search_takes_linear_time() -> None:
    pattern = boundary_pattern(r"x+y|[\s*]*z")
    assert pattern.fullmatch("x" * MOST_REPEATS + "y")
    assert not pattern.fullmatch("x" * (MOST_REPEATS + 1) + "y")
    assert pattern.fullmatch("* *z")


def test_a_boundary_is_found_wherever_it_lies_in_a_long_text() -> None:
    text = "word " * 1_999 + "words\n" + "word " * 2_000
    assert split(text, r"s\s+w") == [text[:10_002], text[10_002:]]
