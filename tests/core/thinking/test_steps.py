"""Where steps end, wherever tokens split the text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.engines.base import Token
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.steps import Boundary, Splitter, ends_sentence, recorded_boundary, split
from baton_reasoning.core.thinking.text import Text, Utf8Decoder


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
def test_a_boundary_is_two_newlines_with_blanks_or_more_newlines_between(pieces):
    assert boundaries(pieces) == [pieces.index(next(p for p in pieces if "\n" in p))]


def test_a_boundary_may_be_split_across_tokens():
    assert boundaries(["One.", "\n", "\n", "Two"]) == [2]
    assert boundaries(["One.", "\n", " ", "\n", "Two"]) == [3]
    assert boundaries(["One.", "\r", "\n", "\r", "\n", "Two"]) == [4]


def test_one_newline_leading_newlines_or_more_white_space_make_no_boundary():
    assert boundaries(["One.\n\n", "\n", "\n\n", "Two"]) == [0]
    assert boundaries(["One.", "\n", "Two.", "\n", "Three"]) == []
    assert boundaries(["\n\n", "\n", "One"]) == []


def test_a_splitter_goes_on_from_a_text():
    assert Splitter("One.\n").feed("\n")
    assert not Splitter("One.\n\n").feed("\n")
    assert Splitter("One.\n\n").at_boundary
    assert not Splitter("").at_boundary


@given(st.text(), st.data())
def test_characters_split_across_tokens_come_whole(text, data):
    raw = text.encode("utf-8", errors="ignore")
    cuts = sorted(data.draw(st.sets(st.integers(0, len(raw)))) | {0, len(raw)})
    decoder = Utf8Decoder()
    assert "".join(decoder.decode(raw[a:b]) for a, b in pairwise(cuts)) == raw.decode()
    assert not decoder.getstate()[0]


def test_a_text_says_that_it_ends_inside_a_character():
    text = Text()
    assert text.append(Token(1, "é".encode()[:1]), Author.SMALL, "") == ("", False)
    assert text.inside_character
    assert text.append(Token(2, "é".encode()[1:]), Author.SMALL, "") == ("é", False)
    assert not text.inside_character


@pytest.mark.parametrize(
    "text", ["It is four.", "Really?", "Yes!", "“Four.”", "So it is 4. ", "一。", "line\n", "is 7!"]
)
def test_ends_of_sentences(text):
    assert ends_sentence(text)


@pytest.mark.parametrize("text", ["It is 3.", "It is", "four,", "", "f(x)"])
def test_a_decimal_point_or_a_comma_ends_no_sentence(text):
    assert not ends_sentence(text)


# Other boundaries


@pytest.mark.parametrize(
    ("boundary", "text", "steps"),
    [
        (Boundary.LINE, "One.\nTwo.\n\nThree", ["One.\n", "Two.\n\n", "Three"]),
        (Boundary.LINE, "One.\n  Two.\n", ["One.\n  ", "Two.\n"]),
        (Boundary.SENTENCE, "One is 1.5. Two! Three", ["One is 1.5. ", "Two! ", "Three"]),
        (Boundary.SENTENCE, "One?\n\nTwo.", ["One?\n\n", "Two."]),
    ],
)
def test_another_boundary_ends_steps_elsewhere(boundary, text, steps):
    assert split(text, boundary) == steps


def test_a_long_step_is_searched_at_its_end_only():
    splitter = Splitter("word " * 10_000)
    assert not splitter.feed("\n")
    assert splitter.feed("\n")
    assert splitter.at_boundary


@given(st.sampled_from(Boundary), st.text(alphabet="ab.? \t\r\n\u00a0", max_size=60), st.data())
def test_a_growing_text_has_the_steps_of_the_finished_one(boundary, text, data):
    steps = split(text, boundary)
    assert "".join(steps) == text
    assert all(steps)
    splitter, by_pieces = Splitter(boundary=boundary), Splitter(boundary=boundary)
    exact = [i + 1 for i, character in enumerate(text) if splitter.feed(character)]
    assert len(exact) == len(steps) - (not splitter.at_boundary and bool(text))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))) | {0, len(text)})
    found = {end for start, end in pairwise(cuts) if by_pieces.feed(text[start:end])}
    assert found == {next(cut for cut in cuts if cut >= place) for place in exact}
    assert by_pieces.at_boundary == splitter.at_boundary


@pytest.mark.parametrize("blanks", [100, 101])
def test_newlines_far_apart_are_no_boundary_however_the_text_is_split(blanks):
    text = f"One.\n{' ' * blanks}\nTwo."
    splitter = Splitter()
    assert [i for i, character in enumerate(text) if splitter.feed(character)] == ([105] if blanks == 100 else [])
    assert len(split(text)) == (2 if blanks == 100 else 1)


@pytest.mark.parametrize(
    ("stored", "boundary"),
    [
        ("line", Boundary.LINE),
        (r"\n[ \t\r]*\n", Boundary.BLANK_LINE),
        (r"\n", Boundary.LINE),
        (r"[.!?]\s", Boundary.SENTENCE),
        (r"\n---\n", None),
        (["("], None),
    ],
)
def test_a_pattern_that_an_earlier_version_stored_is_the_boundary_that_it_meant(stored, boundary):
    assert recorded_boundary({"boundary": stored}) is boundary
