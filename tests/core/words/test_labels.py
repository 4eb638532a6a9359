"""What a person reads of steps, runs, models and servers, of numbers, sizes and times, and of speed to expect."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.engines.base import DeviceShare, ModelCard, Placement
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.status import ServerState, ServerStatus
from baton_reasoning.core.engines.usage import Prices, RequestUsage, Usage, UsageMeter
from baton_reasoning.core.model_costs import ModelCost, ModelCosts
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.options import ModelOverrides, TagSource
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.text import counted
from baton_reasoning.core.thinking import reasons
from baton_reasoning.core.thinking.cues import Category, Cue
from baton_reasoning.core.thinking.events import (
    Finish,
    PrefillProgressed,
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
from baton_reasoning.core.thinking.trace_json import NOT_KNOWN, event_to_json, events_from_json
from baton_reasoning.core.words import labels, numbers
from baton_reasoning.core.words.numbers import LONGEST_PROBLEM, distinguished, shared_opening
from baton_reasoning.core.words.speed import bytes_per_second, estimate_from_sizes, speed_of_files, speed_of_pair
from tests.fakes.scripted import THINK, ScriptedEngine

MIB = 2**20


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
        (numbers.day_and_time(datetime(2026, 11, 6, 8, 37, tzinfo=UTC).astimezone()).split(",")[0], "6 Nov 2026"),
        (numbers.money(0.0021, "EUR"), "0.0021 EUR"),
        (numbers.money(0, ""), ""),
        (numbers.parameter_count(1_500_000_000), "1.5 B"),
        (numbers.parameter_count(134_515_008), "135 M"),
        (numbers.parameter_count(1_000), "1 k"),
        (numbers.parameter_count(999), "999"),
        (numbers.parameter_count(0), ""),
        (numbers.short_path(Path.home() / "models" / "a.gguf"), "~/models/a.gguf"),
        (numbers.short_path(Path("/models/a.gguf")), "/models/a.gguf"),
        (labels.thinking_text(RunSettings()), "on"),
        (labels.thinking_text(RunSettings(thinking=False)), "off"),
        (labels.thinking_text(RunSettings(limits=Limits(max_thinking_tokens=2_000))), "at most 2,000 tokens"),
        (labels.draft_text(12, 9), "◇ 12 tokens, 9 accepted (75%)"),
        (labels.draft_text(0, 0), ""),
        (labels.cue_text('{"reflection": {"wait": [], "hmm": []}}'), "wait, hmm"),
        (labels.status_text(ServerStatus()), "✓ connected"),
        (labels.status_text(ServerStatus(ServerState.READING, share=0.4)), "≡ reading 40%"),
        (labels.status_text(ServerStatus(ServerState.WAITING)), "◷ waiting for a slot"),
    ],
)
def test_figures_and_short_labels(text, expected):
    assert text == expected


COST = RequestUsage(
    2, sent=5310, reused=5120, read=190, written=84, bytes_sent=2048, bytes_received=1024, seconds_waited=1.25
)


def test_a_bill_in_a_line_names_what_is_known_and_what_is_about():
    assert labels.bill_text(Usage(COST, 0.0021, "EUR")) == (
        "2 requests, 5,310 tokens sent, 5,120 of them reused, 190 read, 84 written, 3 KiB, 1.2 s waited, 0.0021 EUR"
    )
    assert labels.bill_text(Usage(RequestUsage(1))).startswith("1 request, ")
    assert labels.bill_text(Usage(COST)).endswith("waited")
    estimated = Usage(replace(COST, estimated=True))
    assert "about 5,310 tokens sent" in labels.bill_text(estimated)


class EngineOnServer(ScriptedEngine):
    meter = UsageMeter(Prices())


def test_only_models_on_servers_have_a_bill_and_one_in_both_places_has_one():
    on_server = EngineOnServer().with_card(location="office")
    assert list(labels.bills_of(Pair(ScriptedEngine(), None))) == []
    assert [bill.partition(", ")[0] for bill in labels.bills_of(Pair(on_server, on_server))] == ["office: 0 requests"]


def test_a_model_says_how_it_was_placed_and_what_a_person_set_for_it():
    gib = 1024 * MIB
    whole = DeviceShare("CUDA0", 31, weights=4 * gib, cache=448 * MIB, compute=304 * MIB)
    rest = DeviceShare("RAM", 2, weights=300 * MIB, cache=0, compute=8 * MIB)
    card = ModelCard("R1", "", 8192, placement=Placement((whole, rest), 512, 4, "q8_0", "with 31 of 33 layers"))
    assert list(labels.placement_facts(card)) == [
        ("Loaded with", "8,192 tokens, batch 512, 4 threads, q8_0 KV cache"),
        ("Less than asked", "⚠ R1 was loaded with 31 of 33 layers: out of memory."),
        ("In CUDA0", "31 layers: weights 4.0 GiB, KV cache 448 MiB, compute 304 MiB"),
        ("In RAM", "2 layers: weights 300 MiB, compute 8 MiB"),
    ]
    assert list(labels.placement_facts(ModelCard("on a server", "", 8192))) == []
    own = ModelOverrides(temperature=0.6, top_p=0.95, tags=TagSource.OTHER, opening="<a>", closing="</a>", cue_list="[")
    facts = dict(labels.own_facts(own))
    assert facts.pop("Own cues").startswith("✗ ")
    assert facts == {"Own sampling": "temperature 0.6, top-p 0.95", "Own tags": "<a> … </a>"}
    assert dict(labels.own_facts(ModelOverrides(tags=TagSource.NONE))) == {"Own tags": "none"}


# Runs

STARTED = RunStarted(0.0, (), "never", {"max_tokens": 500}, 7, None, None, 0, False)
FOUR = TokenWritten(2.0, Author.SMALL, 5, "Four.")


def test_a_run_says_what_it_waits_for_how_far_it_is_and_why_it_ended():
    assert labels.run_in_brief(Trace.of([STARTED]), live=True) == "Waiting for the first token"
    reading = Trace.of([STARTED, PrefillProgressed(1.0, Author.SMALL, 64, 673)])
    assert labels.run_in_brief(reading, live=True) == "Reading 64 of 673 tokens"
    written = Trace.of([STARTED, FOUR])
    assert labels.run_in_brief(written) == "1 step · 2.0 s"
    assert labels.ending(written, live=True) == ""
    assert labels.ending(written, live=False).startswith("Interrupted")
    edited = Trace.of([STARTED, FOUR, TextInserted(3.0, "5", "edited", Author.PERSON)])
    assert labels.ending(edited, live=False).startswith("Your text is kept.")
    at_limit = Trace.of([STARTED, FOUR, RunEnded(3.0, Finish.MAX_TOKENS)])
    assert labels.ending(at_limit, live=False) == "Stopped at the length limit (500 tokens)."
    failed = Trace.of([STARTED, FOUR, RunEnded(3.0, Finish.FAILED, "It is gone.")])
    assert labels.ending(failed, live=False) == "It is gone."


def test_an_answer_of_an_earlier_version_names_its_policy_and_says_what_is_left_out():
    started = RunStarted(0.0, (), "oracle", {"policy": {"policy": "oracle"}}, 7, None, None, 0, False)
    valued = {"event": "valued", "at": 1.0, "position": 0, "right": 3, "total": 4, "seconds": 1.0}
    lines = [event_to_json(started), valued, event_to_json(FOUR), valued]
    trace = Trace.of(events_from_json([*lines, event_to_json(RunEnded(3.0, Finish.END_OF_TEXT))]))
    assert trace.text == "Four."
    assert labels.last_text(trace, live=False).splitlines() == [
        "This run had the policy “oracle”, which this version of Baton does not have.",
        NOT_KNOWN,
    ]


@pytest.mark.parametrize("base", [RunSettings(), DEMO_SETTINGS])
@pytest.mark.parametrize(
    ("recipe", "titles"),
    [
        ("small", ["Small only"]),
        ("large", ["Large only"]),
        ("baton", ["Keywords"]),
        ("first-token-entropy", ["First-token entropy"]),
        ("one-cue", ["Keywords, one cue per class on"]),
        ("opening", ["Keywords, opening 100", "Keywords"]),
    ],
)
def test_an_arm_is_called_by_what_sets_it_apart(base, recipe, titles):
    assert [labels.title_of(arm.settings) for arm in arms_of([recipe], base)] == titles


def test_presets_are_known_by_name_own_cues_are_named_and_many_differences_are_cut_short():
    presets = arms_of(["paper", "reference"], RunSettings())
    assert [labels.title_of(arm.settings) for arm in presets] == ["Keywords (paper)", "Keywords (reference)"]
    assert labels.title_of(RunSettings(cue_list='{"reflection": ["Hm"]}')) == "Keywords, own cues"
    c = arms_of(["c"], RunSettings())[0]
    assert labels.title_of(c.settings) == "Keywords, reflections allowed 3, takeover growth 0, …"


def test_a_piece_says_who_wrote_it_how_much_and_why():
    taken = TakeoverStarted(0.0, "reflection", Cue("Wait", Category.REFLECTION, 0, 4), 30, 4)
    by_large = WriteStarted(0.0, Author.LARGE, "reflection", 4)
    trace = Trace.of([FOUR, FOUR, taken, by_large, TokenWritten(2.0, Author.LARGE, 2, "Wait")])
    own, large = trace.pieces
    assert labels.piece_text(own) == "● the small model, 2 tokens"
    assert labels.piece_text(large, "for 2 s") == "◆ the large model, 1 token\nfor 2 s\nReflection takeover: Wait"


# Texts that begin alike are distinguished by where they differ


def test_a_long_opening_is_left_out_where_texts_differ_from_the_one_most_like_them():
    opening = "What is the sum of the first"
    assert distinguished([f"{opening} 10 primes?", "Hello", f"{opening} 20 primes?"]) == [
        "What is … 10 primes?",
        "Hello",
        "What is … 20 primes?",
    ]
    texts = ["Name a city in northern Italy", "Name a city in northern Spain", "Name a city in the south"]
    assert distinguished(texts) == ["Name a … Italy", "Name a … Spain", texts[2]]


def test_a_long_problem_is_cut_between_words_where_it_has_any():
    assert numbers.in_brief("word " * LONGEST_PROBLEM).startswith("word word")
    long = numbers.in_brief("x" * 2 * LONGEST_PROBLEM)
    assert long == f"{'x' * (LONGEST_PROBLEM // 3)} … {'x' * (LONGEST_PROBLEM // 2)}"


def test_equal_and_short_texts_stay_as_they_are_and_an_opening_ends_between_words():
    assert distinguished(["How many fish are there in it?"] * 2) == ["How many fish are there in it?"] * 2
    assert distinguished(["How many fish?", "How many cats?"]) == ["How many fish?", "How many cats?"]
    short = ["What is 17 times 23?", "What is 17 times 24?"]
    assert distinguished(short) == short
    assert distinguished([]) == []
    assert shared_opening(["the opening words ab", "the opening words ac"]) == len("the opening words ")
    assert shared_opening(["short ab", "short ac"]) == 0


# What to expect of two models: of some that were never loaded, by one that ran here; and where a pair hardly pays

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
    for path, parameters, is_trained, decode in (of_small, of_large):
        tags = THINK if is_trained else None
        headers.append(
            replace(read_header(SMALL_MODEL), parameters=int(parameters), chat_template=tags.opening if tags else "")
        )
        card = {"path": path, "parameters": int(parameters), "thinking": tags, "placement": PLACED}
        engines.append(ScriptedEngine().with_card(**card))
        costs.keep(engines[-1].card, ModelCost(decode=decode, further=decode, prefill=0))
    gap = "So small a model may get nothing right"
    assert (gap in speed_of_files(headers[0], headers[1], costs)) is is_said
    assert (gap in speed_of_pair(Pair(*engines), costs)) is is_said, "the same in the terminal, of a loaded pair"


# Sentences about steps

HOLD_ON = Cue("Hold on", Category.REFLECTION, 0, 7)


def by_small(text):
    return [WriteStarted(0.0, Author.SMALL, None, 0), TokenWritten(0.0, Author.SMALL, 1, text, ends_step=True)]


def by_large(texts, reason, cue=None, replaced=""):
    """A takeover of these steps, after a first step of the small model."""
    first = "So 284 + 27 = 211.\n\n"
    discarded = [TextDiscarded(0.0, len(first), replaced, 1)] if replaced else []
    written = [TokenWritten(0.0, Author.LARGE, 1, text, ends_step=True) for text in texts]
    begun = [TakeoverStarted(0.0, reason, cue, 40, len(first)), WriteStarted(0.0, Author.LARGE, reason, len(first))]
    return [*by_small(first), *discarded, *begun, *written]


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        (by_small("So it is."), "The small model wrote this step."),
        ([TextInserted(0.0, "99999.", "edited", Author.PERSON)], "You edited this step."),
        ([TextInserted(0.0, "</think>", reasons.BUDGET.id)], "Baton inserted this text: reasoning budget used up."),
        ([TokenWritten(0.0, Author.LARGE, 1, "So it is.")], "The large model wrote this step."),
        (by_large(["All of it."], reasons.LARGE_ONLY.id), "The large model wrote this step."),
        (
            by_large(["Hold on, 284 + 27 = 311."], "reflection", HOLD_ON, "Hold on, so"),
            "The large model took over at “Hold on” and corrected 211 to 311.",
        ),
        (by_large(["Something else."], "reflection", HOLD_ON), "The large model took over at “Hold on”."),
        (by_large(["Something else."], "random"), "The large model took over."),
        (by_large(["Something else."], reasons.PERSON.id), "The large model took over because you asked for it."),
        (by_large(["Hold on.\n\n", "Something else."], "reflection", HOLD_ON), "The large model went on."),
    ],
)
def test_a_sentence_says_who_wrote_a_step_and_to_what_effect(events, sentence):
    trace = Trace.of(events)
    assert labels.step_sentence(trace, trace.pieces[-1]) == sentence
    trace.pieces[-1].in_answer = True
    if "this step" in sentence:
        assert labels.step_sentence(trace, trace.pieces[-1]) == sentence.replace("this step", "this part of the answer")
