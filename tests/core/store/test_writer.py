"""The one thread that saves lives as long as the store, whatever it is given."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from queue import SimpleQueue

import pytest
from msgspec.structs import replace

from baton_reasoning.core.engines.base import Handoff
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.usage import MOST_COUNTED
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.store.database import Database
from baton_reasoning.core.store.run_cost import LARGEST_INTEGER
from baton_reasoning.core.store.runs import Runs
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.store.writer import Buffer, Writer
from baton_reasoning.core.thinking.events import HandedOver
from tests.core.store.made import a_run, save, started
from tests.patience import PATIENCE


class Faulty(Buffer[None]):
    """A buffer whose data cannot be written."""

    def __init__(self, save: Callable[[sqlite3.Connection], object]) -> None:
        super().__init__()
        self.tries = 0
        self._save = save

    def save(self, connection: sqlite3.Connection) -> None:
        self.tries += 1
        self._save(connection)

    def saved(self, result: None) -> None:
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
def test_a_buffer_that_cannot_be_written_is_said_once_and_the_others_are_saved(path, save):
    told: SimpleQueue[StoreError | None] = SimpleQueue()
    database, faulty = Database(path, told.put), Faulty(save)
    runs = Runs(database)
    recorder = runs.record("r")
    recorder.record([started()])
    database.writer.save(faulty, within=0.5)
    database.writer.keep(lambda _: None).result(10)
    trouble = told.get(timeout=PATIENCE)
    assert trouble
    assert "cannot be stored" in trouble.message
    assert "tried again" in trouble.advice
    assert runs.trace("r").events == [started()]
    recorder.record(a_run()[1:])
    recorder.finish().result(10)
    assert runs.trace("r").events == a_run()
    assert told.empty()
    with pytest.raises(StoreError, match="could not be saved, and is lost"):
        database.close()


def test_events_that_are_saved_before_finish_returns_are_saved_once(path, monkeypatch):
    """The writer may be faster than the thread that concludes the run."""
    told: SimpleQueue[StoreError | None] = SimpleQueue()
    database = Database(path, told.put)
    recorder, save_soon = Runs(database).record("r"), Writer.save

    def save_and_be_late(writer: Writer, buffer: Buffer[None]) -> None:
        save_soon(writer, buffer)
        writer.submit(lambda _: None).result(10)

    recorder.record(a_run())
    monkeypatch.setattr(Writer, "save", save_and_be_late)
    recorder.finish().result(10)
    monkeypatch.undo()
    assert Runs(database).trace("r").events == a_run()
    database.close()
    assert told.empty()


def test_an_answer_that_cannot_be_stored_is_said_and_stops_no_other(path):
    told: SimpleQueue[StoreError | None] = SimpleQueue()
    deep: dict[str, object] = {}
    for _ in range(100_000):
        deep = {"deeper": deep}
    store = Store.open(path, told.put)
    recorder = store.runs.record("e")
    recorder.record([replace(started(), settings=deep), *a_run()[1:]])
    with pytest.raises(StoreError, match="cannot be stored"):
        recorder.finish().result(10)
    assert told.get(timeout=PATIENCE)
    assert save(store, "other", a_run()).answer == "The answer is 4."
    with pytest.raises(StoreError, match="is lost"):
        store.close()


def test_counts_beyond_what_the_file_holds_are_stored_as_its_largest(path):
    """A foreign trace may hold any number of events with the largest count."""
    read = HandedOver(0.0, Author.SMALL, Handoff(0, MOST_COUNTED, 0.0))
    with Store.open(path) as store:
        assert save(store, "r", [started(), *[read] * 1_025]).cost.small_read == LARGEST_INTEGER


def test_what_fails_once_is_saved_when_the_store_closes(path):
    faults = [MemoryError(), MemoryError()]

    def change(connection: sqlite3.Connection) -> None:
        if faults:
            raise faults.pop()
        columns = "id, title, created, changed"
        connection.execute(f"INSERT INTO conversations ({columns}) VALUES ('c', 'New', '2026-01-01', '2026-01-01')")

    database = Database(path)
    with pytest.raises(StoreError, match="MemoryError"):
        database.writer.keep(change).result(10)
    database.close()
    with Store.open(path) as store:
        assert store.conversations.open("c").title == "New"


def test_one_answer_that_must_wait_does_not_keep_the_others_from_being_saved(path):
    database = Database(path)
    waiting = Faulty(raising(StoreError("Another Baton is writing this answer.")))
    database.writer.save(waiting, within=0.5)
    database.writer.keep(lambda _: None).result(10)
    assert waiting.tries == 2
    with pytest.raises(StoreError, match="Another Baton"):
        database.close()


def test_whoever_is_told_of_trouble_may_fail(path):
    def on_trouble(trouble: StoreError | None) -> None:
        raise RuntimeError("The window is gone.")

    database = Database(path, on_trouble)
    with pytest.raises(StoreError):
        database.writer.keep(raising(ValueError())).result(10)
    assert database.write(lambda connection: connection.execute("SELECT 1").fetchone()[0]) == 1
    with pytest.raises(StoreError, match="is lost"):
        database.close()
