"""What a model costs is measured beside what it writes, and kept until its file or how it is loaded changes."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from baton_reasoning.core.demo_pair import LARGE_MODEL
from baton_reasoning.core.engines.base import Conversation, Message, Session, Token, ignore
from baton_reasoning.core.engines.local.client import LocalEngine
from baton_reasoning.core.engines.model_card import ModelCard
from baton_reasoning.core.expected_time import ModelCost
from baton_reasoning.core.model_costs import ModelCosts, measure
from baton_reasoning.core.models.loading import LoadOptions
from baton_reasoning.core.models.overrides import Sampling
from baton_reasoning.core.run import Pair
from tests.fakes.scripted import ScriptedEngine

QUESTION: Conversation = (Message("user", "Which number comes next: 1, 2, 3?"),)
COST = ModelCost(decode=0.02, further=0.01, prefill=0.002)


def test_each_part_of_the_cost_is_measured(demo_pair: Pair) -> None:
    assert demo_pair.large
    found = measure(demo_pair.large, ignore)
    assert found
    assert found.decode > 0
    assert found.further >= 0
    assert found.prefill >= 0


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_text_that_is_written_meanwhile_stays_the_same(parallel: int) -> None:
    with closing(LocalEngine(LARGE_MODEL, LoadOptions(context=1024, threads=1, parallel=parallel))) as engine:

        def written(at_token: dict[int, threading.Thread]) -> list[int | None]:
            session = engine.open(QUESTION, Sampling())
            ids = []
            with closing(session):
                for number, item in enumerate(session.write([], limit=60, seed=3)):
                    if number in at_token:
                        at_token[number].start()
                    if isinstance(item, Token):
                        ids.append(item.id)
            return ids

        alone = written({})
        found: list[ModelCost | None] = []
        measuring = threading.Thread(target=lambda: found.append(measure(engine, ignore)))
        assert written({5: measuring}) == alone
        measuring.join()
        assert found[0], "it waited, or shared the decodes"


def test_a_measurement_that_is_cancelled_finds_nothing_and_makes_room_for_an_answer(demo_pair: Pair) -> None:
    engine = demo_pair.large
    assert engine
    assert measure(engine, lambda session: session.cancel()) is None
    with closing(engine.open(QUESTION, Sampling())) as session:
        assert any(isinstance(item, Token) for item in session.write([], limit=4, seed=1))


def test_a_model_that_writes_hardly_anything_has_no_cost() -> None:
    assert measure(ScriptedEngine("one"), ignore) is None


def test_a_measurement_ends_when_an_answer_begins_in_the_middle() -> None:
    engine: ScriptedEngine = counting(before_token=lambda _: engine.sessions[0].cancel())
    assert measure(engine, ignore) is None


def counting(**more: Any) -> ScriptedEngine:
    return ScriptedEngine(continue_with=lambda *_: " one" * 40, **more)


@pytest.fixture
def loaded(demo_pair: Pair, tmp_path: Path) -> ModelCard:
    """A model that is not the demo's own, as far as its card says."""
    assert demo_pair.large
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    return replace(demo_pair.large.card, source=None, path=file)


def test_a_cost_is_kept_for_the_next_start(loaded: ModelCard, tmp_path: Path) -> None:
    file = tmp_path / "data" / "costs.json"
    assert ModelCosts(file).of(loaded) is None
    ModelCosts(file).keep(loaded, COST)
    assert loaded.path
    assert ModelCosts(file).of(loaded) == ModelCosts(file).of_file(loaded.path) == COST


def test_a_model_that_is_loaded_otherwise_or_has_another_file_is_measured_again(
    loaded: ModelCard, tmp_path: Path
) -> None:
    costs = ModelCosts(tmp_path / "costs.json")
    costs.keep(loaded, COST)
    assert loaded.path
    assert loaded.placement
    assert costs.of(replace(loaded, placement=replace(loaded.placement, threads=7))) is None
    assert costs.of_file(loaded.path) == COST, "as it was loaded last"
    os.utime(loaded.path, ns=(1, 1))
    assert costs.of(loaded) is None
    assert costs.of_file(loaded.path) is None


def test_the_slowest_of_some_models_counts_if_all_are_measured(loaded: ModelCard, tmp_path: Path) -> None:
    costs, other = ModelCosts(tmp_path / "costs.json"), replace(loaded, path=tmp_path / "other.gguf")
    assert other.path
    other.path.write_bytes(b"GGUF")
    costs.keep(loaded, COST)
    assert costs.slowest_decode([loaded]) == COST.decode
    assert costs.slowest_decode([loaded, other]) is None
    costs.keep(other, COST.model_copy(update={"decode": 2 * COST.decode}))
    assert costs.slowest_decode([loaded, other]) == 2 * COST.decode
    assert costs.slowest_decode([]) is None


@pytest.mark.parametrize("damage", ["", "[]", '{"models": 3}', "{"])
def test_a_damaged_file_counts_as_none(loaded: ModelCard, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "costs.json"
    costs = ModelCosts(file)
    file.write_text(damage)
    assert costs.of(loaded) is None
    costs.keep(loaded, COST)
    file.write_text(file.read_text().replace("0.02", "-1"))
    assert costs.of(loaded) is None
    costs.keep(loaded, COST)
    assert costs.of(loaded) == COST


def test_only_models_on_this_machine_that_are_not_the_demos_are_measured_and_each_once(
    demo_pair: Pair, loaded: ModelCard, tmp_path: Path
) -> None:
    costs, opened = ModelCosts(tmp_path / "costs.json"), list[Session]()
    assert demo_pair.large
    real = counting(name="real").with_card(placement=loaded.placement, path=loaded.path)
    on_server = counting(name="server")
    for pair in (demo_pair, Pair(on_server, on_server), Pair(real, real), Pair(real, demo_pair.large)):
        costs.measure(pair, opened.append)
    assert [session.card.name for session in opened] == ["real"]
    assert costs.of(real.card)
