"""The model of the cost agrees with sums done by hand, with its limits, and with how drafts are chosen."""

from __future__ import annotations

import pytest

from baton_reasoning.core.engines.base import Passing
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.local.draft_gain import LENGTHS
from baton_reasoning.core.engines.local.drafting import DraftLength
from baton_reasoning.core.engines.model_card import ModelCard
from baton_reasoning.core.expected_time import (
    ModelCost,
    drafted_seconds,
    expected_speed,
    pair_seconds,
    seconds_of_large_alone,
)
from baton_reasoning.core.models.source import DemoModel, ModelSource, ServerUrls
from baton_reasoning.core.thinking.events import Event, HandedOver, RunStarted, TokenWritten
from baton_reasoning.core.thinking.trace import Trace

SMALL = ModelCost(decode=0.02, further=0.01, prefill=0.002)
LARGE = ModelCost(decode=0.2, further=0.02, prefill=0.03)


def test_the_speeds_of_large_alone_drafted_and_the_pair_are_those_computed_by_hand() -> None:
    speed = expected_speed(SMALL, LARGE, share=0.25)
    assert speed.large == pytest.approx(5)
    # 3 drafts of 0.04 s pay best: (1 − 0.7^4) / 0.3 tokens in 0.2 + 0.12 s.
    assert speed.drafted == pytest.approx(2.533 / 0.32)
    # 0.75 × 0.02 written and 0.25 × 0.002 read by the small one, 0.25 × 0.2 and 0.75 × 0.03 by the large one
    assert speed.pair == pytest.approx(1 / (0.015 + 0.0005 + 0.05 + 0.0225))


def test_at_a_share_of_0_the_pair_is_the_small_model_that_is_read_and_at_1_the_large_one() -> None:
    assert pair_seconds(SMALL, LARGE, 0) == pytest.approx(SMALL.decode + LARGE.prefill)
    assert pair_seconds(SMALL, LARGE, 1) == pytest.approx(LARGE.decode + SMALL.prefill)


@pytest.mark.parametrize("acceptance", [0.2, 0.7, 1.0])
def test_drafts_are_predicted_as_they_are_chosen(acceptance: float) -> None:
    length = DraftLength(acceptance, LARGE.decode, LARGE.further + SMALL.decode)
    assert 1 / drafted_seconds(SMALL, LARGE, acceptance) == pytest.approx(max(map(length.speed, LENGTHS)))


def test_where_drafts_do_not_pay_the_large_model_writes_without() -> None:
    assert drafted_seconds(LARGE, LARGE) == LARGE.decode
    assert drafted_seconds(SMALL, LARGE, acceptance=0) == LARGE.decode


def test_costs_estimated_from_sizes_have_the_ratio_of_the_sizes() -> None:
    small, large = ModelCost.relative(1e9), ModelCost.relative(4e9)
    assert large.decode / small.decode == 4
    assert pair_seconds(small, large, 0.2) / large.decode == pytest.approx(0.2 + 0.8 / 4 + 0.8 * 0.1 + 0.2 * 0.1 / 4)


def token(author: Author, at: float, drafted: bool = False, rejected: int = 0) -> Event:
    return TokenWritten(at, author, 1, "a", drafted=drafted, rejected_drafts=rejected)


def card(source: ModelSource | None = None) -> ModelCard:
    return ModelCard("a model", "", 1000, source)


def trace_of(*events: Event, large: ModelCard | None = None) -> Trace:
    started = RunStarted(0.0, (), "keywords", {}, 0, card(), large or card(), prompt_tokens=100, thinking=True)
    return Trace.of([started, *events])


def handed_over(author: Author, at: float, read: int, seconds: float) -> Event:
    return HandedOver(at, author, 0, read, seconds, Passing.IDS)


SMALL_WRITES = (handed_over(Author.SMALL, 1.0, 100, 1.0), *(token(Author.SMALL, 1.1) for _ in range(30)))
LARGE_WRITES = (
    handed_over(Author.LARGE, 5.0, 130, 3.9),
    token(Author.LARGE, 5.0),
    *(token(Author.LARGE, 5.0 + 0.3 * number) for number in range(1, 10)),
)


def test_what_the_large_model_alone_would_have_taken_follows_from_its_decodes_in_the_run() -> None:
    """Its first token came from the decode that read, so ten tokens are nine decodes of 0.3 s."""
    found = seconds_of_large_alone(trace_of(*SMALL_WRITES, *LARGE_WRITES), cost=LARGE)
    assert found == pytest.approx(40 * 0.3 + 100 * 3.9 / 130)


def test_the_measured_cost_is_taken_where_the_large_model_wrote_too_little_or_with_drafts() -> None:
    few = trace_of(*SMALL_WRITES, *LARGE_WRITES[:5])
    assert seconds_of_large_alone(few) is None
    assert seconds_of_large_alone(few, LARGE) == pytest.approx(34 * 0.2 + 100 * 0.03)
    drafted = trace_of(*LARGE_WRITES, token(Author.LARGE, 8.0, drafted=True))
    assert seconds_of_large_alone(drafted) is None
    assert seconds_of_large_alone(drafted, LARGE) == pytest.approx(11 * 0.2 + 100 * 0.03)


def test_a_model_on_a_server_is_judged_by_the_run_alone() -> None:
    on_server = card(ServerUrls(("http://localhost:1",)))
    assert seconds_of_large_alone(trace_of(*SMALL_WRITES, *LARGE_WRITES, large=on_server))


def test_nothing_is_said_of_the_demo_pair_nor_where_one_model_was_alone() -> None:
    assert seconds_of_large_alone(trace_of(*SMALL_WRITES, *LARGE_WRITES, large=card(DemoModel.LARGE)), LARGE) is None
    assert seconds_of_large_alone(trace_of(*LARGE_WRITES), LARGE) is None
    assert seconds_of_large_alone(trace_of(*SMALL_WRITES), LARGE) is None
    assert seconds_of_large_alone(Trace(), LARGE) is None
