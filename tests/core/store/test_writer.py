"""The one thread that saves lives as long as the store, whatever it is given."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from msgspec.structs import replace

from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.store.conversations import StoredExchange
from baton_reasoning.core.store.database import Database
from baton_reasoning.core.store.runs import Runs
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.store.writer import Writer
from tests.core.store.made import a_run, started
from tests.patience import PATIENCE


class Faulty:
    """A buffer whose data cannot be written."""

    def __init__(self, save: Callable[[sqlite3.Connection], object]) -> None:
        self.tries = 0
        self._save = save

    def save(self, connection: sqlite3.Connection) -> None:
        self.tries += 1
        self._save(connection)

    def saved(self) -> None:
        raise AssertionError


def raising(error: Exception) -> Callable[[sqlite3.Connection], object]:
    def save(connection: sqlite3.Connection) -> None:
        raise error

    return save


def written(value: object) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute("UPDATE runs SET reason = ?", (value,))


CANNOT_BE_WRITTEN = {
    "a number beyond 64 bits": written(2**70),
    "an object": written(object()),
    "half a surrogate pair": written("\ud83d"),
    "nothing where something must be": written(float("nan")),
    "no memory": raising(MemoryError()),
    "too deep": raising(RecursionError()),
    "a wrong type": raising(TypeError()),
    "a wrong value": raising(ValueError()),
    "a key that is missing": raising(KeyError("id")),
}


@pytest.mark.parametrize("save", CANNOT_BE_WRITTEN.values(), ids=CANNOT_BE_WRITTEN)
def test_a_buffer_that_cannot_be_written_is_said_once_and_the_others_are_saved(
    path: Path, save: Callable[[sqlite3.Connection], object]
) -> None:
    told: SimpleQueue[StoreError | None] = SimpleQueue()
    database, faulty = Database(path, told.put), Faulty(save)
    runs = Runs(database)
    recorder = runs.record("r")
    database.writer.save_soon(faulty)
    recorder.record([started()])
    database.write_later(lambda _: None).result(10)
    trouble = told.get(timeout=PATIENCE)
    assert trouble
    assert "could not be saved" in trouble.message
    assert "Copy or export it now" in trouble.advice
    assert list(runs.events("r")) == [started()]
    tries = faulty.tries
    database.writer.save_soon(faulty)
    recorder.record(a_run()[1:])
    assert recorder.finish().result(10).answer == "The answer is 4."
    database.write_later(lambda _: None).result(10)
    assert faulty.tries == tries
    assert told.empty()
    with pytest.raises(StoreError, match="could not be saved"):
        database.close()


def test_events_that_are_saved_before_finish_returns_are_saved_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer may be faster than the thread that has handed the task over."""
    told: SimpleQueue[StoreError | None] = SimpleQueue()
    database = Database(path, told.put)
    recorder, submit = Runs(database).record("r"), Writer.submit

    def submit_and_be_late(writer: Writer, *task: Any) -> Future[Any]:
        future = submit(writer, *task)
        future.result(10)
        database.write_later(lambda _: None).result(10)  # saves all buffers at once
        return future

    recorder.record(a_run())
    monkeypatch.setattr(Writer, "submit", submit_and_be_late)
    assert recorder.finish().result(10).answer == "The answer is 4."
    monkeypatch.undo()
    database.close()
    assert told.empty()


def test_an_answer_that_cannot_be_saved_can_be_exported_until_the_store_is_closed(path: Path) -> None:
    told: SimpleQueue[StoreError | None] = SimpleQueue()
    deep: dict[str, object] = {}
    for _ in range(100_000):
        deep = {"deeper": deep}
    store = Store.open(path, told.put)
    store.conversations.put("c", StoredExchange("e", None, "What is 2 + 2?"))
    recorder = store.runs.record("e")
    recorder.record([replace(started(), settings=deep), *a_run()[1:]])
    with pytest.raises(RecursionError):
        recorder.finish().result(10)
    assert told.get(timeout=PATIENCE)
    assert store.runs.trace("e").answer == "The answer is 4."
    with pytest.raises(StoreError, match="is lost"):
        store.close()


def test_what_fails_once_is_saved_when_the_store_closes(path: Path) -> None:
    faults = [MemoryError(), MemoryError()]

    def change(connection: sqlite3.Connection) -> None:
        if faults:
            raise faults.pop()
        columns = "id, title, created, changed"
        connection.execute(f"INSERT INTO conversations ({columns}) VALUES ('c', 'New', '2026-01-01', '2026-01-01')")

    database = Database(path)
    with pytest.raises(StoreError, match="MemoryError"):
        database.write_later(change).result(10)
    database.close()
    with Store.open(path) as store:
        assert store.conversations.open("c").title == "New"


def test_one_answer_that_must_wait_does_not_keep_the_others_from_being_saved(path: Path) -> None:
    database = Database(path)
    database.writer.save_soon(waiting := Faulty(raising(StoreError("Another Baton is writing this answer."))))
    database.write_later(lambda _: None).result(10)
    assert waiting.tries == 2
    with pytest.raises(StoreError, match="Another Baton"):
        database.close()


def test_whoever_is_told_of_trouble_may_fail(path: Path) -> None:
    def on_trouble(trouble: StoreError | None) -> None:
        raise RuntimeError("The window is gone.")

    database = Database(path, on_trouble)
    with pytest.raises(StoreError):
        database.write_later(raising(ValueError())).result(10)
    assert database.write(lambda connection: connection.execute("SELECT 1").fetchone()[0]) == 1
    with pytest.raises(StoreError, match="is lost"):
        database.close()
