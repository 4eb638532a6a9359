"""Estimated times are rough, and texts that begin alike are distinguished by where they differ."""

from __future__ import annotations

import pytest

from baton_reasoning.core.words.numbers import LONGEST_PROBLEM, distinguished, in_brief, rough_duration, shared_opening


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.44, "0.4 s"), (8.7, "9 s"), (45.4, "45 s"), (130, "2 min"), (5940, "99 min"), (9000, "2.5 h")],
)
def test_an_estimated_time_is_rough(seconds, words):
    assert rough_duration(seconds) == words


def test_a_long_opening_is_left_out_where_texts_differ():
    opening = "What is the sum of the first"
    assert distinguished([f"{opening} 10 primes?", "Hello", f"{opening} 20 primes?"]) == [
        "What is … 10 primes?",
        "Hello",
        "What is … 20 primes?",
    ]


def test_each_text_is_cut_by_the_one_most_like_it():
    texts = ["Name a city in northern Italy", "Name a city in northern Spain", "Name a city in the south"]
    assert distinguished(texts) == ["Name a … Italy", "Name a … Spain", texts[2]]


def test_a_long_problem_is_cut_between_words_where_it_has_any():
    assert in_brief("word " * LONGEST_PROBLEM).startswith("word word")
    assert in_brief("x" * 2 * LONGEST_PROBLEM) == f"{'x' * (LONGEST_PROBLEM // 3)} … {'x' * (LONGEST_PROBLEM // 2)}"


def test_equal_and_short_texts_stay_as_they_are():
    assert distinguished(["How many fish are there in it?"] * 2) == ["How many fish are there in it?"] * 2
    assert distinguished(["How many fish?", "How many cats?"]) == ["How many fish?", "How many cats?"]
    assert distinguished([]) == []


def test_the_shared_opening_ends_between_words():
    assert shared_opening(["the opening words ab", "the opening words ac"]) == len("the opening words ")
    assert shared_opening(["short ab", "short ac"]) == 0
