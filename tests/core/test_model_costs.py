"""What a model costs: the arithmetic agrees with sums done by hand; costs are measured, and kept."""

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as replace_event

from baton_reasoning.core.engines.base import DeviceShare, Handoff, ModelCard, Placement, Session, ignore
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.local.drafting import LENGTHS, DraftLength
from baton_reasoning.core.model_costs import (
    ModelCost,
    ModelCosts,
    drafted_seconds,
    measure,
    pair_seconds,
    seconds_of_large_alone,
)
from baton_reasoning.core.run import Pair
from baton_reasoning.core.thinking.events import (
    Event,
    Finish,
    HandedOver,
    Measure,
    Noticed,
    RunEnded,
    RunStarted,
    TakeoverStarted,
    TokenWritten,
)
from baton_reasoning.core.thinking.reasons import PERSON
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words.speed import did_not_pay, time_saved
from tests.fakes.scripted import ScriptedEngine

SMALL = ModelCost(decode=0.02, further=0.01, prefill=0.002)
LARGE = ModelCost(decode=0.2, further=0.02, prefill=0.03)


def test_the_times_of_a_token_drafted_and_of_the_pair_are_those_computed_by_hand():
    # 3 drafts of 0.04 s pay best: (1 − 0.7^4) / 0.3 tokens in 0.2 + 0.12 s.
    assert drafted_seconds(SMALL, LARGE) == pytest.approx(0.32 / 2.533)
    # 0.75 × 0.02 written and 0.25 × 0.002 read by the small one, 0.25 × 0.2 and 0.75 × 0.03 by the large one
    assert pair_seconds(SMALL, LARGE, 0.25) == pytest.approx(0.015 + 0.0005 + 0.05 + 0.0225)
    assert pair_seconds(SMALL, LARGE, 0) == pytest.approx(SMALL.decode + LARGE.prefill)
    assert pair_seconds(SMALL, LARGE, 1) == pytest.approx(LARGE.decode + SMALL.prefill)
    small, large = ModelCost.relative(1e9), ModelCost.relative(4e9)  # of sizes
    assert pair_seconds(small, large, 0.2) / large.decode == pytest.approx(0.2 + 0.8 / 4 + 0.8 * 0.1 + 0.2 * 0.1 / 4)


@given(st.floats(0, 1), st.floats(0.001, 0.2))
def test_drafts_are_predicted_as_they_are_chosen_and_left_where_they_do_not_pay(acceptance, decode):
    small = ModelCost(decode=decode, further=0.01, prefill=0.002)
    length = DraftLength(acceptance, LARGE.decode, LARGE.further + decode)
    found = drafted_seconds(small, LARGE, acceptance)
    assert 1 / found == pytest.approx(max(map(length.speed, LENGTHS)))
    assert found <= LARGE.decode
    assert drafted_seconds(LARGE, LARGE) == drafted_seconds(small, LARGE, acceptance=0) == LARGE.decode


def token(author: Author, at: float, drafted: bool = False) -> Event:
    return TokenWritten(at, author, 1, "a", drafted=drafted)


def trace_of(*events: Event) -> Trace:
    card = ModelCard("a model", "", 1000)
    return Trace.of([RunStarted(0.0, (), "keywords", {}, 0, card, card, prompt_tokens=100, thinking=True), *events])


SMALL_WRITES = (HandedOver(1.0, Author.SMALL, Handoff(0, 100, 1.0)), *(token(Author.SMALL, 1.1) for _ in range(30)))
LARGE_WRITES = (
    HandedOver(5.0, Author.LARGE, Handoff(0, 130, 3.9)),
    *(token(Author.LARGE, 5.0 + 0.3 * number) for number in range(10)),
)


def test_what_the_large_model_alone_would_have_taken_follows_from_its_decodes_in_the_run():
    trace = trace_of(*SMALL_WRITES, *LARGE_WRITES)
    for cost in (LARGE, None):
        # Its first token came from the decode that read, so ten tokens are nine decodes of 0.3 s.
        assert seconds_of_large_alone(trace, cost) == pytest.approx(40 * 0.3 + 100 * 3.9 / 130)
    assert time_saved(trace, LARGE) == "", "the run goes on"
    trace.apply(RunEnded(9.0, Finish.END_OF_TEXT))
    assert time_saved(trace, LARGE) == "9.0 s; the large model alone would have taken about 15 s."


def test_the_measured_cost_is_taken_where_the_large_model_wrote_too_little_or_with_drafts_and_none_where_one_did_all():
    few = trace_of(*SMALL_WRITES, *LARGE_WRITES[:9])
    assert seconds_of_large_alone(few) is None
    assert seconds_of_large_alone(few, LARGE) == pytest.approx(38 * 0.2 + 100 * 0.03)
    assert seconds_of_large_alone(trace_of(*SMALL_WRITES, *LARGE_WRITES[:10])), "enough"
    drafted = trace_of(*LARGE_WRITES, token(Author.LARGE, 8.0, drafted=True))
    assert seconds_of_large_alone(drafted) is None
    assert seconds_of_large_alone(drafted, LARGE) == pytest.approx(11 * 0.2 + 100 * 0.03)
    slow = HandedOver(5.0, Author.LARGE, Handoff(0, 130, 7.8))
    deep = trace_of(slow, *LARGE_WRITES[1:], token(Author.LARGE, 8.0, drafted=True))
    assert seconds_of_large_alone(deep, LARGE) == pytest.approx(11 * 0.2 + 100 * 0.06), "it read so slowly in the run"
    for alone in (trace_of(*LARGE_WRITES), trace_of(*SMALL_WRITES), Trace()):
        assert seconds_of_large_alone(alone, LARGE) is None
    other = ModelCard("another", "", 1000)
    several = RunStarted(0.0, (), "keywords", {}, 0, other, other, prompt_tokens=100, thinking=True)
    both = trace_of(*SMALL_WRITES, *LARGE_WRITES, several, *LARGE_WRITES)
    assert seconds_of_large_alone(both, LARGE) is None, "which of the two?"


# What did not pay, and what to change

ENDED = RunEnded(14.2, Finish.END_OF_TEXT)
SWITCH = "the policy “First-token entropy”"


def test_an_answer_that_took_as_long_as_the_large_model_alone_is_said_to_have_gained_nothing():
    whole = (*SMALL_WRITES, *LARGE_WRITES)  # 15 s alone
    remedy = f"Choose {SWITCH} or models farther apart in size."
    told = f"25% by the large model, 14.2 s; alone about 15 s: nothing gained. {remedy}"
    assert did_not_pay(trace_of(*whole, ENDED)) == told
    assert did_not_pay(trace_of(*whole, RunEnded(13.4, Finish.END_OF_TEXT))) == "", "a tenth less"
    few = trace_of(*SMALL_WRITES, *LARGE_WRITES[:9], ENDED)
    assert did_not_pay(few) == "", "too little to estimate from"
    assert did_not_pay(few, LARGE) == told.replace("25%", "21%").replace("15 s", "11 s")


def nearly_all(policy="keywords", measure=None, before=(), by=Author.LARGE, **settings):
    """The large model writes 40 of 45 tokens, by two takeovers."""
    took = TakeoverStarted(2.0, "any", None, 9, 0, by, measure=measure)
    card = ModelCard("a model", "", 1000)
    begun = RunStarted(0.0, (), policy, {"policy": {"policy": policy, **settings}}, 0, card, card, 100, thinking=True)
    large = (token(Author.LARGE, 5.0 + 0.1 * number) for number in range(40))
    return [begun, *SMALL_WRITES[:6], *before, took, took, *large, ENDED]


@pytest.mark.parametrize(
    ("events", "remedy"),
    [
        (nearly_all(), SWITCH),
        (nearly_all("every-step"), SWITCH),
        (nearly_all("first-token-entropy", Measure("entropy", 1.5, 1), tau=1.0), "a higher “Unsure from (τ)” than 1"),
        (nearly_all("step-score", Measure("score", 4, 7), threshold=7), "a lower “Minimum score” than 7"),
        (nearly_all("random", Measure("draw", 0.1, 0.9), p=0.9), "a lower “Chance” than 0.9"),
        (nearly_all("relay", Measure("ease", 128, 128), by=Author.SMALL, sentence_cap=128), SWITCH),
        (nearly_all("keywords", Measure("reflections", 20, 20), c=15), SWITCH),  # c has grown: no setting says 20
        (nearly_all("first-token-entropy", tau=1.0), ""),  # of an earlier version
    ],
)
def test_what_lets_it_write_less_is_the_setting_that_decided_or_another_policy(events, remedy):
    said = did_not_pay(Trace.of(events))
    how = f" To let it write less, choose {remedy}." if remedy else ""
    assert said == f"The large model wrote nearly everything (89%).{how}"


def test_a_policy_that_the_models_cannot_run_is_not_advised():
    server = ModelCard("a model", "", 1000, abilities=frozenset())
    events = [replace_event(event, small=server) if isinstance(event, RunStarted) else event for event in nearly_all()]
    assert did_not_pay(Trace.of(events)) == "The large model wrote nearly everything (89%)."


@pytest.mark.parametrize(
    "events",
    [
        [],
        nearly_all()[:-1],
        [*nearly_all()[:-1], RunEnded(9.0, Finish.MAX_TOKENS)],
        nearly_all("always"),
        nearly_all("drafted"),
        nearly_all("of another version"),
        nearly_all(before=[TakeoverStarted(2.0, PERSON.id, None, 9, 0)]),
        nearly_all(before=[Noticed(2.0, "It is gone.", Author.SMALL)]),
    ],
    ids=["nothing", "live", "cut off", "large alone", "drafted", "unknown", "a person's wish", "the small one lost"],
)
def test_nothing_is_said_of_an_answer_that_goes_on_was_cut_off_or_was_meant_to_be_one_models(events):
    assert did_not_pay(Trace.of(events), LARGE) == ""


# Costs are measured, and kept until the file or how it is loaded changes


def test_each_part_of_the_cost_is_measured_and_a_measurement_that_is_cancelled_finds_nothing(demo_pair):
    found = measure(demo_pair.large, ignore)
    assert found
    assert found.decode > 0
    assert measure(demo_pair.large, lambda session: session.cancel()) is None


def counting(**more):
    return ScriptedEngine(continue_with=lambda *_: " one" * 40, **more)


def test_a_model_that_writes_hardly_anything_or_is_asked_in_the_middle_has_no_cost():
    assert measure(ScriptedEngine("one"), ignore) is None
    engine: ScriptedEngine = counting(before_token=lambda _: engine.sessions[0].cancel())
    assert measure(engine, ignore) is None


@pytest.fixture
def loaded(tmp_path):
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    shares = (DeviceShare("RAM", 5, 0, 0, 0),)
    return ModelCard("a model", "", 1024, path=file, placement=Placement(shares, 512, 1, "f16"))


def test_a_cost_is_kept_until_the_file_or_how_it_is_loaded_changes(loaded, costs, tmp_path):
    assert costs.of(loaded) is None
    costs.keep(loaded, SMALL)
    again = ModelCosts(tmp_path / "data" / "costs.json")
    assert again.of(loaded) == again.of_file(loaded.path) == SMALL
    shares = (DeviceShare("CUDA0", 5, 0, 0, 0),)
    for change in ({"threads": 7}, {"batch": 256}, {"kv_type": "q8_0"}, {"shares": shares}):
        assert costs.of(replace(loaded, placement=replace(loaded.placement, **change))) is None
    assert costs.of_file(loaded.path) == SMALL, "as it was loaded last"
    os.utime(loaded.path, ns=(1, 1))
    assert costs.of(loaded) is costs.of_file(loaded.path) is None


@pytest.mark.parametrize("damage", ["", "[]", '{"models": 3}', "{"])
def test_a_damaged_file_counts_as_none(loaded, costs, tmp_path, damage):
    file = tmp_path / "data" / "costs.json"
    costs.keep(loaded, SMALL)
    for content in (damage, file.read_text().replace("0.02", "-1")):
        file.write_text(content)
        assert costs.of(loaded) is None
    costs.keep(loaded, SMALL)
    assert costs.of(loaded) == SMALL


def test_only_models_on_this_machine_are_measured_and_each_once(loaded, costs):
    opened = list[Session]()
    here, on_server = counting(name="here"), counting(name="server")
    here.with_card(placement=loaded.placement, path=loaded.path)
    for pair in (Pair(on_server, on_server), Pair(here, here), Pair(here, on_server)):
        costs.measure(pair, opened.append)
    assert [session.card.name for session in opened] == ["here"]
    assert costs.of(here.card)
