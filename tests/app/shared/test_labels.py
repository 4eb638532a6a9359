"""The bill in words, and what the steps of an answer are worth."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from app.shared.format import money, size
from app.shared.labels import bill_facts, bill_text, bills_of, value_sentences
from core.engines.usage import RequestUsage, Usage
from core.run import Pair
from core.thinking.values import StepValues, TextPlace
from tests.fakes.scripted import ScriptedEngine
from tests.fakes.valued import RESCUED, STEP, a_valued_run

COST = RequestUsage(
    2, sent=5310, reused=5120, read=190, written=84, bytes_sent=2048, bytes_received=1024, seconds_waited=1.25
)


def test_all_of_it_in_a_line() -> None:
    assert bill_text(Usage(COST, 0.0021, "EUR")) == (
        "2 requests, 5,310 tokens sent, 5,120 of them reused, 190 read, 84 written, 3.0 KiB, 1.2 s waited, 0.0021 EUR"
    )


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


def said(right: Mapping[TextPlace, int], *, is_expected: bool = True) -> list[str]:
    trace = a_valued_run(right, is_expected=is_expected)
    values = StepValues.of(trace)
    assert values
    return value_sentences(trace, values)


def test_the_turn_and_the_large_models_part_are_named() -> None:
    assert said(RESCUED) == [
        "The turn: step 2, Wait, maybe → Step 1 goes",
        "large wrote 43%, brought 100% of the gain",
    ]


def test_what_lowered_the_value_is_lost_only_where_the_answer_was_likely_before() -> None:
    assert said({TextPlace(0): 16, TextPlace(STEP): 1}) == ["Lost at step 1: Step 0 goes on."]
    assert said({TextPlace(0): 16, TextPlace(STEP): 9}) == ["Fell most at step 1: Step 0 goes on."]
    assert said({TextPlace(0): 16, TextPlace(2 * STEP): 0}) == ["Lost at steps 1 to 2"]


def test_a_rise_without_a_takeover_is_a_turn_too() -> None:
    sentences = said({TextPlace(0): 0, TextPlace(STEP): 16})
    assert sentences == ["The turn: step 1: Step 0 goes on.", "large wrote 43%, brought 0% of the gain"]
    assert said({TextPlace(0): 0, TextPlace(STEP): 7})[0].startswith("Rose most at step 1")


def test_agreement_is_said_to_be_no_proof_and_chance_to_be_chance() -> None:
    agreement, chance = said({TextPlace(0): 8, TextPlace(STEP): 9}, is_expected=False)
    assert agreement.endswith("this answer's own, 4, which is no proof that it is right.")
    assert chance == "No step changed the value beyond chance."
