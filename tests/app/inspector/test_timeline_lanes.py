"""Who was busy when, from events alone."""

from baton_reasoning.app.inspector.timeline_lanes import LaneActivity, Lanes
from baton_reasoning.core.engines.base import Passing
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.events import HandedOver, Judged, Prefetched, TokenWritten, WriteStarted

SMALL, LARGE = Author.SMALL, Author.LARGE


def write(author: Author, start: float, handoff: float, tokens: int, position: int = 0) -> list[object]:
    """A write whose handoff took so long, then a token each tenth of a second."""
    begun = start + handoff
    return [
        WriteStarted(start, author, None, position),
        HandedOver(begun, author, 0, 5, handoff, Passing.IDS),
        *(TokenWritten(begun + 0.1 * (number + 1), author, number, "ab") for number in range(tokens)),
    ]


def test_a_write_is_a_reading_and_then_a_writing() -> None:
    lanes = Lanes()
    lanes.follow(write(SMALL, 1.0, 0.5, 3))  # type: ignore[arg-type]
    assert [(s.author, s.doing, s.start) for s in lanes.spans] == [
        (SMALL, LaneActivity.PREFILL, 1.0),
        (SMALL, LaneActivity.DECODE, 1.5),
    ]
    assert round(lanes.spans[1].end, 6) == 1.8


def test_each_model_has_its_own_spans() -> None:
    lanes = Lanes()
    lanes.follow([*write(SMALL, 0, 0.1, 2), *write(LARGE, 1, 0.1, 2, position=4)])  # type: ignore[list-item]
    decoded = [s for s in lanes.spans if s.doing is LaneActivity.DECODE]
    assert [(s.author, s.position) for s in decoded] == [(SMALL, 0), (LARGE, 4)]


def test_following_in_parts_gives_the_same() -> None:
    events = [*write(SMALL, 0, 0.1, 5), Judged(2.0, ("0", "9"), (0.1, 0.9), 0.4), *write(LARGE, 3, 0.1, 5)]
    whole, parts = Lanes(), Lanes()
    whole.follow(events)  # type: ignore[arg-type]
    growing: list[object] = []
    for event in events:
        growing.append(event)
        assert parts.follow(growing)  # type: ignore[arg-type]
    assert parts.spans == whole.spans
    assert not parts.follow(growing)  # type: ignore[arg-type]


def test_other_events_begin_anew() -> None:
    lanes = Lanes()
    lanes.follow(write(SMALL, 0, 0.1, 5))  # type: ignore[arg-type]
    lanes.follow(write(LARGE, 0, 0.1, 5))  # type: ignore[arg-type]
    assert {span.author for span in lanes.spans} == {LARGE}


def test_reading_along_lies_where_it_was_and_not_where_it_was_told() -> None:
    lanes = Lanes()
    lanes.follow([*write(SMALL, 0, 0.1, 9), Prefetched(2.0, LARGE, 0.4, 0.3, 12), *write(LARGE, 2.1, 0.1, 2)])  # type: ignore[list-item]
    assert [(s.author, s.doing, s.start, round(s.end, 6)) for s in lanes.readings] == [
        (LARGE, LaneActivity.READ_ALONG, 0.4, 0.7)
    ]
    assert [s.start for s in lanes.spans] == sorted(s.start for s in lanes.spans)
