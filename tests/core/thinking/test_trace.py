"""A trace tells a run: pieces, steps, totals, bills; and its events survive JSON, also those of other versions."""

import contextlib
import json
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.analysis.values import takeover_spans
from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.base import Alternative, Handoff, ModelCard, Passing, ScoredToken, Stop, Token
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.usage import RequestUsage, Usage
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.models.overrides import ModelOverrides
from baton_reasoning.core.models.source import HubFile
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.run import run as run_pair
from baton_reasoning.core.thinking import events
from baton_reasoning.core.thinking.cues import Category, Cue
from baton_reasoning.core.thinking.events import Event, Finish, RunStarted, TextDiscarded, TokenWritten, WriteStarted
from baton_reasoning.core.thinking.policies.keywords import REFLECTION, Keywords
from baton_reasoning.core.thinking.policies.random_takeover import RandomTakeover
from baton_reasoning.core.thinking.reasons import OPENING, PERSON
from baton_reasoning.core.thinking.requests import Until
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.trace_json import (
    KINDS,
    NOT_KNOWN,
    event_from_json,
    event_to_json,
    events_from_json,
    trace_from_lines,
    trace_to_json,
)
from tests.core.thinking.running import LARGE, SMALL, keywords, run
from tests.fakes import mixed
from tests.fakes.scripted import QUESTION, THINK, ChargingEngine, ChargingSession, ScriptedEngine


@pytest.fixture
def reflective():
    return run(
        keywords(Keywords.Settings(n1=3)),
        small=["First, add them.\n\nWait, is that right", " So four.\n\nDone.</think>\n\nIt is 4."],
        large=["Two and two is four. And"],
    )


def token(author: Author, text: str, at: float = 0.0, ends_step: bool = False) -> TokenWritten:
    return TokenWritten(at, author, 1, text, ends_step=ends_step)


def small(*texts: str) -> list[Event]:
    """Tokens of the small model, of which those with a blank line end a step."""
    return [token(SMALL, text, ends_step="\n\n" in text) for text in texts]


def started(thinking: bool = True) -> RunStarted:
    return RunStarted(0.0, QUESTION, "never", {}, 0, None, None, 0, thinking)


def test_pieces_and_steps_tell_who_wrote_what_and_why(reflective):
    trace = reflective.trace
    assert reflective.told[1:3] == [("large", "Two and two is four."), ("small", " So four.\n\n")]
    assert [piece.step for piece in trace.pieces] == [0, 1, 1, 2, 3]
    took = trace.pieces[1]
    assert (took.reason, took.cue and took.cue.word) == (REFLECTION.id, "Wait")
    assert (took.replaced, took.replaced_tokens, took.counters) == ("Wait,", 2, {})
    assert list(takeover_spans(trace)) == [(took.position, took.end_position, took, 6)]
    assert [piece.handoff is not None for piece in trace.pieces] == [True, True, True, False, False]
    assert trace.thinking_text.endswith("So four.\n\nDone.")
    assert trace.answer.strip() == "It is 4."
    assert [step.in_answer for step in trace.steps] == [False, False, False, True]
    small, large = trace.totals[SMALL], trace.totals[LARGE]
    assert (large.kept, small.discarded, trace.handoffs, large.takeovers) == (6, 2, 2, 1)
    assert trace.large_share == 6 / (6 + small.kept)
    parts = trace.parts()
    assert [part.closing_tag for part in parts if part.closing_tag] == ["</think>"]
    assert all(part.id is not None for part in parts)
    summary = trace_to_json(trace)
    assert (summary["finish"], summary["steps"], summary["tokens"]) == ("end of text", 4, trace.tokens)
    assert {author: total["kept"] for author, total in summary["totals"].items()} == {"small": small.kept, "large": 6}
    told = summary["pieces"][1]
    assert (told["author"], told["tokens"], told["cue"], told["cue_category"]) == ("large", 6, "Wait", "reflection")


def test_a_text_that_ends_within_a_token_is_taken_up_with_the_part_that_stayed():
    trace = Trace.of([token(SMALL, "So it is"), token(SMALL, ".\n\nWait"), TextDiscarded(0.2, 11, "Wait", 1)])
    assert trace.text == "So it is.\n\n"
    assert trace.until(11).text == trace.text
    assert trace.until(10).text == "So it is"
    told = [(piece.author, piece.text) for piece in trace.edited(11, "Done.").pieces]
    assert told == [(SMALL, "So it is.\n\n"), (Author.PERSON, "Done.")]


def test_speed_is_by_the_clock_without_the_handoff_and_without_writes_of_a_single_token():
    def write(at: float, *texts: str) -> list[Event]:
        tokens = [token(LARGE, text, at + (number + 1) / 10) for number, text in enumerate(texts)]
        return [WriteStarted(at, LARGE, OPENING.id, 0), *tokens]

    handed = events.HandedOver(5.0, LARGE, Handoff(0, 100, 5.0))
    read = Trace.of([WriteStarted(0.0, LARGE, OPENING.id, 0), handed, token(LARGE, "a", 5.5), token(LARGE, "b", 6.0)])
    assert read.totals[LARGE].tokens_per_second == 2.0
    assert (read.totals[LARGE].handoff_seconds, read.seconds) == (5.0, 6.0)
    several = Trace.of([*write(0, "a"), *write(1, "b", "c", "d"), *write(2, "e")]).totals[LARGE]
    assert several.tokens_per_second == pytest.approx(10)
    assert several.decode_seconds == pytest.approx(0.5)


def test_drafts_are_counted_with_the_rejected_ones():
    trace = Trace.of([TokenWritten(0, LARGE, 1, "a", drafted=True), TokenWritten(0, LARGE, 1, "b", rejected_drafts=2)])
    for counted in trace.pieces[0], trace.totals[LARGE]:
        assert (counted.accepted_drafts, counted.drafts) == (1, 3)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 12)), max_size=12))
def test_each_position_that_is_read_a_second_time_counts_once(handoffs):
    """Against the set of all positions that were ever in the cache; the last token of a write was never read."""
    trace, seen, again, held = Trace(), set[int](), 0, 0
    for kept, read, written in handoffs:
        reused = min(kept, held)
        again += len(seen & set(range(reused, reused + read)))
        trace.apply(events.HandedOver(0.0, SMALL, Handoff(reused, read, 0.0)))
        for letter in "x" * written:
            trace.apply(token(SMALL, letter))
        held = reused + read + max(0, written - 1)
        seen |= set(range(held))
    assert trace.totals[SMALL].recomputed == again


@given(st.integers(0, 20))
def test_what_had_to_be_read_does_not_depend_on_what_the_cache_held_before(inherited):
    handoffs = [(inherited, 20 - inherited), (20, 4), (10, 14)]  # the third reads what a discard took away
    trace = Trace.of([events.HandedOver(0.0, SMALL, Handoff(*tokens, 0.0)) for tokens in handoffs])
    assert (trace.totals[SMALL].read_tokens, trace.totals[SMALL].recomputed) == (20 + 4 + 14, 14)


def test_a_lost_cache_is_read_again_but_what_stood_outside_the_text_was_not_read():
    def judged(reused: int, prefilled: int) -> Event:
        return events.Judged(0.0, ("0", "9"), (0.5, 0.5), Handoff(reused, prefilled, 0.0))

    trace = Trace()
    for event, again in [
        (judged(0, 30), 0),  # a text of 20 tokens, and a question of 10
        (events.HandedOver(0.0, LARGE, Handoff(20, 1, 0.0)), 0),
        (events.Tried(0.0, LARGE, 0, (), Stop.LIMIT, Handoff(21, 5, 0.0)), 0),
        (judged(21, 12), 0),
        (events.HandedOver(0.0, LARGE, Handoff(0, 23, 0.0)), 21),
    ]:
        before = trace.totals[LARGE].recomputed
        trace.apply(event)
        assert trace.totals[LARGE].recomputed - before == again


def test_the_answer_begins_with_its_first_token_that_is_more_than_white_space():
    trace = Trace.of([started(), token(SMALL, "Well.", 1.0), token(SMALL, "</think>", 2.0)])
    for event, began in [
        (events.ThinkingClosed(2.0, SMALL, 13, "</think>"), None),
        (token(SMALL, "\n\n", 3.0), None),
        (token(SMALL, "4", 4.0), 4.0),
        (token(SMALL, ".", 5.0), 4.0),
        (TextDiscarded(6.0, 16, ".", 1), 4.0),
        (TextDiscarded(6.0, 15, "4", 1), None),
        (token(LARGE, "5", 7.0), 7.0),
        (TextDiscarded(8.0, 5, "</think>\n\n5", 1), None),
    ]:
        trace.apply(event)
        assert trace.answer_began == began
    assert (trace.closed, trace.text) == (None, "Well."), "the thinking is open again"
    assert Trace.of([started(False), token(SMALL, "4", 0.5)]).answer_began == 0.5, "at once, without thinking"


def test_a_discard_cuts_tokens_and_gives_the_number_of_its_step_to_the_next():
    cut = Trace.of([*small("One.", "", "\n\nWait", " a"), TextDiscarded(0.4, 6, "Wait a", 1)])
    assert (cut.text, cut.totals[SMALL].kept) == ("One.\n\n", 3)
    assert [token.id for token in cut.pieces[0].tokens] == [1, None, None], "the text of both was cut"
    rejected = TextDiscarded(0.3, 6, "Two.\n\n", 2)
    trace = Trace.of([*small("One.\n\n", "Two.", "\n\n"), rejected, token(LARGE, "Better.")])
    told = [(piece.author, piece.step, piece.text) for piece in trace.pieces]
    assert told == [(SMALL, 0, "One.\n\n"), (LARGE, 1, "Better.")]
    assert len(trace.steps) == 2
    blank = Trace.of(small("One.\n\n", "\n", "Two."))
    assert [step.text for step in blank.steps] == ["One.\n\n\n", "Two."], "white space belongs to the step before"
    capped = [*small("One", " two"), events.StepEnded(0.0, 7), TextDiscarded(0.0, 3, " two", 1)]
    anew = [*small(" six", " no"), TextDiscarded(0.0, 7, " no", 1), *small(" so")]
    assert len(Trace.of([*capped, *anew]).steps) == 1, "the cap is gone with the text before it"
    assert len(Trace.of([*capped[:3], *anew[1:]]).steps) == 2


def test_a_second_start_goes_on_in_time_and_text_but_not_with_the_takeover_that_was_interrupted(reflective):
    first = list(reflective.trace.events)
    trace = Trace.of([*first, first[0], token(SMALL, " More.", 1.0)])
    assert trace.text.endswith("It is 4. More.")
    assert (trace.seconds, trace.finish) == (reflective.trace.seconds + 1.0, None)
    interrupted = [started(), events.TakeoverStarted(0.1, OPENING.id, None, 9, 0), token(LARGE, "So", 0.2)]
    trace = Trace.of([*interrupted, started(), token(LARGE, " it", 0.1)])
    assert trace.takeover is None
    assert [piece.takeover for piece in trace.pieces] == [interrupted[1], None]


# Who wrote what, where other models, or a person, went on


def shares(trace: Trace) -> list[tuple[str, int]]:
    return [(model.card.name if model.card else "", model.tokens) for model in trace.models]


def test_each_piece_names_the_model_that_wrote_it_and_the_policy_that_ran_whoever_goes_on():
    trace = Trace.of(mixed.by_two_pairs())
    names = ("author", "model", "policy", "text")
    assert [tuple(piece[name] for name in names) for piece in trace_to_json(trace)["pieces"]] == [
        ("small", "SmolLM2-135M", "keywords", "Two and two.\n\n"),
        ("large", "Qwen2.5-0.5B", "keywords", "Wait, they"),
        ("small", "SmolLM2-135M", "keywords", " make"),
        ("small", "gemma-3-270m", "every-step", " four.\n\n"),
        ("small", "gemma-3-270m", "every-step", "Done."),
    ]
    assert shares(trace) == [("SmolLM2-135M", 4), ("Qwen2.5-0.5B", 2), ("gemma-3-270m", 3)]
    assert [run.policy for run in trace.runs] == ["keywords", "every-step"]
    assert [part.vocabulary for part in trace.parts()] == ["smol"] * 3 + ["qwen"] * 2 + ["smol"] + ["gemma"] * 3
    person = mixed.with_a_person()
    (own,) = [piece for piece in trace_to_json(person)["pieces"] if piece["author"] == "person"]
    assert (own["model"], own["policy"], own["text"]) == (None, None, " I say 22. ")
    assert sum(model.tokens for model in person.writers) == person.tokens


def test_what_is_discarded_or_not_written_yet_is_no_share_of_a_model():
    trace = Trace.of(mixed.by_two_pairs())
    cut = len("Two and two.\n\nWait, they ma")
    trace.apply(TextDiscarded(0.5, cut, trace.text[cut:], 3))
    assert shares(trace) == [("SmolLM2-135M", 4), ("Qwen2.5-0.5B", 2), ("gemma-3-270m", 0)], "of the last run"
    assert [model.tokens for model in trace.writers] == [4, 2]
    assert [run.policy for run in trace.runs] == ["keywords"]
    fork = trace.until(len("Two and"))
    fork.apply(mixed.begun(mixed.GEMMA))
    assert shares(fork) == [("SmolLM2-135M", 2), ("gemma-3-270m", 0), ("Qwen2.5-0.5B", 0)]
    assert shares(Trace.of([token(SMALL, "So")])) == [("", 1)], "of a trace without a beginning"


def test_a_model_is_the_same_however_it_is_loaded_and_another_one_elsewhere_or_in_another_quantisation():
    loaded = replace(mixed.SMOL, context=99, overrides=ModelOverrides(top_k=3), vocabulary="")
    others = replace(mixed.SMOL, quantisation="F16"), replace(mixed.SMOL, location="office"), mixed.card("SmolLM2-1.7B")
    for card, number in ((loaded, 1), *((other, 2) for other in others)):
        trace = Trace.of([*mixed.by_one_pair(), mixed.begun(card), *mixed.by(SMALL, " four")])
        models = [model for model in trace.models if model.author is SMALL]
        assert len(models) == number
        assert models[-1].card is card, "as it was loaded last"


def test_a_person_who_begins_or_ends_a_takeover_steers_the_run():
    took = [started(), events.TakeoverStarted(0.1, OPENING.id, None, 9, 0), token(LARGE, "So")]
    for ends, is_steered in ((False, False), (True, True)):
        assert Trace.of([*took, events.TakeoverEnded(0.2, 1, by_hand=ends)]).is_steered is is_steered
    assert Trace.of([started(), events.TakeoverStarted(0.1, PERSON.id, None, 9, 0)]).is_steered


def test_a_token_costs_the_same_at_the_end_of_a_long_run():
    """Counted in work, not in seconds: no text is joined while tokens arrive."""
    trace = Trace()
    for event in small(*["Step.", "\n\n"] * 20_000):
        trace.apply(event)
    assert all(piece._text == "" for piece in trace.pieces)
    assert (len(trace.steps), trace.pieces[-1].text) == (20_000, "Step.\n\n")


# Bills and background readings of a model on a server


TAKING = RunSettings(policy=RandomTakeover.Settings(p=1.0, n1=3, until=Until.TOKENS), max_tokens=60)
THREE_STEPS = ("One two three four five.\n\n", " Six seven.\n\n", " Eight.")
"""Of the small model; after the first two, the large one writes three tokens."""


@pytest.fixture
def server():
    return ChargingEngine(*["And so it is."] * 2, name="large").with_ability(Ability.PREFETCH)


def billed(large: ScriptedEngine, small: ScriptedEngine | None = None) -> Trace:
    return Trace.of(run_pair(Pair(small or ScriptedEngine(*THREE_STEPS), large), QUESTION, TAKING))


def test_after_each_takeover_the_bill_so_far_is_told_and_before_the_end_that_of_the_closed_session(server):
    trace = billed(server)
    told = trace.events
    after = [told[i + 1 : i + 3] for i, event in enumerate(told) if isinstance(event, events.TakeoverEnded)]
    bills = [next(event.usage for event in two if isinstance(event, events.UsageReported)) for two in after]
    assert [bill.cost.written for bill in bills] == [3, 6]
    assert bills[0].money < bills[1].money
    assert isinstance(told[-1], events.RunEnded)
    assert trace.usage == {LARGE: server.usage}
    assert server.sessions[0].closed
    along = [call.prefilled for call in server.calls if call.along]
    assert [reading.tokens for reading in trace.prefetches] == along != []
    assert all(0 <= reading.began <= reading.at <= trace.seconds for reading in trace.prefetches)


def test_a_small_model_is_billed_too_and_this_machine_never():
    local, small = ScriptedEngine(*["And so it is."] * 2, name="large"), ChargingEngine(*THREE_STEPS)
    assert billed(local, small).usage == {SMALL: small.usage}
    assert small.usage.cost.written == small.written


def test_a_run_that_goes_on_adds_to_the_bill_and_to_the_time():
    first = events.UsageReported(2.0, LARGE, Usage(RequestUsage(1, read=5), 0.25, "EUR"))
    second = events.UsageReported(1.0, LARGE, Usage(RequestUsage(2, read=3), 0.5, "EUR"))
    trace = Trace.of([started(), first, started(), events.Prefetched(1.0, LARGE, 0.5, 0.25, 7), second])
    assert trace.usage == {LARGE: Usage(RequestUsage(3, read=8), 0.75, "EUR")}
    assert trace.prefetches == [events.Prefetched(3.0, LARGE, 2.5, 0.25, 7)]
    prefetched = {"author": "large", "began": 2.5, "seconds": 0.25, "tokens": 7}
    assert trace_to_json(trace)["prefetch"] == [prefetched]


def test_a_reading_that_ends_while_it_is_reported_is_not_reported_before_its_end(server, monkeypatch):
    ends_later = [(time.perf_counter() + 1_000, 0.5, 3)]
    monkeypatch.setattr(ChargingSession, "take_prefetched", lambda _: [ends_later.pop()] if ends_later else [])
    (reading,) = billed(server).prefetches
    assert reading.began + reading.seconds <= reading.at


# Events as JSON


CARD = ModelCard("tiny", "hash", 4096, HubFile("o/n", "Q4_K_M"), thinking=THINK, overrides=ModelOverrides(top_k=3))
READ = ScoredToken(7, " 211", -4.5, (Alternative(8, " 311", -0.125),))
VALUED = (events.PlaceOutcomes(0, "10?-"), events.PlaceOutcomes(8, "11", replaced=True))
ONE_OF_EACH: list[Event] = [
    RunStarted(0.0, QUESTION, "keywords", {"n1": 20, "match": "word"}, 7, CARD, None, 12, True),
    WriteStarted(0.5, LARGE, REFLECTION.id, 10),
    events.WriteEnded(0.75, Stop.END_OF_TEXT),
    events.HandedOver(0.25, LARGE, Handoff(10, 3, 0.125, Passing.TEXT)),
    events.PrefillProgressed(0.25, LARGE, 440, 1024),
    TokenWritten(1, SMALL, 5, " ü", -0.5, (Alternative(5, " ü", -0.5), Alternative(None, "", -2.0)), ends_step=True),
    TokenWritten(1.5, LARGE, None, "", entropy=0.5),
    events.StepEnded(1.5, 12),
    TextDiscarded(2.0, 4, "Wait,", 2),
    events.TakeoverStarted(2.0, "verification", Cue("wait", Category.REFLECTION, 3, 7), 125, 4),
    events.TakeoverStarted(2.0, "a person asked", None, 125, 4, until=Until.STEP),
    events.TakeoverStarted(2.0, "low step score", None, 125, 4, measure=events.Measure("score", 4.0, 7.0)),
    events.TakeoverEnded(3.0, 20),
    events.TakeoverEnded(3.0, 4, by_hand=True),
    events.TextInserted(3.0, "Let us check.", "excessive reflection"),
    events.ThinkingClosed(4.0, Author.INSERTED, 99, "</think>"),
    events.Judged(4.0, ("0", "1"), (0.25, 0.75), Handoff(3, 4, 0.5), SMALL),
    events.Scored(4.0, (READ, ScoredToken(None, ".", -0.25)), Handoff(100, 12, 0.5)),
    events.Tried(4.0, LARGE, 12, (READ,), Stop.LIMIT, Handoff(100, 12, 0.5)),
    events.CountersChanged(4.0, {"reflections": 3, "reflections allowed": 15}),
    events.Prefetched(4.0, LARGE, 1.5, 0.25, 30),
    events.UsageReported(4.0, LARGE, Usage(RequestUsage(3, sent=9, estimated=True), 0.5, "EUR")),
    events.Noticed(4.5, "The large model ended. The small model goes on alone.", LARGE),
    events.RunEnded(5.0, Finish.FAILED, "It broke."),
    events.OpinionGiven(5.0, "large", 12, (READ, ScoredToken(None, "�", -0.5)), Handoff(100, 40, 1.5)),
    events.ValuesEstimated(5.0, "small", "Small", 99, "12", True, 128, VALUED, False, False, 900, 1.5),
]


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_from_json_as_it_was(event):
    assert event_from_json(json.loads(json.dumps(event_to_json(event)))) == event


def test_every_kind_is_covered_and_tokens_take_little_room():
    assert {type(event) for event in ONE_OF_EACH} == set(KINDS.values())
    assert event_to_json(ONE_OF_EACH[0])["schema"] == events.SCHEMA
    taken = events.TakeoverStarted(2.0, "low step score", None, 125, 4, measure=events.Measure("score", 4.0, 7.0))
    assert event_to_json(taken)["measure"] == ("score", 4.0, 7.0)
    data = event_to_json(TokenWritten(1.5, SMALL, 5, " the"))
    assert data == {"event": "token", "at": 1.5, "author": "small", "id": 5, "text": " the"}
    fields = ["text" if name == "data" else name for name in Token._fields if name != "held"]
    assert TokenWritten.__struct_fields__[2:-1] == tuple(fields), "the engines', in their order"


def test_what_another_version_wrote_is_passed_over_with_a_notice():
    odd: list[Any] = [["token"], {}, 3]
    lines = [
        {"event": "token", "at": 1, "author": "small", "id": 5, "text": "a", "mood": "glad"},
        {"event": "valued", "at": 2, "position": 1, "right": 3, "total": 16, "seconds": 0.5},
        {"event": "trace", "schema": 1},
        *({"event": kind} for kind in odd),
        {},
    ]
    assert list(events_from_json(lines)) == [TokenWritten(1.0, SMALL, 5, "a"), events.Noticed(2.0, NOT_KNOWN)]


@pytest.mark.parametrize(
    ("policy", "boundary", "notices"),
    [
        ("keywords", "sentence", []),
        ("oracle", "line", ["policy “oracle”"]),
        ("keywords", r"\n---\n", []),
    ],
)
def test_a_text_of_an_earlier_version_shows_who_wrote_it_and_says_what_is_not_as_it_was(policy, boundary, notices):
    """Interrupted and resumed, with settings and fields of events that this version does not know."""
    settings = {"policy": {"policy": policy, "as_published": True}, "boundary": boundary, "limits": {"early_exit": 0.9}}
    start = event_to_json(RunStarted(0.0, (), policy, settings, 7, None, None, 12, thinking=True))
    takeover = event_to_json(events.TakeoverStarted(2, "easy sentence", None, 9, 5, SMALL)) | {"why": "it is easy"}
    lines = [
        start,
        {"event": "write_started", "at": 1, "author": "large", "reason": None, "position": 0, "asked_by": "person"},
        {"event": "token", "at": 1, "author": "large", "id": 5, "text": "One.\n---\nSo", "data": "U28="},
        {"event": "run_ended", "at": 1, "finish": "stopped"},
        start | {"resumed": True},
        takeover,
        {"event": "token", "at": 3, "author": "small", "id": 2, "text": " 4.", "restored": True},
        {"event": "text_inserted", "at": 4, "text": "</think>", "reason": "early exit"},
        {"event": "run_ended", "at": 5, "finish": "end of text"},
    ]
    trace = trace_from_lines(map(json.dumps, lines))
    told = [(piece.author, piece.text) for piece in trace.pieces]
    assert told == [(LARGE, "One.\n---\nSo"), (SMALL, " 4."), (Author.INSERTED, "</think>")]
    assert (trace.seconds, trace.finish) == (6, Finish.END_OF_TEXT)
    assert len(trace.notices) == 2 * len(notices), "of both starts"
    assert all(notice in trace.notices[0].text for notice in notices)


NAN, INF = float("nan"), float("inf")
TOKEN = {"event": "token", "at": 1, "author": "small", "id": 5, "text": "a"}
NOTICE, USAGE = {"event": "noticed", "at": 1, "text": ""}, {"event": "usage", "at": 1, "author": "large"}


@pytest.mark.parametrize(
    "data",
    [
        *(TOKEN | wrong for wrong in ({"author": "nobody"}, {"text": 7})),
        *(NOTICE | {"at": at} for at in (NAN, INF, -1, 10**400)),
        *(USAGE | {"usage": {"cost": cost}} for cost in ({"sent": 2**70}, {"read": -1}, {"seconds_waited": NAN})),
        USAGE | {"usage": {"cost": {}, "money": INF}},
        {"event": "handed_over", "at": 1, "author": "small", "handoff": [1, 2, NAN, "ids"]},
        {"event": "handed_over", "at": 1, "author": "small", "reused": -1, "prefilled": 2, "seconds": 1},
        {"event": "text_discarded", "at": 1, "position": 10**20, "text": "", "tokens": 0},
        {"event": "run_started", "at": 0, "settings": {"policy": {"policy": 3}}, "small": [], "conversation": [3]},
    ],
)
def test_a_broken_event_is_refused_with_its_kind(data):
    with pytest.raises(StoreError, match=f"kind '{data['event']}' cannot be read"):
        event_from_json(data)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        *((line, "not JSON") for line in ("{oops", "[" * 100_000, '{"event": "noticed", "at": ' + "9" * 5000 + "}")),
        ("[1]", "Line 2 of the trace is not an object"),
        (json.dumps(TOKEN)[:-4] + "[" * 900 + "]" * 900 + "}", "'token'"),
    ],
    ids=range(5),
)
def test_odd_lines_are_refused_in_words(line, says):
    with pytest.raises(StoreError, match=says):
        trace_from_lines(["", line])


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
    line[data.draw(st.sampled_from(sorted(line)))] = data.draw(JSON)
    lines = [json.dumps(line) if json.loads(each)["event"] == line["event"] else each for each in COMPLETE]
    with contextlib.suppress(StoreError):
        trace = trace_from_lines(lines)
        trace.parts()
        trace_to_json(trace)


def test_a_thinking_that_is_closed_without_its_tag_cannot_be_resumed():
    trace = Trace.of([token(SMALL, "One."), events.ThinkingClosed(1.0, SMALL, 4, "</think>")])
    with pytest.raises(StoreError, match="no closing tag"):
        trace.parts()
