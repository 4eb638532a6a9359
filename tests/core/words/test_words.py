"""What a person reads of steps, runs, models and servers, of numbers, sizes and times, of speed, and of values."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PureWindowsPath

import msgspec
import pytest

from baton_reasoning.core.analysis.values import StepValues, TextPlace
from baton_reasoning.core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.engines.base import DeviceShare, ModelCard, Placement
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.billing import Prices, UsageMeter
from baton_reasoning.core.engines.remote.status import RETRYING, ServerState, ServerStatus
from baton_reasoning.core.engines.usage import RequestUsage, Usage
from baton_reasoning.core.model_costs import ModelCost
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.overrides import ModelOverrides, TagSource
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.text import counted
from baton_reasoning.core.thinking import reasons
from baton_reasoning.core.thinking.cues import Category, Cue
from baton_reasoning.core.thinking.events import (
    Finish,
    Measure,
    Noticed,
    PlaceOutcomes,
    RunEnded,
    RunStarted,
    TakeoverStarted,
    TextDiscarded,
    TextInserted,
    TokenWritten,
    WriteStarted,
)
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words import labels, numbers
from baton_reasoning.core.words.numbers import distinguished, shared_opening
from baton_reasoning.core.words.speed import bytes_per_second, estimate_from_sizes, speed_of_files, speed_of_pair
from baton_reasoning.core.words.values import place_in_words, source_text, value_marks, value_sentences, value_text
from tests.core.store.made import a_run
from tests.fakes.scripted import THINK, ScriptedEngine
from tests.fakes.valued import RESCUED, STEP, values_of

MIB = 2**20
COST = RequestUsage(
    2, sent=5310, reused=5120, read=190, written=84, bytes_sent=2048, bytes_received=1024, seconds_waited=1.25
)
BILL = "5,310 tokens sent, 5,120 of them reused, 190 read, 84 written, 3 KiB, 1.2 s waited"


def written(*more):
    """A run of the small model, and what came after its one step."""
    started = RunStarted(0.0, (), "never", {"max_tokens": 500}, 7, None, None, 0, False)
    return Trace.of([started, TokenWritten(2.0, Author.SMALL, 5, "Four."), *more])


ODD, AWAY = Noticed(2.0, "It is odd."), Noticed(2.0, f"It is away.{RETRYING}")
CUT_OFF, FAILED = RunEnded(3.0, Finish.MAX_TOKENS), RunEnded(3.0, Finish.FAILED, "It is gone.")


def test_a_path_below_the_home_folder_has_the_separators_of_its_system(monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: PureWindowsPath(r"C:\Users\me"))
    assert numbers.short_path(PureWindowsPath(r"C:\Users\me\AppData\a.gguf")) == r"~\AppData\a.gguf"
    assert numbers.short_path(PureWindowsPath(r"D:\a.gguf")) == r"D:\a.gguf"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (counted(1, "token"), "1 token"),
        (counted(1_204, "try", "tries"), "1,204 tries"),
        (numbers.duration(0.041), "41 ms"),
        (numbers.duration(1), "1.0 s"),
        (numbers.duration(200), "3 min 20 s"),
        (numbers.duration(7_500), "2 h 5 min"),
        (numbers.rough_duration(0.44), "0.4 s"),
        (numbers.rough_duration(3), "3 s"),
        (numbers.rough_duration(130), "2 min"),
        (numbers.rough_duration(5_940), "99 min"),
        (numbers.rough_duration(9_000), "2.5 h"),
        (numbers.rough_duration(536_760), "6 days"),
        (numbers.day_and_time(datetime(2026, 11, 6, 8, 37, tzinfo=UTC).astimezone()).split(",")[0], "6 Nov 2026"),
        (numbers.money(0, ""), ""),
        (numbers.parameter_count(1_500_000_000), "1.5 B"),
        (numbers.parameter_count(134_515_008), "135 M"),
        (numbers.parameter_count(1_000), "1 k"),
        (numbers.parameter_count(999), "999"),
        (numbers.parameter_count(0), ""),
        (numbers.short_path(Path.home() / "models" / "a.gguf"), str(Path("~/models/a.gguf"))),
        (numbers.short_path(Path("/models/a.gguf")), str(Path("/models/a.gguf"))),
        (numbers.in_brief("word " * 40), f"{'word ' * 6}… {'word ' * 9}"),
        (numbers.in_brief("x" * 200), f"{'x' * 32} … {'x' * 48}"),
        (value_text(0.944), ".94"),
        (value_text(0.999), "1.00"),
        (labels.method_title(DEMO_SETTINGS), "Keywords"),
        (labels.method_title(RunSettings(cue_list='{"reflection": ["Hm"]}')), "Keywords, own cues"),
        (labels.thinking_text(RunSettings()), "on"),
        (labels.thinking_text(RunSettings(thinking=False)), "off"),
        (labels.thinking_text(RunSettings(limits=Limits(max_thinking_tokens=2_000))), "at most 2,000 tokens"),
        (labels.draft_text(12, 9), "◇ 12 tokens, 9 accepted (75%)"),
        (labels.draft_text(0, 0), ""),
        (labels.status_text(ServerStatus()), "✓ connected"),
        (labels.status_text(ServerStatus(ServerState.READING, share=0.4)), "≡ reading 40%"),
        (labels.bill_text(Usage(COST, 0.0021, "EUR")), f"2 requests, {BILL}, 0.0021 EUR"),
        (labels.bill_text(Usage(replace(COST, requests=1, estimated=True))), f"1 request, about {BILL}"),
        (labels.run_in_brief(written()), "1 step · 2.0 s"),
        (labels.run_in_brief(Trace(), live=True), "Waiting for the first token"),
        (labels.ending(written(), live=True), ""),
        (labels.ending(written(CUT_OFF), live=False), "Stopped at the length limit (500 tokens)."),
        (labels.last_text(written(ODD, AWAY, ODD, FAILED), live=False), "It is odd.\nIt is gone."),
    ],
)
def test_figures_and_short_labels(text, expected):
    assert text == expected


class EngineOnServer(ScriptedEngine):
    meter = UsageMeter(Prices())


def test_only_models_on_servers_have_a_bill_and_one_in_both_places_has_one():
    on_server = EngineOnServer().with_card(location="office")
    assert list(labels.bills_of(Pair(ScriptedEngine(), None))) == []
    assert [bill.partition(", ")[0] for bill in labels.bills_of(Pair(on_server, on_server))] == ["office: 0 requests"]


def test_a_model_says_how_it_was_placed_and_what_a_person_set_for_it():
    whole = DeviceShare("CUDA0", 31, weights=4 * 1024 * MIB, cache=448 * MIB, compute=304 * MIB)
    rest = DeviceShare("RAM", 2, weights=300 * MIB, cache=0, compute=8 * MIB)
    card = ModelCard("R1", "", 8192, placement=Placement((whole, rest), 512, 4, "q8_0", "with 31 of 33 layers"))
    assert list(labels.placement_facts(card)) == [
        ("Loaded with", "8,192 tokens, batch 512, 4 threads, q8_0 KV cache"),
        ("Less than asked", "⚠ R1 was loaded with 31 of 33 layers: out of memory."),
        ("In CUDA0", "31 layers: weights 4.0 GiB, KV cache 448 MiB, compute 304 MiB"),
        ("In RAM", "2 layers: weights 300 MiB, compute 8 MiB"),
    ]
    assert list(labels.placement_facts(ModelCard("on a server", "", 8192))) == []
    facts = dict(labels.own_facts(ModelOverrides(top_p=0.95, tags=TagSource.NONE, cue_list="[")))
    assert facts.pop("Own cues").startswith("✗ ")
    assert facts == {"Own sampling": "top-p 0.95", "Own tags": "none"}


def test_a_long_opening_is_left_out_where_texts_differ_from_the_one_most_like_them():
    opening = "What is the sum of the first"
    found = distinguished([f"{opening} 10 primes?", "Hello", f"{opening} 20 primes?"])
    assert found == ["What is … 10 primes?", "Hello", "What is … 20 primes?"]
    texts = ["Name a city in northern Italy", "Name a city in northern Spain", "Name a city in the south"]
    assert distinguished(texts) == ["Name a … Italy", "Name a … Spain", texts[2]]


def test_equal_and_short_texts_stay_as_they_are_and_an_opening_ends_between_words():
    equal, short = ["How many fish are there in it?"] * 2, ["What is 17 times 23?", "What is 17 times 24?"]
    for texts in (equal, short, ["How many fish?", "How many cats?"], []):
        assert distinguished(texts) == texts
    assert shared_opening(["the opening words ab", "the opening words ac"]) == len("the opening words ")
    assert shared_opening(["short ab", "short ac"]) == 0


# What to expect of two models: of some that were never loaded, by one that ran here; and where a pair hardly pays


def expectations(costs, decode, parameters=(0, 0), thinking=THINK):
    """What is said of two files, and of a pair loaded from them, once a token was measured to take so long."""
    headers, engines, all_tags = [], [], (thinking, THINK)
    for path, seconds, number, tags in zip((SMALL_MODEL, LARGE_MODEL), decode, parameters, all_tags, strict=True):
        headers.append(replace(read_header(path), parameters=number, chat_template=tags.opening if tags else ""))
        placed = Placement((), 512, 1, "f16")
        engines.append(ScriptedEngine().with_card(path=path, parameters=number, thinking=tags, placement=placed))
        costs.keep(engines[-1].card, ModelCost(decode=seconds, further=seconds, prefill=seconds / 10))
    small, large = headers
    return speed_of_files(small, large, costs), speed_of_pair(Pair(*engines), costs)


def test_the_rate_of_a_machine_is_that_of_the_largest_model_that_was_measured(costs):
    headers = [read_header(SMALL_MODEL), read_header(LARGE_MODEL)]
    assert bytes_per_second(headers, costs) is None
    expectations(costs, decode=(0.5, 0.1))
    assert bytes_per_second(headers, costs) == pytest.approx(headers[1].active_bytes / 0.1)


@pytest.mark.parametrize(("small", "is_said"), [(7, False), (8, True)])
def test_it_is_said_where_sizes_or_measured_costs_predict_a_pair_hardly_faster_than_its_large_model(
    costs, small, is_said
):
    slow = "The large model alone is likely as fast, and at least as accurate."
    assert (slow in estimate_from_sizes(small, 10)) is is_said
    for said in expectations(costs, decode=(small, 10)):
        assert (slow in said) is is_said
        assert said.startswith("Large alone about 0.1 tok/s; ")


@pytest.mark.parametrize(
    ("small", "large", "thinking", "is_said"),
    [
        (1_500, 32_000, THINK, False),
        (1_500, 7_000, None, False),
        (1_500, 14_000, None, True),
        (600, 4_000, THINK, False),
        (270, 1_500, THINK, True),  # too small whatever it was trained for
        (0, 32_000, None, False),  # of no known size
    ],
)
def test_it_is_said_where_the_small_model_may_get_nothing_right(costs, small, large, thinking, is_said):
    """In millions of parameters; the same in the terminal, of a loaded pair."""
    parameters = (small * 10**6, large * 10**6)
    for said in expectations(costs, (0.1, 1.0), parameters, thinking):
        assert ("The small model may be too weak" in said) is is_said


HOLD_ON = Cue("Hold on", Category.REFLECTION, 0, 7)


def by_small(text):
    return [WriteStarted(0.0, Author.SMALL, None, 0), TokenWritten(0.0, Author.SMALL, 1, text, ends_step=True)]


def by_large(texts, reason, cue=None, replaced="", measure=None):
    """A takeover of these steps, after a first step of the small model."""
    first = "So 284 + 27 = 211.\n\n"
    discarded = [TextDiscarded(0.0, len(first), replaced, 1)] if replaced else []
    steps = [TokenWritten(0.0, Author.LARGE, 1, text, ends_step=True) for text in texts]
    took = TakeoverStarted(0.0, reason, cue, 40, len(first), measure=measure)
    return [*by_small(first), *discarded, took, WriteStarted(0.0, Author.LARGE, reason, len(first)), *steps]


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        (by_small("So it is."), "The small model wrote this step."),
        ([TextInserted(0.0, "99999.", "edited", Author.PERSON)], "You edited this step."),
        ([TextInserted(0.0, "</think>", reasons.BUDGET.id)], "Baton inserted this text: reasoning budget used up."),
        ([TokenWritten(0.0, Author.LARGE, 1, "So it is.")], "The large model wrote this step."),
        (by_large(["All of it."], reasons.LARGE_ONLY.id), "The large model wrote this step."),
        (by_large(["Hold on.\n\n", "So it is."], "reflection", HOLD_ON), "Still handed over at “Hold on”: reflection"),
        (by_large(["So it is."], "every step"), "Handed over: every step begins so"),
        (by_large(["So it is."], reasons.PERSON.id), "Handed over: you asked for it"),
        (by_large(["So it is."], reasons.ANSWER.id), "Handed over: the reasoning is over"),
        (
            by_large(["Hold on, 284 + 27 = 311."], "reflection", HOLD_ON, "Hold on, so"),
            "Handed over at “Hold on”: reflection. Corrected 211 to 311",
        ),
        (
            by_large(["So it is."], "first-token entropy", measure=Measure("entropy", 2.134, 1.5)),
            "Handed over: unsure how to begin. Entropy 2.13, limit 1.5",
        ),
        (
            by_large(["So it is."], "of another version", measure=Measure("tokens", 1250, 1000)),
            "Handed over: of another version. Tokens 1,250, limit 1,000",
        ),
    ],
)
def test_a_sentence_says_who_wrote_a_step_or_why_it_was_handed_over_and_to_what_effect(events, sentence):
    trace = Trace.of(events)
    assert labels.step_sentence(trace, trace.pieces[-1]) == sentence
    trace.pieces[-1].in_answer = True
    if "this step" in sentence:
        assert labels.step_sentence(trace, trace.pieces[-1]) == sentence.replace("this step", "this part of the answer")


def test_a_piece_says_who_wrote_it_how_much_and_why():
    own, large = Trace.of(by_large(["Hold on"], "reflection", HOLD_ON)).pieces
    assert labels.piece_text(own) == "● the small model, 1 token"
    why = "Handed over at “Hold on”: reflection"
    assert labels.piece_text(large, "for 2 s") == f"◆ the large model, 1 token\nfor 2 s\n{why}"


# What values say, of an answer of which the large model wrote the second and the fourth of four steps


def valued(right, **changes):
    """Of so many continuations of 16 that were right, by the step after which they begin."""
    trace = Trace.of(a_run())
    places = {TextPlace(place * STEP) if isinstance(place, int) else place: number for place, number in right.items()}
    trace.apply(msgspec.structs.replace(values_of(trace, places), **changes))
    values = StepValues.of(trace)
    assert values
    return trace, values


def said(right, **changes):
    return value_sentences(*valued(right, **changes))


def test_the_turn_the_loss_and_the_large_models_part_are_named_in_the_order_of_the_text():
    turn, large_wrote = "The turn: step 2: Step 1 goes on.", "The large model wrote 43% and brought"
    assert said(RESCUED) == [turn, f"{large_wrote} 100% of the gain"]
    assert said(RESCUED, is_whole=False) == [turn, "Not all places are valued yet."]
    assert said({0: 0, 1: 16}) == ["The turn: step 1: Step 0 goes on.", f"{large_wrote} 0% of the gain"]
    assert said({0: 0, 1: 7})[0].startswith("Rose most at step 1")
    lost = "Lost at step 1: Step 0 goes on."
    assert said({0: 16, 1: 1}) == [lost]
    assert said({0: 16, 1: 1, 2: 16})[:2] == [lost, turn]
    assert said({0: 16, 1: 9}) == ["Fell most at step 1: Step 0 goes on."], "likely still"
    assert said({0: 16, 2: 0}) == ["Lost at steps 1 to 2"]


def test_agreement_is_said_to_be_no_proof_and_chance_to_be_chance_unless_too_little_was_tried():
    agreement, chance = said({0: 8, 1: 9}, is_expected=False)
    assert agreement.endswith("this answer's own, 4, which is no proof that it is right.")
    assert chance == "No step changed the value beyond chance."
    places = (PlaceOutcomes(0, "00"), PlaceOutcomes(STEP, "11"), PlaceOutcomes(2 * STEP, "1" * 8))
    assert said({}, places=places) == [
        "No step is known to have changed the value: 2 of 3 places have fewer than 8 continuations."
    ]
    trace, values = valued({0: 8}, is_expected=False, ends_right=True)
    first, end = (place_in_words(place, trace.pieces[0], values) for place in values.places)
    assert first.startswith("Before the first step: agreement .50 (")
    assert end.endswith(": the end")
    assert source_text(values.estimated).startswith("Share of continuations that agree with 4: ")


def test_one_step_that_changed_the_value_is_marked_where_it_is_shown():
    trace, _ = valued({0: 16, 1: 0})
    assert value_marks(trace, trace.pieces) == {0: ("▼ .00", False)}
    trace, _ = valued({0: 16, 2: 0})
    assert value_marks(trace, trace.pieces) == {}, "it may be either of two"
    *thinking, answer = trace.pieces
    trace, _ = valued({0: 16, TextPlace(answer.position): 16}, ends_right=False)
    assert value_marks(trace, trace.pieces) == {answer.position: ("▼ .00", False)}
    assert value_marks(trace, thinking) == {}, "the answer is not shown"


@pytest.mark.parametrize(
    ("writer", "text"),
    [("small", "● Small alone."), ("large", "◆ Small alone."), ("policy", "Small by the run’s policy.")],
)
def test_who_wrote_how_many_continuations(writer, text):
    places = (PlaceOutcomes(0, "1" * 16), PlaceOutcomes(STEP, "0" * 32))
    _, values = valued({}, writer=writer, model="Small", places=places)
    said = source_text(values.estimated)
    assert said == f"Share of continuations that end in 4: 16 to 32 from each of 2 places, by {text}"
    _, values = valued({}, writer=writer, model="Small", places=places[:1])
    assert "4: 16 from one place, by" in source_text(values.estimated)
