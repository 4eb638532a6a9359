"""The bill in words, and what an answer was written with."""

from dataclasses import replace

import pytest

from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.demo_pair import DEMO_SETTINGS
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.usage import RequestUsage, Usage
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.thinking.cues import Category, Cue
from baton_reasoning.core.thinking.events import (
    Finish,
    RunEnded,
    RunStarted,
    TakeoverStarted,
    TokenWritten,
    WriteStarted,
)
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.trace_json import NOT_KNOWN, event_to_json, events_from_json
from baton_reasoning.core.words.labels import bill_facts, bill_text, bills_of, last_text, piece_text, title_of
from baton_reasoning.core.words.numbers import money, size
from tests.fakes.scripted import ScriptedEngine

COST = RequestUsage(
    2, sent=5310, reused=5120, read=190, written=84, bytes_sent=2048, bytes_received=1024, seconds_waited=1.25
)


def test_a_bill_in_a_line_names_what_is_known_and_what_is_about():
    assert bill_text(Usage(COST, 0.0021, "EUR")) == (
        "2 requests, 5,310 tokens sent, 5,120 of them reused, 190 read, 84 written, 3.0 KiB, 1.2 s waited, 0.0021 EUR"
    )
    assert bill_text(Usage(RequestUsage(1))).startswith("1 request, ")
    assert money(0, "") == ""
    assert bill_text(Usage(COST)).endswith("waited")
    assert dict(bill_facts(Usage(COST)))["Money"] == "no prices are known"
    estimated = Usage(replace(COST, estimated=True))
    assert "about 5,310 tokens sent" in bill_text(estimated)
    assert dict(bill_facts(estimated))["Read"] == "about 190 tokens"


@pytest.mark.parametrize(("number", "words"), [(412, "412 B"), (3584, "3.5 KiB"), (1_258_291, "1.2 MiB")])
def test_sizes(number, words):
    assert size(number) == words


def test_models_on_this_machine_have_no_bill():
    assert list(bills_of(Pair(ScriptedEngine("a"), None))) == []


def test_an_answer_of_an_earlier_version_names_its_policy_and_says_what_is_left_out():
    started = RunStarted(0.0, (), "oracle", {"policy": {"policy": "oracle"}}, 7, None, None, 0, False)
    valued = {"event": "valued", "at": 1.0, "position": 0, "right": 3, "total": 4, "seconds": 1.0}
    written = TokenWritten(2.0, Author.SMALL, 5, "Four.")
    lines = [event_to_json(started), valued, event_to_json(written), valued]
    trace = Trace.of(events_from_json([*lines, event_to_json(RunEnded(3.0, Finish.END_OF_TEXT))]))
    assert trace.text == "Four."
    assert last_text(trace, live=False).splitlines() == [
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
    assert [title_of(arm.settings) for arm in arms_of([recipe], base)] == titles


def test_presets_are_known_by_name_own_cues_are_named_and_many_differences_are_cut_short():
    assert [title_of(arm.settings) for arm in arms_of(["paper", "reference"], RunSettings())] == [
        "Keywords (paper)",
        "Keywords (reference)",
    ]
    assert title_of(RunSettings(cue_list='{"reflection": ["Hm"]}')) == "Keywords, own cues"
    c = arms_of(["c"], RunSettings())[0]
    assert title_of(c.settings) == "Keywords, reflections allowed 3, takeover growth 0, …"


def test_a_piece_says_who_wrote_it_how_much_and_why():
    small = TokenWritten(0.0, Author.SMALL, 1, "So")
    taken = TakeoverStarted(0.0, "reflection", Cue("Wait", Category.REFLECTION, 0, 4), 30, 4)
    by_large = WriteStarted(0.0, Author.LARGE, "reflection", 4)
    trace = Trace.of([small, small, taken, by_large, TokenWritten(0.0, Author.LARGE, 2, "Wait")])
    own, large = trace.pieces
    assert piece_text(own) == "● the small model, 2 tokens"
    assert piece_text(large, "for 2 s") == "◆ the large model, 1 token\nfor 2 s\nReflection takeover: Wait"
