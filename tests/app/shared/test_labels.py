"""The bill in words."""

from dataclasses import replace

import pytest

from baton_reasoning.app.shared.format import money, size
from baton_reasoning.app.shared.labels import bill_facts, bill_text, bills_of
from baton_reasoning.core.engines.usage import RequestUsage, Usage
from baton_reasoning.core.run import Pair
from tests.fakes.scripted import ScriptedEngine

COST = RequestUsage(
    2, sent=5310, reused=5120, read=190, written=84, bytes_sent=2048, bytes_received=1024, seconds_waited=1.25
)


def test_all_of_it_in_a_line() -> None:
    assert bill_text(Usage(COST, 0.0021, "EUR")) == (
        "2 requests, 5,310 tokens sent, 5,120 of them reused, 190 read, 84 written, 3.0 KiB, 1.2 s waited, 0.0021 EUR"
    )


def test_a_single_request_is_not_in_the_plural() -> None:
    assert bill_text(Usage(RequestUsage(1))).startswith("1 request, ")


def test_without_prices_no_money_is_named() -> None:
    assert money(0, "") == ""
    assert bill_text(Usage(COST)).endswith("waited")
    assert dict(bill_facts(Usage(COST)))["Money"] == "no prices are known"


def test_what_was_not_counted_is_about() -> None:
    estimated = Usage(replace(COST, estimated=True))
    assert "about 5,310 tokens sent" in bill_text(estimated)
    assert dict(bill_facts(estimated))["Read"] == "about 190 tokens"


@pytest.mark.parametrize(("number", "words"), [(412, "412 B"), (3584, "3.5 KiB"), (1_258_291, "1.2 MiB")])
def test_sizes(number: int, words: str) -> None:
    assert size(number) == words


def test_models_on_this_machine_have_no_bill() -> None:
    assert list(bills_of(Pair(ScriptedEngine("a"), None))) == []
