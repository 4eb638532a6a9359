"""A trace tells a run: pieces, steps, totals; and it is the same again from the stored events."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.engines.base import Handoff, Stop
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.thinking import events
from baton_reasoning.core.thinking.events import Finish, TokenWritten
from baton_reasoning.core.thinking.policies.keywords import REFLECTION, Keywords
from baton_reasoning.core.thinking.policies.step_score import SCORE
from baton_reasoning.core.thinking.reasons import OPENING
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.trace_json import event_to_json, trace_from_lines, trace_to_json
from tests.core.thinking.running import keywords, run
from tests.fakes.scripted import QUESTION

SMALL, LARGE = Author.SMALL, Author.LARGE


@pytest.fixture
def reflective():
    return run(
        keywords(Keywords.presets["baton"].model_copy(update={"n1": 3})),
        small=["First, add them.\n\nWait, is that right", " So four.\n\nDone.</think>\n\nIt is 4."],
        large=["Two and two is four. And"],
    )


def token(author: Author, text: str, at: float, ends_step: bool = False) -> TokenWritten:
    return TokenWritten(at, author, 1, text, ends_step=ends_step)


def test_a_piece_is_what_one_author_wrote_of_one_step(reflective):
    assert reflective.told == [
        ("small", "First, add them.\n\n"),
        ("large", "Two and two is four."),
        ("small", " So four.\n\n"),
        ("small", "Done.</think>\n\n"),
        ("small", "It is 4."),
    ]
    assert [piece.step for piece in reflective.trace.pieces] == [0, 1, 1, 2, 3]
    assert [step.text for step in reflective.trace.steps][1] == "Two and two is four. So four.\n\n"


def test_a_takeover_knows_its_reason_cue_handoff_and_the_lookahead_that_it_replaced(reflective):
    piece = reflective.trace.pieces[1]
    assert (piece.reason, piece.cue and piece.cue.word) == (REFLECTION.id, "Wait")
    assert (piece.replaced, piece.replaced_tokens, piece.counters) == ("Wait,", 2, {})
    assert piece.handoff is not None
    assert piece.handoff.prefilled > 0


def test_thinking_and_answer_are_told_apart(reflective):
    trace = reflective.trace
    assert trace.thinking_text.endswith("So four.\n\nDone.")
    assert trace.answer.strip() == "It is 4."
    assert [step.in_answer for step in trace.steps] == [False, False, False, True]


def test_totals_count_kept_and_discarded_tokens_by_author(reflective):
    small, large = reflective.trace.totals[SMALL], reflective.trace.totals[LARGE]
    assert (small.decoded - small.kept, large.kept) == (small.discarded, 6)
    assert small.discarded == 2
    assert reflective.trace.large_share == large.kept / (large.kept + small.kept)
    assert (reflective.trace.handoffs, large.takeovers) == (2, 1)
    assert reflective.trace.finish is Finish.END_OF_TEXT


def test_speed_is_by_the_clock_without_the_handoff():
    trace = Trace.of(
        [
            events.WriteStarted(0.0, LARGE, OPENING.id, 0),
            events.HandedOver(5.0, LARGE, Handoff(0, 100, 5.0)),
            token(LARGE, "a", 5.5),
            token(LARGE, "b", 6.0),
        ]
    )
    assert trace.totals[LARGE].tokens_per_second == 2.0
    assert trace.pieces[0].tokens_per_second == 2.0
    assert (trace.totals[LARGE].prefilled, trace.seconds) == (100, 6.0)


def test_what_a_model_reads_again_is_told_from_what_it_reads_first():
    """The small model reads a prompt of 10 tokens, writes 5, and finds other text where its last 3 stood."""
    trace = Trace.of(
        [
            events.HandedOver(0.0, SMALL, Handoff(0, 10, 0.0)),
            *(token(SMALL, letter, 0.1) for letter in "abcde"),
            events.HandedOver(0.2, LARGE, Handoff(0, 12, 0.0)),
            events.TextDiscarded(0.2, 2, "cde", 3),
            *(token(LARGE, letter, 0.3) for letter in "fghij"),
            events.HandedOver(0.4, SMALL, Handoff(12, 5, 0.0)),
        ]
    )
    assert (trace.totals[SMALL].prefilled, trace.totals[LARGE].prefilled) == (15, 12)
    assert trace.totals[SMALL].reread == 2, "the last of the tokens that it wrote was never read"
    assert trace.totals[LARGE].reread == 0


def test_a_lost_cache_is_read_again_but_what_stood_outside_the_text_was_not_read():
    def judged(reused: int, prefilled: int) -> events.Judged:
        return events.Judged(0.0, ("0", "9"), (0.5, 0.5), Handoff(reused, prefilled, 0.0))

    def tried(reused: int, prefilled: int) -> events.Tried:
        return events.Tried(0.0, LARGE, 0, (), Stop.LIMIT, Handoff(reused, prefilled, 0.0))

    read: list[tuple[events.Event, int]] = [
        (judged(0, 30), 0),  # a text of 20 tokens, and a question of 10
        (events.HandedOver(0.0, LARGE, Handoff(20, 1, 0.0)), 0),
        (tried(21, 5), 0),
        (judged(21, 12), 0),
        (events.HandedOver(0.0, LARGE, Handoff(0, 23, 0.0)), 21),
    ]
    trace = Trace()
    for event, again in read:
        before = trace.totals[LARGE].reread
        trace.apply(event)
        assert trace.totals[LARGE].reread - before == again


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 12)), max_size=12))
def test_each_position_that_is_read_a_second_time_counts_once(handoffs):
    """Against the set of all positions that were ever in the cache."""
    trace, seen, again, held = Trace(), set[int](), 0, 0
    for kept, read, written in handoffs:
        reused = min(kept, held)
        again += len(seen & set(range(reused, reused + read)))
        trace.apply(events.HandedOver(0.0, SMALL, Handoff(reused, read, 0.0)))
        for letter in "x" * written:
            trace.apply(token(SMALL, letter, 0.0))
        held = reused + read + max(0, written - 1)
        seen |= set(range(held))
    assert trace.totals[SMALL].reread == again


def test_the_answer_begins_with_its_first_token_that_is_more_than_white_space():
    thinking = events.RunStarted(0.0, QUESTION, "never", {}, 0, None, None, 0, True)
    trace = Trace.of([thinking, token(SMALL, "Well.", 1.0), token(SMALL, "</think>", 2.0)])
    assert trace.answer_began is None
    for event in (events.ThinkingClosed(2.0, SMALL, 13, "</think>"), token(SMALL, "\n\n", 3.0), token(SMALL, "4", 4.0)):
        trace.apply(event)
    assert trace.answer_began == 4.0
    trace.apply(token(SMALL, ".", 5.0))
    trace.apply(events.TextDiscarded(6.0, 16, ".", 1))
    assert trace.answer_began == 4.0
    trace.apply(events.TextDiscarded(6.0, 15, "4", 1))
    assert trace.answer_began is None
    trace.apply(token(LARGE, "5", 7.0))
    assert trace.answer_began == 7.0
    plain = events.RunStarted(0.0, QUESTION, "never", {}, 0, None, None, 0, False)
    assert Trace.of([plain, token(SMALL, "4", 0.5)]).answer_began == 0.5, "at once, without thinking"


def test_writes_of_a_single_token_are_left_out_of_the_speed():
    alone = Trace.of([events.WriteStarted(0.0, LARGE, OPENING.id, 0), token(LARGE, "a", 0.0001)])
    assert (alone.totals[LARGE].tokens_per_second, alone.pieces[0].tokens_per_second) == (0.0, 0.0)

    def write(at: float, *texts: str) -> list[events.Event]:
        tokens = [token(LARGE, text, at + (number + 1) / 10) for number, text in enumerate(texts)]
        return [events.WriteStarted(at, LARGE, OPENING.id, 0), *tokens]

    trace = Trace.of([*write(0, "a"), *write(1, "b", "c", "d"), *write(2, "e")])
    assert trace.totals[LARGE].tokens_per_second == pytest.approx(10)
    assert trace.totals[LARGE].decode_seconds == pytest.approx(0.5)


def test_a_trial_is_kept_with_the_text_before_it_though_what_it_was_made_for_is_discarded():
    tried = events.Tried(1.0, SMALL, 6, (), Stop.LIMIT, Handoff(0, 0, 0.1))
    trace = Trace.of(
        [
            token(SMALL, "Four.\n", 0.5, ends_step=True),
            token(SMALL, "Wait", 0.7),
            tried,
            events.TextDiscarded(1.0, 6, "Wait", 1),
            events.TextInserted(1.0, "</think>", "thinking budget"),
        ]
    )
    assert [piece.tried for piece in trace.pieces] == [tried, None]


def test_a_token_cut_by_a_discard_keeps_what_is_left_of_it():
    trace = Trace.of(
        [
            events.WriteStarted(0.0, SMALL, None, 0),
            token(SMALL, "One.", 0.1),
            token(SMALL, "", 0.1),
            token(SMALL, "\n\nWait", 0.2, ends_step=True),
            token(SMALL, " a", 0.3),
            events.TextDiscarded(0.4, 6, "Wait a", 1),
        ]
    )
    assert trace.text == "One.\n\n"
    assert trace.totals[SMALL].kept == 3
    first, *incomplete = trace.pieces[0].tokens
    assert first.id is not None
    assert [token.id for token in incomplete] == [None, None], "the text of both was cut"


def test_a_step_that_is_discarded_gives_its_number_to_the_next():
    trace = Trace.of(
        [
            events.WriteStarted(0.0, SMALL, None, 0),
            token(SMALL, "One.\n\n", 0.1, ends_step=True),
            token(SMALL, "Two.", 0.2),
            token(SMALL, "\n\n", 0.2, ends_step=True),
            events.TextDiscarded(0.3, 6, "Two.\n\n", 2),
            events.TakeoverStarted(0.3, SCORE.id, None, 512, 6),
            events.WriteStarted(0.3, LARGE, SCORE.id, 6),
            token(LARGE, "Better.", 0.4),
        ]
    )
    assert [(piece.author, piece.step, piece.text) for piece in trace.pieces] == [
        (SMALL, 0, "One.\n\n"),
        (LARGE, 1, "Better."),
    ]
    assert len(trace.steps) == 2


def test_white_space_after_a_boundary_belongs_to_the_step_before():
    trace = Trace.of(
        [
            events.WriteStarted(0.0, SMALL, None, 0),
            token(SMALL, "One.\n\n", 0.1, ends_step=True),
            token(SMALL, "\n", 0.2),
            token(SMALL, "Two.", 0.3),
        ]
    )
    assert [step.text for step in trace.steps] == ["One.\n\n\n", "Two."]


def test_discarding_the_close_of_thinking_opens_it_again():
    trace = Trace.of(
        [
            events.WriteStarted(0.0, SMALL, None, 0),
            token(SMALL, "Hm.", 0.1),
            token(SMALL, "</think>", 0.2),
            events.ThinkingClosed(0.2, SMALL, 11, "</think>"),
            events.TextDiscarded(0.3, 3, "</think>", 1),
        ]
    )
    assert trace.closed is None
    assert trace.text == "Hm."


def test_a_trace_from_stored_lines_equals_the_live_one(reflective):
    lines = (*map(event_to_json, reflective.trace.events), trace_to_json(reflective.trace))
    again = trace_from_lines(json.dumps(line) for line in lines)
    assert again.events == reflective.trace.events
    assert trace_to_json(again) == trace_to_json(reflective.trace)
    assert [step.text for step in again.steps] == [step.text for step in reflective.trace.steps]


def test_a_run_goes_on_from_the_parts_of_a_trace(reflective):
    parts = reflective.trace.parts()
    assert "".join(part.text for part in parts) == reflective.trace.text
    assert [part.closing_tag for part in parts if part.closing_tag] == ["</think>"]
    assert all(part.id is not None for part in parts)


def test_a_second_start_goes_on_in_time_and_text(reflective):
    first = list(reflective.trace.events)
    trace = Trace.of([*first, first[0], token(SMALL, " More.", 1.0)])
    assert trace.text.endswith("It is 4. More.")
    assert trace.seconds == reflective.trace.seconds + 1.0
    assert trace.finish is None


def test_a_second_start_does_not_go_on_with_the_takeover_that_was_interrupted():
    start = events.RunStarted(0.0, QUESTION, "relay", {}, 0, None, None, 0, True)
    interrupted = [start, events.TakeoverStarted(0.1, OPENING.id, None, 9, 0), token(LARGE, "So", 0.2)]
    trace = Trace.of([*interrupted, start, token(LARGE, " it", 0.1)])
    assert trace.takeover is None
    assert [piece.takeover for piece in trace.pieces] == [interrupted[1], None]


def test_a_line_that_is_not_json_is_named():
    with pytest.raises(StoreError, match="Line 2"):
        trace_from_lines(["{}", "{oops"])
    with pytest.raises(StoreError, match="not an object"):
        trace_from_lines(["3"])


def test_a_token_costs_the_same_at_the_end_of_a_long_run():
    """Counted in work, not in seconds: no text is joined while tokens arrive."""
    trace = Trace()
    trace.apply(events.WriteStarted(0.0, SMALL, None, 0))
    for n in range(20_000):
        trace.apply(token(SMALL, f"Step {n}.", float(n)))
        trace.apply(token(SMALL, "\n\n", float(n), ends_step=True))
    assert len(trace.steps) == 20_000
    assert all(piece._text == "" for piece in trace.pieces)
    assert trace.pieces[-1].text == "Step 19999.\n\n"
