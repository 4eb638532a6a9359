"""What to expect of two models that were never loaded, by one that ran here."""

from __future__ import annotations

from pathlib import Path

import pytest

from baton_reasoning.app.shared.expected_speed import bytes_per_second, speed_from_sizes
from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.engines.model_card import ModelCard
from baton_reasoning.core.expected_time import ModelCost
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.models.gguf import read_header


def test_the_rate_of_a_machine_is_that_of_the_largest_model_that_was_measured(tmp_path: Path) -> None:
    costs, headers = ModelCosts(tmp_path / "costs.json"), [read_header(SMALL_MODEL), read_header(LARGE_MODEL)]
    assert bytes_per_second(headers, costs) is None
    for path, decode in ((SMALL_MODEL, 0.5), (LARGE_MODEL, 0.1)):
        costs.keep(ModelCard("demo", "", 1024, path=path), ModelCost(decode=decode, further=0.1, prefill=0.01))
    assert bytes_per_second(headers, costs) == pytest.approx(headers[1].active_bytes / 0.1)


def test_a_pair_is_as_fast_as_its_bytes_are_read() -> None:
    text = speed_from_sizes(10**9, 4 * 10**9, rate=8e9)
    assert text.startswith("Large alone about 2.0 tok/s; pair about ")
    assert text.endswith(" at a large share of 20%. Estimated from a model that ran here.")
