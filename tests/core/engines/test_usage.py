"""Sums of what servers report stay within what is stored and exported."""

from __future__ import annotations

from functools import reduce

import pytest
from pydantic import ValidationError

from baton_reasoning.core.engines.usage import MOST_COUNTED, MOST_MEASURED, Prices, RequestUsage, Usage


def test_sums_are_of_each_count():
    one = RequestUsage(1, 2, 3, 4, 5, 6, 7, 8, 9, 0.5)
    assert one.plus(one) == RequestUsage(2, 4, 6, 8, 10, 12, 14, 16, 18, 1.0)
    assert one.plus(RequestUsage(estimated=True)).estimated


def test_sums_end_at_the_bounds_of_what_can_be_read_again():
    reported = Usage(RequestUsage(sent=2**53, read=2**53, seconds_waited=1e12), 1e12, "EUR")
    total = reduce(Usage.plus, [reported] * 600, Usage())
    assert (total.cost.sent, total.cost.read) == (MOST_COUNTED, MOST_COUNTED)
    assert (total.cost.requests, total.cost.seconds_waited, total.money) == (600, MOST_MEASURED, MOST_MEASURED)


def test_a_price_is_a_finite_number():
    with pytest.raises(ValidationError):
        Prices(read=float("inf"))
