"""What to expect of two models: of some that were never loaded, by one that ran here; and where a pair hardly pays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.engines.base import ModelCard, Placement
from baton_reasoning.core.model_costs import ModelCost, ModelCosts
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.run import Pair
from baton_reasoning.core.words.speed import (
    bytes_per_second,
    estimate_from_sizes,
    speed_of_files,
    speed_of_pair,
)
from tests.fakes.scripted import THINK, ScriptedEngine

PLACED = Placement((), 512, 1, "f16")


def test_the_rate_of_a_machine_is_that_of_the_largest_model_that_was_measured(tmp_path):
    costs, headers = ModelCosts(tmp_path / "costs.json"), [read_header(SMALL_MODEL), read_header(LARGE_MODEL)]
    assert bytes_per_second(headers, costs) is None
    for path, decode in ((SMALL_MODEL, 0.5), (LARGE_MODEL, 0.1)):
        costs.keep(ModelCard("demo", "", 1024, path=path), ModelCost(decode=decode, further=0.1, prefill=0.01))
    assert bytes_per_second(headers, costs) == pytest.approx(headers[1].active_bytes / 0.1)


@pytest.mark.parametrize(("small", "is_said"), [(1, False), (7, False), (8, True), (12, True)])
def test_it_is_said_where_sizes_or_measured_costs_predict_a_pair_hardly_faster_than_its_large_model(
    tmp_path, small, is_said
):
    costs = ModelCosts(tmp_path / "costs.json")
    slow = "The large model alone is likely as fast, and at least as accurate."
    assert (slow in estimate_from_sizes(small, 10)) is is_said
    engines = [ScriptedEngine().with_card(placement=PLACED, path=path) for path in (SMALL_MODEL, LARGE_MODEL)]
    assert speed_of_pair(Pair(*engines), costs) == speed_of_pair(Pair(engines[0]), costs) == ""
    for engine, decode in zip(engines, (small, 10), strict=True):
        costs.keep(engine.card, ModelCost(decode=decode, further=decode, prefill=decode / 10))
    for said in (
        speed_of_files(read_header(SMALL_MODEL), read_header(LARGE_MODEL), costs),
        speed_of_pair(Pair(*engines), costs),
    ):
        assert (slow in said) is is_said
        assert said.startswith("Large alone about 0.1 tok/s; ")


@pytest.mark.parametrize(
    ("small", "large", "is_reasoner", "is_said"),
    [
        (1.5e9, 32e9, True, False),
        (1.5e9, 7e9, False, False),
        (1.5e9, 14e9, False, True),
        (0.6e9, 4e9, True, False),
        (0.27e9, 1.5e9, True, True),  # too small whatever it was trained for
        (0, 32e9, False, False),  # of no known size
    ],
)
def test_it_is_said_where_the_small_model_may_get_nothing_right(small, large, is_reasoner, is_said, tmp_path):
    costs, engines, headers = ModelCosts(tmp_path / "costs.json"), [], []
    of_small, of_large = (SMALL_MODEL, small, is_reasoner, 0.1), (LARGE_MODEL, large, True, 1.0)
    for path, parameters, reasons, decode in (of_small, of_large):
        tags = THINK if reasons else None
        headers.append(replace(read_header(SMALL_MODEL), parameters=int(parameters), thinking_tags=tags))
        card = {"path": path, "parameters": int(parameters), "thinking": tags, "placement": PLACED}
        engines.append(ScriptedEngine().with_card(**card))
        costs.keep(engines[-1].card, ModelCost(decode=decode, further=decode, prefill=0))
    gap = "So small a model may get nothing right"
    assert (gap in speed_of_files(*headers, costs)) is is_said
    assert (gap in speed_of_pair(Pair(*engines), costs)) is is_said, "the same in the terminal, of a loaded pair"
