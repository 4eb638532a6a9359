"""What a model costs: the arithmetic agrees with sums done by hand; costs are measured, and kept."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from baton_reasoning.core.demo_pair import LARGE_MODEL
from baton_reasoning.core.engines.base import Conversation, Handoff, Message, ModelCard, Session, Token, ignore
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.local.drafting import LENGTHS, DraftLength
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.model_costs import (
    ModelCost,
    ModelCosts,
    drafted_seconds,
    expected_speed,
    measure,
    pair_seconds,
    seconds_of_large_alone,
)
from baton_reasoning.core.models.options import DemoModel, LoadOptions, ModelSource, Sampling, ServerUrls
from baton_reasoning.core.run import Pair
from baton_reasoning.core.thinking.events import Event, HandedOver, RunStarted, TokenWritten
from baton_reasoning.core.thinking.trace import Trace
from tests.fakes.scripted import ScriptedEngine

SMALL = ModelCost(decode=0.02, further=0.01, prefill=0.002)
LARGE = ModelCost(decode=0.2, further=0.02, prefill=0.03)


def test_the_speeds_of_large_alone_drafted_and_the_pair_are_those_computed_by_hand():
    speed = expected_speed(SMALL, LARGE, share=0.25)
    assert speed.large == pytest.approx(5)
    # 3 drafts of 0.04 s pay best: (1 − 0.7^4) / 0.3 tokens in 0.2 + 0.12 s.
    assert speed.drafted == pytest.approx(2.533 / 0.32)
    # 0.75 × 0.02 written and 0.25 × 0.002 read by the small one, 0.25 × 0.2 and 0.75 × 0.03 by the large one
    assert speed.pair == pytest.approx(1 / (0.015 + 0.0005 + 0.05 + 0.0225))


def test_at_a_share_of_0_the_pair_is_the_small_model_that_is_read_and_at_1_the_large_one():
    assert pair_seconds(SMALL, LARGE, 0) == pytest.approx(SMALL.decode + LARGE.prefill)
    assert pair_seconds(SMALL, LARGE, 1) == pytest.approx(LARGE.decode + SMALL.prefill)


@pytest.mark.parametrize("acceptance", [0.2, 0.7, 1.0])
def test_drafts_are_predicted_as_they_are_chosen(acceptance):
    length = DraftLength(acceptance, LARGE.decode, LARGE.further + SMALL.decode)
    assert 1 / drafted_seconds(SMALL, LARGE, acceptance) == pytest.approx(max(map(length.speed, LENGTHS)))


def test_where_drafts_do_not_pay_the_large_model_writes_without():
    assert drafted_seconds(LARGE, LARGE) == LARGE.decode
    assert drafted_seconds(SMALL, LARGE, acceptance=0) == LARGE.decode


def test_costs_estimated_from_sizes_have_the_ratio_of_the_sizes():
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
    return HandedOver(at, author, Handoff(0, read, seconds))


SMALL_WRITES = (handed_over(Author.SMALL, 1.0, 100, 1.0), *(token(Author.SMALL, 1.1) for _ in range(30)))
LARGE_WRITES = (
    handed_over(Author.LARGE, 5.0, 130, 3.9),
    token(Author.LARGE, 5.0),
    *(token(Author.LARGE, 5.0 + 0.3 * number) for number in range(1, 10)),
)


def test_what_the_large_model_alone_would_have_taken_follows_from_its_decodes_in_the_run():
    """Its first token came from the decode that read, so ten tokens are nine decodes of 0.3 s."""
    found = seconds_of_large_alone(trace_of(*SMALL_WRITES, *LARGE_WRITES), cost=LARGE)
    assert found == pytest.approx(40 * 0.3 + 100 * 3.9 / 130)


def test_the_measured_cost_is_taken_where_the_large_model_wrote_too_little_or_with_drafts():
    few = trace_of(*SMALL_WRITES, *LARGE_WRITES[:5])
    assert seconds_of_large_alone(few) is None
    assert seconds_of_large_alone(few, LARGE) == pytest.approx(34 * 0.2 + 100 * 0.03)
    drafted = trace_of(*LARGE_WRITES, token(Author.LARGE, 8.0, drafted=True))
    assert seconds_of_large_alone(drafted) is None
    assert seconds_of_large_alone(drafted, LARGE) == pytest.approx(11 * 0.2 + 100 * 0.03)
    on_server = card(ServerUrls(("http://localhost:1",)))
    assert seconds_of_large_alone(trace_of(*SMALL_WRITES, *LARGE_WRITES, large=on_server)), "by the run alone"


def test_the_demo_pair_is_estimated_like_any_other():
    written = (*SMALL_WRITES, *LARGE_WRITES)
    of_demo = seconds_of_large_alone(trace_of(*written, large=card(DemoModel.LARGE)))
    assert of_demo == seconds_of_large_alone(trace_of(*written))


def test_nothing_is_said_where_one_model_was_alone():
    assert seconds_of_large_alone(trace_of(*LARGE_WRITES), LARGE) is None
    assert seconds_of_large_alone(trace_of(*SMALL_WRITES), LARGE) is None
    assert seconds_of_large_alone(Trace(), LARGE) is None


# Costs are measured beside what is written, and kept until the file or how it is loaded changes


QUESTION: Conversation = (Message("user", "Which number comes next: 1, 2, 3?"),)
COST = ModelCost(decode=0.02, further=0.01, prefill=0.002)


@pytest.mark.slow
def test_each_part_of_the_cost_is_measured(demo_pair):
    assert demo_pair.large
    found = measure(demo_pair.large, ignore)
    assert found
    assert found.decode > 0
    assert found.further >= 0
    assert found.prefill >= 0


@pytest.mark.slow
@pytest.mark.parametrize("parallel", [1, 2])
def test_a_text_that_is_written_meanwhile_stays_the_same(parallel):
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


def test_a_measurement_that_is_cancelled_finds_nothing_and_makes_room_for_an_answer(demo_pair):
    engine = demo_pair.large
    assert engine
    assert measure(engine, lambda session: session.cancel()) is None
    with closing(engine.open(QUESTION, Sampling())) as session:
        assert any(isinstance(item, Token) for item in session.write([], limit=4, seed=1))


def test_a_model_that_writes_hardly_anything_or_is_asked_in_the_middle_has_no_cost():
    assert measure(ScriptedEngine("one"), ignore) is None
    engine: ScriptedEngine = counting(before_token=lambda _: engine.sessions[0].cancel())
    assert measure(engine, ignore) is None


def counting(**more: Any) -> ScriptedEngine:
    return ScriptedEngine(continue_with=lambda *_: " one" * 40, **more)


@pytest.fixture
def loaded(demo_pair, tmp_path):
    """A model that is not the demo's own, as far as its card says."""
    assert demo_pair.large
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    return replace(demo_pair.large.card, source=None, path=file)


def test_a_cost_is_kept_for_the_next_start(loaded, tmp_path):
    file = tmp_path / "data" / "costs.json"
    assert ModelCosts(file).of(loaded) is None
    ModelCosts(file).keep(loaded, COST)
    assert loaded.path
    assert ModelCosts(file).of(loaded) == ModelCosts(file).of_file(loaded.path) == COST


def test_a_model_that_is_loaded_otherwise_or_has_another_file_is_measured_again(loaded, tmp_path):
    costs = ModelCosts(tmp_path / "costs.json")
    costs.keep(loaded, COST)
    assert loaded.path
    assert loaded.placement
    assert costs.of(replace(loaded, placement=replace(loaded.placement, threads=7))) is None
    assert costs.of_file(loaded.path) == COST, "as it was loaded last"
    os.utime(loaded.path, ns=(1, 1))
    assert costs.of(loaded) is None
    assert costs.of_file(loaded.path) is None


def test_the_slowest_of_some_models_counts_if_all_are_measured(loaded, tmp_path):
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
def test_a_damaged_file_counts_as_none(loaded, tmp_path, damage):
    file = tmp_path / "costs.json"
    costs = ModelCosts(file)
    file.write_text(damage)
    assert costs.of(loaded) is None
    costs.keep(loaded, COST)
    file.write_text(file.read_text().replace("0.02", "-1"))
    assert costs.of(loaded) is None
    costs.keep(loaded, COST)
    assert costs.of(loaded) == COST


def test_only_models_on_this_machine_are_measured_and_each_once(demo_pair, loaded, tmp_path):
    costs, opened = ModelCosts(tmp_path / "costs.json"), list[Session]()
    assert demo_pair.small
    assert demo_pair.large
    real = counting(name="real").with_card(placement=loaded.placement, path=loaded.path)
    on_server = counting(name="server")
    for pair in (Pair(on_server, on_server), Pair(real, real), Pair(real, demo_pair.large), demo_pair):
        costs.measure(pair, opened.append)
    names = [demo_pair.large.card.name, demo_pair.small.card.name]
    assert [session.card.name for session in opened] == ["real", *names]
    assert costs.of(real.card)
