"""Events survive JSON: every kind, every field, and what a newer version may add."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.engines.base import (
    Alternative,
    Handoff,
    Message,
    ModelCard,
    Passing,
    ScoredToken,
    Stop,
    Token,
)
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.usage import RequestUsage, Usage
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.models.options import (
    DemoModel,
    HubFile,
    LocalFile,
    ModelOverrides,
    ServerUrls,
    ThinkingTags,
)
from baton_reasoning.core.thinking import events
from baton_reasoning.core.thinking.cue_rules import EXCESSIVE_REFLECTION, VERIFICATION
from baton_reasoning.core.thinking.cues import Category, Cue
from baton_reasoning.core.thinking.events import SCHEMA, Event, Finish
from baton_reasoning.core.thinking.policies.keywords import REFLECTION
from baton_reasoning.core.thinking.reasons import PERSON
from baton_reasoning.core.thinking.trace_json import (
    KINDS,
    NOT_KNOWN,
    event_from_json,
    event_to_json,
    events_from_json,
    trace_from_lines,
    trace_to_json,
)
from tests.core.thinking.running import keywords, run

CARD = ModelCard("tiny", "hash", 4096, thinking=ThinkingTags("<think>", "</think>"), supports_prefetch=True)
CUE = Cue("wait", Category.REFLECTION, 3, 7)
ONE_OF_EACH: list[Event] = [
    events.RunStarted(
        0.0, (Message("user", "2 + 2?"),), "keywords", {"n1": 20, "match": "word"}, 7, CARD, None, 12, thinking=True
    ),
    events.WriteStarted(0.5, Author.LARGE, REFLECTION.id, 10),
    events.WriteStarted(0.5, Author.SMALL, None, 10),
    events.WriteEnded(0.75, Stop.END_OF_TEXT),
    events.HandedOver(0.25, Author.LARGE, Handoff(10, 3, 0.125, Passing.TEXT)),
    events.PrefillProgressed(0.25, Author.LARGE, 440, 1024),
    events.TokenWritten(
        1, Author.SMALL, 5, " ü", -0.5, (Alternative(5, " ü", -0.5), Alternative(None, "", -2.0)), ends_step=True
    ),
    events.TokenWritten(1.5, Author.LARGE, None, "", entropy=0.5),
    events.StepEnded(1.5, 12),
    events.TextDiscarded(2.0, 4, "Wait,", 2),
    events.TakeoverStarted(2.0, VERIFICATION.id, CUE, 125, 4),
    events.TakeoverStarted(2.0, PERSON.id, None, 125, 4, until=events.Until.STEP),
    events.TakeoverEnded(3.0, 20),
    events.TextInserted(3.0, "Let us check.", EXCESSIVE_REFLECTION.id),
    events.ThinkingClosed(4.0, Author.INSERTED, 99, "</think>"),
    events.Judged(4.0, ("0", "1"), (0.25, 0.75), Handoff(0, 0, 0.5)),
    events.Judged(4.0, ("0", "1"), (0.25, 0.75), Handoff(3, 4, 0.5), Author.SMALL, 0.125),
    events.Scored(4.0, (ScoredToken(7, " so", -0.75), ScoredToken(None, ".", -0.25)), Handoff(100, 12, 0.5)),
    events.Tried(4.0, Author.LARGE, 12, (ScoredToken(7, "4", -0.25),), Stop.LIMIT, Handoff(100, 12, 0.5)),
    events.CountersChanged(4.0, {"reflections": 3, "reflections allowed": 15}),
    events.Prefetched(4.0, Author.LARGE, 1.5, 0.25, 30),
    events.UsageReported(4.0, Author.LARGE, Usage(RequestUsage(3, sent=9, estimated=True), 0.5, "EUR")),
    events.UsageReported(4.0, Author.SMALL, Usage()),
    events.Noticed(4.5, "The large model was started again."),
    events.Noticed(4.5, "The large model ended. The small model goes on alone.", Author.LARGE),
    events.RunEnded(5.0, Finish.END_OF_TEXT),
    events.RunEnded(5.0, Finish.FAILED, "It broke."),
    events.OpinionGiven(
        5.0,
        "large",
        12,
        (ScoredToken(7, " 211", -4.5, (Alternative(8, " 311", -0.125),)), ScoredToken(None, "�", -0.5)),
        Handoff(100, 40, 1.5),
    ),
    events.OpinionGiven(5.0, "large", 0, ()),
    events.ValuesEstimated(
        5.0,
        "small",
        "Small",
        99,
        "12",
        True,
        128,
        (events.PlaceOutcomes(0, "10?-"), events.PlaceOutcomes(8, "11", replaced=True)),
        False,
        False,
        900,
        1.5,
    ),
]


def test_every_kind_of_event_has_a_name():
    assert {type(event) for event in ONE_OF_EACH} == set(KINDS.values())


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_from_json_as_it_was(event):
    assert event_from_json(json.loads(json.dumps(event_to_json(event)))) == event


def test_a_token_takes_little_room_and_the_first_event_says_the_schema():
    assert event_to_json(ONE_OF_EACH[0])["schema"] == SCHEMA
    token = events.TokenWritten(1.5, Author.SMALL, 5, " the")
    assert event_to_json(token) == {"event": "token", "at": 1.5, "author": "small", "id": 5, "text": " the"}


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: type(event).__name__)
def test_an_event_of_schema_1_is_read_as_one_of_today(event):
    """There the values of a handoff were fields of the event."""
    data = event_to_json(event)
    if handoff := data.pop("handoff", None):
        data |= dict(zip(("reused", "prefilled", "seconds", "passing"), handoff, strict=True))
    assert event_from_json(json.loads(json.dumps(data))) == event


def test_a_written_token_has_the_fields_of_the_engines_in_their_order():
    """With its text in place of the bytes; what records it relies on the order."""
    _, _, *fields, ends_step = events.TokenWritten.__struct_fields__
    assert fields == ["text" if name == "data" else name for name in Token._fields]
    assert ends_step == "ends_step"


def test_what_another_version_wrote_is_passed_over_with_a_notice():
    lines = [
        {"event": "token", "at": 1, "author": "small", "id": 5, "text": "a", "mood": "glad"},
        {"event": "valued", "at": 2, "position": 1, "right": 3, "total": 16, "seconds": 0.5},
        {"event": "trace", "schema": 1},
    ]
    assert list(events_from_json(lines)) == [
        events.TokenWritten(1.0, Author.SMALL, 5, "a"),
        events.Noticed(2.0, NOT_KNOWN),
    ]


@pytest.mark.parametrize(
    ("policy", "boundary", "notices"),
    [
        ("keywords", r"\n[ \t\r]*\n", []),
        ("oracle", "line", ["This run had the policy “oracle”, which this version of Baton does not have."]),
        (
            "keywords",
            r"\n---\n",
            ["The steps of this run ended at a pattern of another version of Baton; they are shown by blank lines."],
        ),
    ],
)
def test_a_trace_of_an_earlier_version_shows_its_text_and_says_what_is_not_as_it_was(policy, boundary, notices):
    settings = {"policy": {"policy": policy}, "boundary": boundary, "limits": {"early_exit": 0.95}}
    started = event_to_json(events.RunStarted(0.0, (), policy, settings, 7, None, None, 12, thinking=True))
    tried = {"event": "tried", "at": 1, "author": "small", "position": 5, "tokens": [], "stop": "limit", "seconds": 1}
    lines = [
        started,
        {"event": "token", "at": 1, "author": "small", "id": 5, "text": "One.\n---\nSo."},
        tried | {"prompt": "The answer:"},
        {"event": "text_inserted", "at": 2, "text": "</think>", "reason": "early exit"},
    ]
    trace = trace_from_lines(map(json.dumps, lines))
    assert [(piece.author, piece.text) for piece in trace.pieces] == [
        (Author.SMALL, "One.\n---\nSo."),
        (Author.INSERTED, "</think>"),
    ]
    assert [notice.text for notice in trace.notices] == notices


@pytest.mark.parametrize(
    "data",
    [
        {"event": "token", "at": 1, "author": "small", "id": 5},
        {"event": "token", "at": 1, "author": "nobody", "id": 5, "text": "a"},
        {"event": "noticed", "at": float("nan"), "text": ""},
        {"event": "noticed", "at": float("inf"), "text": ""},
        {"event": "usage", "at": 1, "author": "large", "usage": {"cost": {"sent": 2**70}}},
        {"event": "usage", "at": 1, "author": "large", "usage": {"cost": {"read": -1}}},
        {"event": "usage", "at": 1, "author": "large", "usage": {"cost": {"seconds_waited": float("nan")}}},
        {"event": "usage", "at": 1, "author": "large", "usage": {"cost": {}, "money": float("inf")}},
        {"event": "usage", "at": 1, "author": "large", "usage": {"cost": {}, "money": float("nan")}},
        {"event": "token", "at": "soon", "author": "small", "id": 5, "text": "a"},
        {"event": "token", "at": 1, "author": "small", "id": 5, "text": 7},
        {"event": "judged", "at": 1, "choices": 3, "probabilities": [], "seconds": 0},
        {"event": "judged", "at": 1, "choices": [], "probabilities": []},
        {"event": "handed_over", "at": 1, "author": "small", "handoff": [1, 2, float("nan"), "ids"]},
        {"event": "handed_over", "at": 1, "author": "small", "reused": -1, "prefilled": 2, "seconds": 1},
    ],
)
def test_a_broken_event_is_refused_with_its_kind(data):
    with pytest.raises(StoreError, match=f"kind '{data['event']}' cannot be read"):
        event_from_json(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
RUN = run(keywords(), ["One.\n\nWait, no", " Two.</think>\n\nFour."], ["So it is. No"])
COMPLETE = [json.dumps(event_to_json(event)) for event in RUN.trace.events]


@given(st.data())
def test_a_malformed_trace_raises_our_error_and_no_other(data):
    """Any value of any line replaced by anything JSON can say."""
    line = json.loads(data.draw(st.sampled_from(COMPLETE)))
    name = data.draw(st.sampled_from(sorted(line)))
    line[name] = data.draw(JSON)
    lines = [json.dumps(line) if json.loads(each)["event"] == line["event"] else each for each in COMPLETE]
    with contextlib.suppress(StoreError):
        trace = trace_from_lines(lines)
        trace.parts()
        trace_to_json(trace)


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        "[1]",
        '"text"',
        "null",
        '{"event": "token", "at": 1, "author": "small", "id": 5, "text": ' + "[" * 900 + "]" * 900 + "}",
        '{"event": "noticed", "at": 1e999, "text": "?"}',
        '{"event": "noticed", "at": ' + "9" * 400 + ', "text": "?"}',
        '{"event": "noticed", "at": ' + "9" * 5000 + ', "text": "?"}',
        '{"event": "noticed", "at": -1, "text": "?"}',
        '{"event": "text_discarded", "at": 1, "position": 99999999999999999999, "text": "", "tokens": 0}',
        '{"event": "run_started", "at": 0, "settings": 3}',
        '{"event": "run_started", "at": 0, "settings": {"policy": {"policy": 3}}, "small": [], "conversation": [3]}',
    ],
)
def test_odd_lines_are_refused_in_words(line):
    with pytest.raises(StoreError):
        trace_from_lines([line])


@pytest.mark.parametrize("line", ['{"event": ["token"]}', '{"event": {}}', '{"event": 3}', "{}"])
def test_a_line_of_no_known_kind_is_passed_over(line):
    assert trace_from_lines([line]).events == []


def test_a_thinking_that_is_closed_without_its_tag_cannot_be_resumed():
    lines = [
        '{"event": "token", "at": 1, "author": "small", "id": 5, "text": "One."}',
        '{"event": "thinking_closed", "at": 1, "author": "small", "position": 4, "tag": "</think>"}',
    ]
    with pytest.raises(StoreError, match="no closing tag"):
        trace_from_lines(lines).parts()


@pytest.mark.parametrize(
    "source",
    [DemoModel.LARGE, LocalFile(Path("a.gguf")), HubFile("o/n", "Q4_K_M"), ServerUrls(("http://a", "http://b"))],
)
def test_the_source_of_a_model_comes_back_as_it_was(source):
    card = dataclasses.replace(CARD, source=source, overrides=ModelOverrides(top_k=3))
    started = events.RunStarted(0.0, (), "keywords", {}, 7, card, None, 12, thinking=True)
    line = event_to_json(started)
    assert line["small"]["source"] == str(source)
    assert event_from_json(json.loads(json.dumps(line))) == started


def test_a_text_of_an_earlier_version_shows_who_wrote_it():
    """A policy that left, interrupted and resumed, with settings, an end of a takeover and fields of events that this
    version does not know."""
    settings = {"policy": {"policy": "relay", "as_published": True}}
    start = {"event": "run_started", "at": 0, "conversation": [], "policy": "relay", "settings": settings, "seed": 0}
    lines = [
        start | {"small": None, "large": None, "prompt_tokens": 3, "thinking": True},
        {"event": "write_started", "at": 1, "author": "large", "reason": None, "position": 0, "asked_by": "person"},
        {"event": "token", "at": 1, "author": "large", "id": 1, "text": "So", "data": "U28="},
        {"event": "run_ended", "at": 1, "finish": "stopped"},
        start | {"small": None, "large": None, "prompt_tokens": 3, "thinking": True, "resumed": True},
        {"event": "token", "at": 1, "author": "large", "id": 1, "text": ","},
        {"event": "takeover_started", "at": 2, "reason": "easy sentence", "cue": None, "tokens": 128, "position": 3}
        | {"author": "small", "until": "first mark"},
        {"event": "write_started", "at": 2, "author": "small", "reason": "easy sentence", "position": 3},
        {"event": "token", "at": 3, "author": "small", "id": 2, "text": " 4.", "restored": True},
        {"event": "judged", "at": 4, "choices": ["0"], "probabilities": [1], "seconds": 0, "answered": False},
        {"event": "run_ended", "at": 5, "finish": "end of text"},
    ]
    trace = trace_from_lines(map(json.dumps, lines))
    assert [(piece.author, piece.text) for piece in trace.pieces] == [
        (Author.LARGE, "So"),
        (Author.LARGE, ","),
        (Author.SMALL, " 4."),
    ]
    assert (trace.seconds, trace.finish, trace.notices) == (6, Finish.END_OF_TEXT, [])
    assert trace.started
    assert trace.started.settings == settings
