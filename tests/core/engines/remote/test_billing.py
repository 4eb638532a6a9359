"""What servers charge, and how much of them a cap leaves."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from baton_reasoning.core.engines.remote.billing import Cap, Prices, UsageMeter
from baton_reasoning.core.engines.usage import RequestUsage, Usage
from baton_reasoning.core.errors import EngineRefused


def test_a_price_is_a_finite_number_and_all_three_are_charged():
    with pytest.raises(ValidationError):
        Prices(read=float("inf"))
    request = RequestUsage(read=2_000_000, reused=4_000_000, written=8_000_000)
    assert Prices(read=1, reused=0.5, written=3, currency="EUR").charge(request) == Usage(request, 28.0, "EUR")
    assert [Prices(**{name: 1.0}).are_free for name in ("read", "reused", "written")] == [False] * 3
    assert Prices(currency="EUR").are_free


CAPS = st.builds(Cap, tokens=st.integers(0, 90), money=st.integers(0, 90))


@given(CAPS, CAPS, st.integers(0, 50), st.integers(0, 50), st.integers(1, 100))
@example(Cap(tokens=11), Cap(), 5, 5, 2)  # one token is left
def test_no_more_is_allowed_than_each_cap_leaves_of_a_server_and_of_all(cap, cap_of_all, read, written, wanted):
    """A token that is read costs 1, one that is written 2."""
    prices = Prices(read=1e6, written=2e6)
    assert UsageMeter(prices).allowed(10**9) == 10**9, "without a cap all of it is"
    meter = UsageMeter(prices, cap, "one", UsageMeter(prices, cap_of_all, "all"))
    meter.add(RequestUsage(read=read, written=written))
    left = [each.tokens - read - written for each in (cap, cap_of_all) if each.tokens]
    left += [int(max(each.money - read - 2 * written, 0) / 2) for each in (cap, cap_of_all) if each.money]
    tightest = cap.tightest(cap_of_all)
    assert tightest.tokens == min((each.tokens for each in (cap, cap_of_all) if each.tokens), default=0)
    assert tightest.money == min((each.money for each in (cap, cap_of_all) if each.money), default=0)
    if min(left, default=1) < 1:
        with pytest.raises(EngineRefused, match=r"The cap of .* for (one|all) is reached"):
            meter.allowed(wanted)
    else:
        assert meter.allowed(wanted) == min([wanted, *left])
