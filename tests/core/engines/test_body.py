"""The text that both models share: cutting it, closing its thinking, and how each model reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.engines.body import Author, Body, Part, parts_before, rendered_runs

TAG = "</think>"


def part(text: str, id: int | None = None, vocabulary: str = "qwen", tag: str = "") -> Part:
    return Part(text, Author.SMALL, id, vocabulary if id is not None else "", tag)


def test_cutting_returns_what_went():
    body = Body([part("One", 1), part(" two", 2), part(" three", 3)])
    assert body.cut(7) == [part(" three", 3)]
    assert (body.text, body.parts) == ("One two", [part("One", 1), part(" two", 2)])


def test_a_token_across_the_cut_stays_as_text_without_its_id():
    body = Body([part("One.", 1), part("\n\nTwo", 2)])
    assert body.cut(6) == [part("Two")._replace(tokens=0)]
    assert body.parts == [part("One.", 1), part("\n\n")]


def test_the_beginning_of_an_unfinished_character_goes_with_a_cut():
    body = Body([part("One", 1), part("", 2)])
    assert body.cut(3) == [part("", 2)]
    assert body.parts == [part("One", 1)]


def test_tokens_whose_text_is_cut_with_the_one_that_completes_it_lose_their_ids():
    body = Body([part("One", 1), part("", 2), part("", 3), part(" two three", 4)])
    body.cut(7)
    assert rendered_runs(body.parts, "qwen", TAG) == [(1,), " two"]


@given(st.lists(st.text(max_size=4), max_size=8), st.data())
def test_a_cut_loses_no_character(texts, data):
    body = Body([part(text, n) for n, text in enumerate(texts)])
    whole = body.text
    length = data.draw(st.integers(0, len(whole)))
    gone = body.cut(length)
    assert body.text == whole[:length] == "".join(p.text for p in body.parts)
    assert "".join(p.text for p in gone) == whole[length:]


def test_a_closing_tag_of_one_token_keeps_its_id():
    body = Body([part("Done.", 1), part(TAG, 2)])
    body.mark_closing(TAG)
    assert body.parts[-1] == part(TAG, 2, tag=TAG)


def test_a_closing_tag_of_several_tokens_joins_into_one_part():
    body = Body([part("Done.", 1), part("</", 2), part("think", 3), part(">\n\n", 4)])
    body.mark_closing(TAG)
    assert body.parts == [part("Done.", 1), part("</think>\n\n", tag=TAG)._replace(tokens=3)]


def test_a_model_of_the_same_vocabulary_reads_ids_and_another_one_text():
    assert rendered_runs([part("One", 1), part(" two", 2)], "qwen", TAG) == [(1, 2)]
    assert rendered_runs([part("One", 1), part(" two", 2)], "llama", TAG) == ["One two"]
    assert rendered_runs([Part("One", Author.SMALL, 1, "")], "", TAG) == ["One"], "an unknown one is like no other"


def test_ids_and_texts_take_turns():
    parts = [part("One", 1), Part(" inserted", Author.INSERTED), part(" text", 9, "llama"), part(" two", 2)]
    assert rendered_runs(parts, "qwen", TAG) == [(1,), " inserted text", (2,)]


@pytest.mark.parametrize("vocabulary", ["qwen", "llama"])
def test_each_model_reads_the_close_of_thinking_as_its_own_tag(vocabulary):
    parts = [part("Done.", 1, vocabulary), part("</think>\n\n", 2, vocabulary, TAG), part("4", 3, vocabulary)]
    read = rendered_runs(parts, vocabulary, "[/THINK]")
    assert read == [(1,), "[/THINK]\n\n", (3,)]


def test_a_model_without_tags_reads_what_stands_there():
    parts = [part("Done.", 1), part(TAG, 2, tag=TAG)]
    assert rendered_runs(parts, "llama", "") == ["Done.</think>"]
    assert rendered_runs(parts, "qwen", "") == [(1, 2)]


@given(st.lists(st.text(max_size=4), max_size=8), st.data())
def test_the_parts_before_a_position_are_those_of_a_body_cut_there(texts, data):
    parts = [part(text, n) for n, text in enumerate(texts)]
    body = Body(parts)
    length = data.draw(st.integers(0, len(body) + 1))
    assert "".join(p.text for p in parts_before(parts, length)) == body.text[:length]
    body.cut(length)
    assert body.parts == parts_before(parts, length)
    assert body.text == "".join(p.text for p in body.parts)
