"""What to expect of two models: of some that were never loaded, by one that ran here; and where a pair hardly pays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.engines.base import ModelCard, Placement
from baton_reasoning.core.model_costs import ModelCost, ModelCosts
from baton_reasoning.core.models.gguf import GgufHeader, read_header
from baton_reasoning.core.models.options import ThinkingTags
from baton_reasoning.core.run import Pair
from baton_reasoning.core.words.speed import (
    bytes_per_second,
    estimate_from_sizes,
    speed_of_files,
    speed_of_pair,
)
from tests.fakes.scripted import ScriptedEngine

PLACED = Placement((), 512, 1, "f16")


def test_the_rate_of_a_machine_is_that_of_the_largest_model_that_was_measured(tmp_path):
    costs, headers = ModelCosts(tmp_path / "costs.json"), [read_header(SMALL_MODEL), read_header(LARGE_MODEL)]
    assert bytes_per_second(headers, costs) is None
    for path, decode in ((SMALL_MODEL, 0.5), (LARGE_MODEL, 0.1)):
        costs.keep(ModelCard("demo", "", 1024, path=path), ModelCost(decode=decode, further=0.1, prefill=0.01))
    assert bytes_per_second(headers, costs) == pytest.approx(headers[1].active_bytes / 0.1)


def header(parameters: float, *, is_reasoner: bool) -> GgufHeader:
    tags = ThinkingTags("<think>", "</think>") if is_reasoner else None
    return replace(read_header(SMALL_MODEL), parameters=int(parameters), thinking_tags=tags)


SLOW, GAP = (
    "The large model alone is likely as fast, and at least as accurate.",
    "So small a model may get nothing right",
)


@pytest.mark.parametrize(("small_bytes", "is_said"), [(1, False), (7, False), (8, True), (12, True)])
def test_it_is_said_where_a_pair_of_these_sizes_is_hardly_faster_than_its_large_model(small_bytes, is_said):
    assert (SLOW in estimate_from_sizes(small_bytes, 10)) is is_said


@pytest.mark.parametrize(("small", "is_said"), [(0.1, False), (0.9, True)])
def test_it_is_said_where_the_measured_costs_predict_it(tmp_path, small, is_said):
    costs = ModelCosts(tmp_path / "costs.json")
    cards = [ModelCard("demo", "", 1024, path=path, placement=PLACED) for path in (SMALL_MODEL, LARGE_MODEL)]
    for card, decode in zip(cards, (small, 1.0), strict=True):
        costs.keep(card, ModelCost(decode=decode, further=decode, prefill=decode / 10))
    assert (SLOW in speed_of_files(read_header(SMALL_MODEL), read_header(LARGE_MODEL), costs)) is is_said
    loaded = Pair(*(ScriptedEngine().with_card(placement=PLACED, path=card.path) for card in cards))
    assert (SLOW in speed_of_pair(loaded, costs)) is is_said


@pytest.mark.parametrize(
    ("small", "large", "is_reasoner", "is_said"),
    [
        (1.5e9, 32e9, True, False),
        (1.5e9, 7e9, False, False),
        (1.5e9, 14e9, False, True),
        (0.6e9, 4e9, True, False),
        (0.27e9, 1.5e9, True, True),
        (0, 32e9, False, False),
    ],
    ids=["a reasoner", "a narrow gap", "a wide gap", "a small reasoner", "a tiny one", "not known"],
)
def test_it_is_said_where_the_small_model_may_get_nothing_right(small, large, is_reasoner, is_said, tmp_path):
    costs = ModelCosts(tmp_path / "costs.json")
    one, other = header(small, is_reasoner=is_reasoner), header(large, is_reasoner=True)
    assert (GAP in speed_of_files(one, other, costs)) is is_said
    engines = []
    for path, each, decode in ((SMALL_MODEL, one, 0.1), (LARGE_MODEL, other, 1.0)):
        card = {"path": path, "parameters": each.parameters, "thinking": each.thinking_tags, "placement": PLACED}
        engines.append(ScriptedEngine().with_card(**card))
        costs.keep(engines[-1].card, ModelCost(decode=decode, further=decode, prefill=0))
    assert (GAP in speed_of_pair(Pair(*engines), costs)) is is_said, "the same in the terminal, of a loaded pair"
