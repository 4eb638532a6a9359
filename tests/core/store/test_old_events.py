"""Answers that earlier versions stored keep their text and who wrote it."""

import json
import random
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.engines.base import Alternative, Handoff, Passing
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.store.database import Database
from baton_reasoning.core.store.event_chunks import unpack
from baton_reasoning.core.store.migrations import MIGRATIONS
from baton_reasoning.core.store.old_events import convert_chunks
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import Event, HandedOver, Judged, RunStarted, TokenWritten, WriteStarted
from baton_reasoning.core.thinking.trace import Trace

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


def read(events: bytes) -> list[Event] | None:
    try:
        return list(unpack(events))
    except StoreError:
        return None


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


def test_a_stored_answer_keeps_its_text_its_authors_and_its_costs(path: Path) -> None:
    store_before(path, chunk(*LINES[:4]), chunk(*LINES[4:]))
    with Store.open(path) as store:
        begun, *events = store.runs.trace("r").events
    assert isinstance(begun, RunStarted)
    assert events == EVENTS
    assert [(piece.author, piece.text) for piece in Trace.of(events).pieces] == [
        (Author.SMALL, "é\ud83d"),
        (Author.LARGE, " 4"),
    ]


def test_what_is_stored_then_is_of_the_new_schema(path: Path) -> None:
    store_before(path, chunk(*LINES))
    Store.open(path).close()
    with closing(sqlite3.connect(path)) as connection:
        ((events,),) = connection.execute("SELECT events FROM event_chunks")
    lines = [json.loads(line) for line in zlib.decompress(events).splitlines()]
    assert [line["event"] for line in lines] == [
        "run_started",
        "write_started",
        "handed_over",
        *["token"] * 3,
        "judged",
    ]
    assert lines[0]["schema"] == 2
    assert lines[-2] == {"event": "token", "author": "large", "at": 0.5, "id": 3, "text": " 4", "drafted": True}


def test_a_damaged_part_stays_as_it_is_and_the_rest_is_converted(path: Path) -> None:
    store_before(path, chunk(*LINES[:4]), b"no chunk", chunk(LINES[4]))
    with Store.open(path) as store:
        trace, damage = store.runs.read("r")
    assert trace.events[1:] == EVENTS[:4]
    assert "cannot be read" in str(damage)
    with closing(sqlite3.connect(path)) as connection:
        chunks = [events for (events,) in connection.execute("SELECT events FROM event_chunks ORDER BY sequence")]
    assert chunks[1] == b"no chunk"
    assert list(unpack(chunks[2])) == EVENTS[4:5]


def test_a_damaged_page_of_the_file_does_not_stop_the_conversion(path: Path) -> None:
    """Each row fills a page. Of a large file only a part is checked at the start. A row beside the page may be left in
    columns, which are still read."""
    noise = random.Random(7)
    lines = [LINES[4] | {"text": [noise.randbytes(2500).hex()]} for _ in range(3)]
    store_before(path, *map(chunk, lines))
    file = bytearray(path.read_bytes())
    page_size = int.from_bytes(file[16:18], "big")
    file[file.index(chunk(lines[1])) // page_size * page_size] = 0xFF  # no type of a page
    path.write_bytes(file)
    with closing(sqlite3.connect(path)) as connection:
        convert_chunks(connection)
        one = "SELECT events FROM event_chunks WHERE run = 'r' AND sequence = ?"
        (last,) = connection.execute(one, (2,)).fetchone()
        with pytest.raises(sqlite3.DatabaseError, match="malformed"):
            connection.execute(one, (1,)).fetchone()
    assert [event.text for event in unpack(last) if isinstance(event, TokenWritten)] == lines[2]["text"]


JSON = st.none() | st.integers() | st.text(max_size=3) | st.lists(st.none() | st.integers() | st.text(max_size=3))


@given(st.dictionaries(st.sampled_from(sorted(LINES[3])), JSON) | JSON)
def test_a_chunk_of_any_content_is_converted_or_left(change: Any) -> None:
    """Either way it is read as before, or refused."""
    line = LINES[3] | change if isinstance(change, dict) else change
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE event_chunks (events BLOB)")
        connection.executemany("INSERT INTO event_chunks VALUES (?)", [(chunk(line),), (chunk(LINES[4]),)])
        convert_chunks(connection)
        (first,), (last,) = connection.execute("SELECT events FROM event_chunks ORDER BY rowid")
    assert list(unpack(last)) == EVENTS[4:5]
    assert read(first) == read(chunk(line))


def test_a_conversion_that_cannot_be_saved_is_given_up(path: Path) -> None:
    """Such as by a full disk: nothing changes, and the next start tries again."""
    store_before(path, chunk(*LINES))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA query_only = ON")
        with pytest.raises(sqlite3.OperationalError):
            convert_chunks(connection)
