"""Which tokens count for a choice of a judgement."""

from __future__ import annotations

import math

import pytest

from baton_reasoning.core.engines.base import Alternative, first_tokens
from baton_reasoning.core.engines.remote.protocol import judgement_of

BLANK, ONE, FOUR, FIVE, SPACED = 0, 1, 4, 5, 6


def test_a_choice_may_be_written_with_or_without_a_blank():
    ids = {"yes": (ONE,), " yes": (SPACED,), "no": (FOUR,), " no": (FIVE,)}
    assert first_tokens(("yes", "no"), ids.__getitem__) == [{ONE, SPACED}, {FOUR, FIVE}]


def test_a_blank_that_begins_every_digit_counts_for_none():
    ids = {"4": (FOUR,), " 4": (BLANK, FOUR), "5": (FIVE,), " 5": (BLANK, FIVE)}
    assert first_tokens(("4", "5"), ids.__getitem__) == [{FOUR}, {FIVE}]


def test_choices_that_begin_alike_keep_what_they_share():
    ids = {"1": (ONE,), " 1": (SPACED,), "15": (ONE, FIVE), " 15": (SPACED, FIVE), "4": (FOUR,), " 4": (BLANK, FOUR)}
    assert first_tokens(("1", "15", "4"), ids.__getitem__) == [{ONE, SPACED}, {ONE, SPACED}, {FOUR, BLANK}]


def alternatives(**chances: float) -> list[Alternative]:
    return [Alternative(None, text.replace("_", " "), math.log(chance)) for text, chance in chances.items()]


def test_a_servers_alternatives_count_for_the_one_choice_that_begins_with_them():
    judged = judgement_of(alternatives(y=0.2, _yes=0.2, n=0.1, _=0.4), ("yes", "no"))
    assert judged.probabilities == pytest.approx((0.8, 0.2))
    assert judged.mass == pytest.approx(0.5)
    shared = judgement_of(alternatives(b=0.5, bad=0.1, best=0.3), ("bad", "best"))
    assert shared.probabilities == pytest.approx((0.25, 0.75)), "“b” may become either"


def test_the_mass_is_what_the_choices_weigh_without_their_bias():
    bias, mass = 10.0, 0.003
    biased = mass * math.exp(bias) / (mass * math.exp(bias) + 1 - mass)
    judged = judgement_of(alternatives(yes=biased / 4, no=biased * 3 / 4, so=1 - biased), ("yes", "no"), bias)
    assert judged.probabilities == pytest.approx((0.25, 0.75))
    assert judged.mass == pytest.approx(mass)
