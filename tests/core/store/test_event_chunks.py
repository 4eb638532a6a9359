"""Chunks of any content are read or refused; answers that earlier versions stored keep text and authors."""

import json
import zlib
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.engines.base import Alternative, Handoff, Passing
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.store.database import Database
from baton_reasoning.core.store.event_chunks import pack, unpack
from baton_reasoning.core.store.migrations import MIGRATIONS
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import Event, HandedOver, Judged, RunStarted, TokenWritten, WriteStarted
from baton_reasoning.core.thinking.trace import Trace
from tests.core.store.made import concluded

BEFORE = MIGRATIONS[:2]
"""The migrations of the versions that packed tokens in columns."""
STARTED = {
    "event": "run_started",
    "at": 0.0,
    "conversation": [{"role": "user", "content": "2 + 2?"}],
    "policy": "keywords",
    "settings": {"seed": 7},
    "seed": 7,
    "small": None,
    "large": None,
    "prompt_tokens": 5,
    "thinking": True,
    "schema": 1,
}
LINES: list[dict[str, Any]] = [
    STARTED,
    {"event": "write_started", "at": 0.1, "author": "small", "reason": None, "position": 0},
    {"event": "handed_over", "at": 0.2, "author": "small", "reused": 3, "prefilled": 5, "seconds": 0.1}
    | {"passing": "text"},
    {
        "event": "tokens",
        "author": "small",
        "at": [0.3, 0.4],
        "id": [1, None],
        "text": ["", "é\ud83d"],
        "logprob": [-0.5, None],
        "alternatives": [[], [[6, "5", -2.0]]],
        "ends_step": [False, True],
        "data": ["ww==", "qQ=="],
    },
    {"event": "tokens", "author": "large", "at": [0.5], "id": [3], "text": [" 4"], "drafted": [True]},
    {"event": "judged", "at": 0.6, "choices": ["0"], "probabilities": [1.0], "seconds": 0.5, "prefilled": 9},
]
EVENTS: list[Event] = [
    WriteStarted(0.1, Author.SMALL, None, 0),
    HandedOver(0.2, Author.SMALL, Handoff(3, 5, 0.1, Passing.TEXT)),
    TokenWritten(0.3, Author.SMALL, 1, "", -0.5),
    TokenWritten(0.4, Author.SMALL, None, "é\ud83d", None, (Alternative(6, "5", -2.0),), ends_step=True),
    TokenWritten(0.5, Author.LARGE, 3, " 4", drafted=True),
    Judged(0.6, ("0",), (1.0,), Handoff(0, 9, 0.5)),
]


def chunk(*lines: object) -> bytes:
    return zlib.compress("\n".join(map(json.dumps, lines)).encode())


def store_before(path: Path, *chunks: bytes) -> None:
    """Store a run as the versions before did."""
    database = Database(path, migrations=BEFORE)
    with closing(database):
        database.write(
            lambda connection: connection.execute(
                "INSERT INTO runs (id, started, state, owner) VALUES ('r', '2026-01-01', 'ended', '')"
            )
        )
        rows = [("r", number, events) for number, events in enumerate(chunks)]
        database.write(lambda connection: connection.executemany("INSERT INTO event_chunks VALUES (?, ?, ?)", rows))


def test_a_stored_answer_keeps_its_text_its_authors_and_its_costs(path):
    store_before(path, chunk(*LINES[:4]), chunk(*LINES[4:]))
    with Store.open(path) as store:
        begun, *events = store.runs.trace("r").events
        cost = concluded(store, "r").cost
    assert isinstance(begun, RunStarted)
    assert events == EVENTS
    assert (cost.small_tokens, cost.large_tokens) == (2, 1)
    assert [(piece.author, piece.text) for piece in Trace.of(events).pieces] == [
        (Author.SMALL, "é\ud83d"),
        (Author.LARGE, " 4"),
    ]


def test_a_damaged_part_ends_it_and_is_said(path):
    store_before(path, chunk(*LINES[:4]), b"no chunk", chunk(LINES[4]))
    with Store.open(path) as store:
        trace, damage = store.runs.read("r")
    assert trace.events[1:] == EVENTS[:4]
    assert "cannot be read" in str(damage)


JSON = st.none() | st.integers() | st.text(max_size=3) | st.lists(st.none() | st.integers() | st.text(max_size=3))


@given(st.dictionaries(st.sampled_from(sorted(LINES[3])), JSON) | JSON)
def test_a_line_of_any_content_is_read_or_refused(change):
    line = LINES[3] | change if isinstance(change, dict) else change
    with suppress(StoreError):
        assert list(unpack(chunk(line, LINES[4])))[-1:] == EVENTS[4:5]


VALUES = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=5)
FIELDS = st.sampled_from("event at id text author logprob alternatives ends_step drafted rejected_drafts".split())
ROWS = st.dictionaries(
    FIELDS, VALUES | st.lists(VALUES | st.lists(VALUES, max_size=3), max_size=3) | st.sampled_from(["token", "small"])
)


@given(st.lists(ROWS | VALUES, max_size=3), st.binary(max_size=30))
def test_a_chunk_of_any_content_is_decoded_or_refused(lines, other):
    token = {"event": "token", "author": "small", "at": 0, "id": 1, "text": "a"}
    merged = [token | line if isinstance(line, dict) else line for line in lines]
    for packed in (chunk(*lines), chunk(*merged), other):
        try:
            events = list(unpack(packed))
        except StoreError:
            continue
        assert list(unpack(pack(events))) == events or "nan" in repr(events)
